"""A backup holds all that rows name, as it was at one moment; a restore compares all of it with what is there then."""

import json
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import select, text
from typer import Typer
from typer.testing import CliRunner

from alembic import command
from backend import commands
from backend.settings import settings
from backend.store.accounts import users
from backend.store.accounts.tables import Token
from backend.store.database import alembic_config, connect, migrate, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.runs.tables import Run
from backend.store.runs.workers import beat
from backend.store.serving import uploads
from backend.store.serving.tables import Engagement, Prediction
from backend.store.upkeep import backup, rows
from backend.store.upkeep.backup import back_up, restore
from backend.store.upkeep.backup_files import BackupError, Manifest
from backend.store.upkeep.removals_kept import KeptRemoval
from tests.worker.storage.lab import GONE, Lab
from tests.worker.storage.test_backup import tables_of
from vise_client.schemas.accounts import Role


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def back_up_of(lab: Lab, target: Path) -> Manifest:
    return back_up(lab.place.settings.database_url, lab.place.storage, target)


def test_all_that_rows_name_is_in_it_and_comes_back(
    lab: Lab, new_database, tmp_path: Path, target: Path
) -> None:
    place = lab.place
    (waiting, asked, answered), gone = (
        (uploads.put(place.storage, name) for name in (b"1", b"2", b"3")),
        "0" * 32,
    )
    with place.sessions.begin() as db:
        queued, done = db.scalars(select(Prediction)).all()
        queued.state, queued.upload, done.upload = "queued", waiting, answered
        db.add(Prediction(model_id=queued.model_id, state="queued", options={}, upload=gone))
        checkpoint = artifacts.of_run(db, lab.pretrain, "checkpoint").id
        db.add(Engagement(checkpoint_id=checkpoint, state="queued", options={}, upload=asked))
        beat(db, "worker", [], "cpu", None)
    (target.parent / "backup.part").mkdir()
    (target.parent / "backup.part" / "of-a-killed-backup").touch()
    objects = {f"objects/{sha256[:2]}/{sha256}" for sha256, _ in place.storage.objects()}
    damaged = min(objects)
    Path(place.storage.root, damaged).chmod(0o644)
    Path(place.storage.root, damaged).write_text("damage")

    manifest = back_up_of(lab, target)
    held = {entry.path.removeprefix("storage/") for entry in manifest.files}
    assert manifest.missing == (damaged,)
    assert held == (objects - {damaged}) | {f"uploads/{waiting}", f"uploads/{asked}"}
    assert {path.name for path in target.iterdir()} == {"backup.json", "database", "storage"}
    assert {path.stat().st_mode & 0o777 for path in (target / "storage").rglob("*") if path.is_file()} == {
        0o444
    }
    assert rows.TRANSIENT.isdisjoint(entry.table for entry in manifest.tables)

    with new_database() as empty:
        # Of a server that has only been started: it has workers, and the storage keeps removals of posts.
        migrate(empty)
        engine = connect(empty)
        with session_factory(engine).begin() as db:
            beat(db, "other", [], "cpu", None)
            # Values are read as they were written, whatever the server's own formats.
            db.execute(text(f"ALTER DATABASE {engine.url.database} SET timezone = 'Asia/Tokyo'"))
            db.execute(text(f"ALTER DATABASE {engine.url.database} SET datestyle = 'German'"))
        engine.dispose()
        there = Storage(f"file://{tmp_path / 'there'}")
        (tmp_path / "there" / "removals").mkdir(parents=True)
        (tmp_path / "there" / "removals" / "x.json").write_text("{}")
        restore(target, empty, there)
        assert tables_of(empty, tmp_path / "compared") == {
            entry.table: entry.sha256 for entry in manifest.tables
        }
        assert {path for path, _ in there.files("")} == held | {"removals/x.json"}


def test_rows_are_of_one_moment(lab: Lab, tmp_path: Path) -> None:
    url = lab.place.settings.database_url
    with rows.snapshot(url) as connection:
        connection.execute("SELECT 1 FROM users")
        before = {entry.table: entry.rows for entry in rows.copy_out(connection, tmp_path)[1]}
    (tmp_path / "again").mkdir()
    with rows.snapshot(url) as connection:
        connection.execute("SELECT 1 FROM users")
        lab.place.finished("later")
        assert {e.table: e.rows for e in rows.copy_out(connection, tmp_path / "again")[1]} == before
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM runs")


def test_what_differs_after_it_was_restored_is_an_error(
    lab: Lab, new_database, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = back_up_of(lab, target)
    with new_database() as empty:
        there = tmp_path / "there" / manifest.files[0].path.removeprefix("storage/")
        there.parent.mkdir(parents=True)
        there.write_text("of another server")
        with pytest.raises(BackupError, match="1 files differ in the storage"):
            restore(target, empty, Storage(f"file://{tmp_path / 'there'}"))
        there.unlink()
        copied = rows._rows

        def lossy(*arguments: object):
            yield from list(copied(*arguments))[1:]  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(rows, "_rows", lossy)
            with pytest.raises(BackupError, match="differs from the backup after it was copied in"):
                restore(target, empty, Storage(f"file://{tmp_path / 'there'}"))
        facts = json.loads((target / "backup.json").read_bytes())
        facts["tables"].append(facts["tables"][0] | {"table": "ghosts"})
        (target / "backup.json").write_text(json.dumps(facts))
        with pytest.raises(BackupError, match="tables that its revision does not: ghosts"):
            restore(target, empty, Storage(f"file://{tmp_path / 'there'}"))


def test_a_backup_of_an_older_revision_is_migrated(
    place, new_database, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token of revision 0002 has no scopes, which revision 0003 derives from its role."""
    url = place.settings.database_url
    with place.sessions.begin() as db:
        user = users.create_user(db, "a@example.org", None, Role.editor)
        db.flush()
        users.issue_token(db, user, "api", lifetime=None)
    with place.sessions() as db:
        scopes = db.scalars(select(Token.scopes)).one()
    command.downgrade(alembic_config(url), "0002")
    place.engine.dispose()
    with pytest.raises(BackupError, match="the database has revision 0002"):
        back_up(url, place.storage, target)
    with monkeypatch.context() as patched:  # to the version that made it
        patched.setattr(backup, "revisions", lambda: ["0002"])
        patched.setattr(backup, "_named_files", lambda *_: {})
        back_up(url, place.storage, target)
    with new_database() as empty:
        restore(target, empty, Storage(f"file://{tmp_path / 'there'}"))
        engine = connect(empty)
        with session_factory(engine)() as db:
            assert set(db.scalars(select(Token.scopes)).one()) == set(scopes)
            assert db.scalars(select(Run)).all() == []
        engine.dispose()
    with new_database() as bare, pytest.raises(BackupError, match="run `vise migrate`"):
        back_up(bare, place.storage, tmp_path / "other")


def test_the_commands_exit_with_3_if_something_is_missing_or_a_removed_post_is_left(
    lab: Lab, new_database, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = lab.place
    app = Typer()
    for each in (commands.backup, commands.restore):
        app.command()(each)

    def use(database_url: str, storage_url: str) -> None:
        for name, value in (("DATABASE", database_url), ("STORAGE", storage_url), ("BROKER", "redis://")):
            monkeypatch.setenv(f"VISE_{name}_URL", value)
        monkeypatch.setenv("VISE_DATA_ROOT", str(lab.data_root))
        settings.cache_clear()

    lost = next(sha256 for sha256, _ in place.storage.objects())
    place.storage.delete(lost)
    use(place.settings.database_url, place.settings.storage_url)
    said = CliRunner().invoke(app, ["backup", str(target)])
    assert said.exit_code == 3, (said.output, said.exception)
    assert f"objects/{lost[:2]}/{lost}" in said.output

    (lab.data_root / "raw" / "posts.jsonl").write_text(json.dumps({"id": GONE}) + "\n")
    removal = KeptRemoval.model_validate(
        {"id": uuid4(), "applied_at": "2100-01-01T00:00:00Z", "posts": [GONE]}
    )
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / f"{removal.id}.json").write_text(removal.model_dump_json())
    with new_database() as empty:
        use(empty, f"file://{tmp_path / 'there'}")
        said = CliRunner().invoke(app, ["restore", str(target), "--removals", str(tmp_path / "kept")])
        assert said.exit_code == 3, (said.output, said.exception)
        assert "a removed post is left: raw/posts.jsonl" in said.output
        assert "no removals of posts are known" not in said.output
    settings.cache_clear()
