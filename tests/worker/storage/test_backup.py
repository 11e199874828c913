"""A backup of a running stack is restored in an empty place: all rows and files are equal, and its run goes on there."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from typer import Typer
from typer.testing import CliRunner

from backend import commands
from backend.local.offline import server_settings
from backend.settings import settings
from backend.store.database import connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.runs.tables import Run, RunLog
from backend.store.upkeep import backup, rows
from backend.store.upkeep.backup import back_up, restore
from backend.store.upkeep.backup_files import BackupError, read_manifest
from vise_client.schemas.run_states import RunState

STEPS = 45
EXPECTED = sorted(
    [("count", n, float(n)) for n in range(STEPS)] + [("square", n, float(n * n)) for n in range(STEPS)]
)


def tables_of(url: str, folder: Path) -> dict[str, str]:
    folder.mkdir()
    with rows.snapshot(url) as connection:
        return {entry.table: entry.sha256 for entry in rows.copy_out(connection, folder)[1]}


def test_a_stack_is_backed_up_while_a_run_saves_states_and_goes_on_in_an_empty_place(
    cluster, new_database, tmp_path: Path, monkeypatch
) -> None:
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    finished = cluster.wait_final(cluster.create(spec={"steps": 7, "pause": 0}))
    run_id = cluster.create(spec={"steps": STEPS, "pause": 0.1})
    at = cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 6).latest["count"]

    fetch = Storage.fetch

    def slowly(self: Storage, path: str, target: Path) -> None:
        # Until the run has replaced, twice, every state that the snapshot names.
        cluster.wait(run_id, lambda run: run.state.final or run.latest["count"] >= at + 14)
        fetch(self, path, target)

    monkeypatch.setattr(Storage, "fetch", slowly)
    url = cluster.environment["VISE_DATABASE_URL"]
    target = tmp_path / "backup"
    manifest = back_up(url, cluster.storage, target)
    monkeypatch.undo()
    assert manifest.missing == ()
    assert any(entry.path.startswith("storage/checkpoints/") for entry in manifest.files)
    whole = cluster.wait_final(run_id)
    assert whole.state is RunState.succeeded
    assert cluster.points(run_id) == EXPECTED
    cluster.stop()

    with new_database() as empty:
        there = Storage(f"file://{tmp_path / 'other' / 'storage'}")
        restore(target, empty, there)
        wanted = {entry.table: entry.sha256 for entry in manifest.tables}
        assert tables_of(empty, tmp_path / "compared") == wanted
        stored = {path: there.digest(path) for path, _ in there.files("")}
        assert stored == {entry.path.removeprefix("storage/"): entry.sha256 for entry in manifest.files}

        environment = cluster.environment | {
            "VISE_DATABASE_URL": empty,
            "VISE_STORAGE_URL": there.url,
            "VISE_HOME": str(tmp_path / "other"),
        }
        engine = connect(empty)
        other = type(cluster)(environment, session_factory(engine), tmp_path / "other")
        before = other.view(run_id)
        assert before.state is RunState.running
        assert before.latest["count"] < at + 14
        other.start("dispatch", name="dispatch")
        other.worker("other")
        run = other.wait_final(run_id)
        assert run.state is RunState.succeeded, (run.reason, run.error)
        assert run.result["started_at_step"] >= 5, "it went on from the state in the backup"
        assert other.points(run_id) == EXPECTED
        with other.sessions() as db:
            digest = artifacts.of_run(db, finished.id, "counted").sha256
        assert b"".join(there.stream(digest)) == b"7"
        # New rows get numbers after the old ones.
        with other.sessions() as db:
            assert db.scalar(select(func.max(RunLog.id))) > before_log(url)
        other.stop()
        engine.dispose()


def before_log(url: str) -> int:
    engine = connect(url)
    with session_factory(engine)() as db:
        last = db.scalar(select(func.max(RunLog.id)).where(RunLog.message.startswith("counting from 0")))
    engine.dispose()
    assert last is not None
    return last


@pytest.fixture
def made(place, tmp_path: Path) -> Path:
    """A backup with a finished run, and a failed one whose newest state was gone."""
    place.finished("one", "two")
    run_id, reporter = place.held()
    for name in ("older", "newer"):
        reporter.checkpoint(place.files(name))
    reporter.close()
    place.change(run_id, state="failed", finished_at=func.now(), lease_until=None)
    with place.sessions() as db:
        newest = db.get_one(Run, run_id).checkpoint
    place.context.state_storage(run_id, 1).delete(newest.partition("/")[2])
    back_up(place.settings.database_url, place.storage, tmp_path / "backup")
    return tmp_path / "backup"


def test_what_the_storage_lacked_is_named_and_the_rest_is_restored(
    made: Path, place, new_database, tmp_path: Path
) -> None:
    manifest = read_manifest(made)
    (missing,) = manifest.missing
    assert missing.startswith("checkpoints/")
    with new_database() as empty:
        there = Storage(f"file://{tmp_path / 'there'}")
        restore(made, empty, there)
        assert {b"".join(there.stream(sha256)) for sha256, _ in there.objects()} == {b"one", b"two"}
        texts = {(tmp_path / "there" / path).read_text() for path, _ in there.files("checkpoints")}
        assert "older" in texts


def test_a_damaged_backup_is_rejected_before_anything_is_written(
    made: Path, new_database, tmp_path: Path
) -> None:
    manifest = read_manifest(made)
    victim = made / manifest.files[0].path
    victim.chmod(0o644)
    content = victim.read_bytes()
    with new_database() as empty:
        for damage in (b"other", None):
            if damage is None:
                victim.unlink()
            else:
                victim.write_bytes(damage)
            with pytest.raises(BackupError, match="1 files of the backup are damaged"):
                restore(made, empty, Storage(f"file://{tmp_path / 'there'}"))
        victim.write_bytes(content)
        facts = json.loads((made / "backup.json").read_bytes())
        for changed, message in (
            ({"revision": "9999"}, "revision '9999'"),
            ({"files": [facts["files"][0] | {"path": "../outside"}]}, "outside"),
            ({"format": "vise-backup-9"}, "damaged"),
        ):
            (made / "backup.json").write_text(json.dumps(facts | changed))
            with pytest.raises(BackupError, match=message):
                restore(made, empty, Storage(f"file://{tmp_path / 'there'}"))
        assert not (tmp_path / "there").exists()
        (made / "backup.json").unlink()
        with pytest.raises(BackupError, match="not a complete backup"):
            restore(made, empty, Storage(f"file://{tmp_path / 'there'}"))


def test_a_place_that_is_not_empty_is_left_alone(made: Path, place, new_database, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="database is not empty: its table artifacts"):
        restore(made, place.settings.database_url, Storage(f"file://{tmp_path / 'there'}"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("mine")
    with new_database() as empty, pytest.raises(BackupError, match="storage is not empty: it has mine"):
        restore(made, empty, Storage(f"file://{tmp_path / 'there'}"))
    with pytest.raises(BackupError, match="exists already"):
        back_up(place.settings.database_url, place.storage, made)


def test_a_restore_that_was_killed_is_repeated(made: Path, new_database, tmp_path: Path, monkeypatch) -> None:
    there = Storage(f"file://{tmp_path / 'there'}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with new_database() as empty:
        with monkeypatch.context() as patched:
            patched.setattr(backup.rows, "copy_in", killed)
            with pytest.raises(KeyboardInterrupt):
                restore(made, empty, there)
        restore(made, empty, there)
        engine = connect(empty)
        with engine.connect() as db:
            assert db.scalar(text("SELECT count(*) FROM runs")) == 2
        engine.dispose()


def test_a_backup_whose_lock_is_lost_fails_and_leaves_no_backup(place, tmp_path: Path, monkeypatch) -> None:
    place.finished("one")
    fetch = Storage.fetch

    def cut(self: Storage, path: str, target: Path) -> None:
        with place.sessions.begin() as db:
            db.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database "
                    "WHERE locktype = 'advisory' AND datname = current_database()"
                )
            )
        fetch(self, path, target)

    monkeypatch.setattr(Storage, "fetch", cut)
    with pytest.raises(BackupError, match="back up again"):
        back_up(place.settings.database_url, place.storage, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_the_commands_back_up_a_server_and_restore_it_in_a_home(
    place, home: Path, tmp_path: Path, monkeypatch
) -> None:
    run_id = place.finished("one")
    app = Typer()
    for command in (commands.backup, commands.restore):
        app.command()(command)
    for name in ("database_url", "broker_url", "storage_url"):
        monkeypatch.setenv(f"VISE_{name.upper()}", str(getattr(place.settings, name)))
    settings.cache_clear()
    said = CliRunner().invoke(app, ["backup", str(tmp_path / "backup")])
    assert said.exit_code == 0, said.output
    assert "1 files" in said.output
    for name in ("database_url", "broker_url", "storage_url"):
        monkeypatch.delenv(f"VISE_{name.upper()}")
    settings.cache_clear()
    monkeypatch.setenv("VISE_HOME", str(home))
    said = CliRunner().invoke(app, ["restore", str(tmp_path / "backup")])
    assert said.exit_code == 0, (said.output, said.exception)
    assert "no removals of posts are known" in said.output
    with server_settings() as found:
        engine = connect(found.database_url)
        with session_factory(engine)() as db:
            assert db.get_one(Run, run_id).state == "succeeded"
        engine.dispose()
        assert [
            b"".join(Storage(found.storage_url).stream(k)) for k, _ in Storage(found.storage_url).objects()
        ] == [b"one"]
