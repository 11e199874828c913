"""Removals of posts by the API: listed, applied by a worker that may be killed, proven, and not undone by a restore."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, text, update
from typer.testing import CliRunner

from backend.store.accounts.tables import Audit
from backend.store.database import connect, session_factory
from backend.store.errors import Conflict
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Run, RunLog, Worker
from backend.store.serving.tables import Feedback, Prediction
from backend.store.upkeep import forget, removal_work, removals, removals_kept
from backend.store.upkeep.backup import back_up, restore
from backend.store.upkeep.tables import ClearedCache, Removal
from tests.faults.cluster import Cluster, cluster_over
from tests.worker.storage.lab import GONE, STAYS, Lab
from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.errors import ApiError
from vise_client.schemas.removals import RemovalCreate, RemovalState
from vise_core.errors import BadInput
from vise_core.formats.posts import ShardIndex
from worker.sweep import CacheClearing, follow_removals


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker's cache folder with something of data and something that is not."""
    folder = tmp_path / "cache"
    for name in ("features", "weights"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    monkeypatch.setenv("VISE_CACHE", str(folder))
    return folder


def work(lab: Lab) -> None:
    removal_work.work(lab.place.sessions, lab.place.storage, lab.data_root)


def test_the_command_lists_removes_and_proves(
    lab: Lab, vise: ViseClient, cache: Path, monkeypatch, tmp_path: Path
) -> None:
    place = lab.place
    monkeypatch.setenv("VISE_API_URL", vise.url)
    monkeypatch.setenv("VISE_TOKEN", vise.token)
    stop = threading.Event()
    context = place.context
    monkeypatch.setattr("worker.sweep.POLL_SECONDS", 0.05)
    object.__setattr__(context.settings, "data_root", lab.data_root)
    thread = threading.Thread(
        target=follow_removals, args=(context, CacheClearing(context), stop), kwargs={"works": True}
    )
    thread.start()
    try:
        before = {sha256 for sha256, _ in place.storage.objects()}
        listed = CliRunner().invoke(app, ["forget", GONE])
        assert listed.exit_code == 0, (listed.output, listed.exception)
        for line in (
            "rewrite   artifact posts of the run 'ingest'",
            "rewrite   artifact labels of the run 'label'",
            "remove    artifact explorer of the run 'explore'",
            "remove    uploaded archive archive.zip",
            "rewrite   1 results of runs",
            "rewrite   1 log lines",
            "rewrite   1 predictions for a post's image",
            "rewrite   1 labels given to a post's image",
            "mark      the run 'pretrain'",
            "mark      the model 'm'",
        ):
            assert line in listed.output
        assert {sha256 for sha256, _ in place.storage.objects()} == before
        assert vise.removals().items == []
        assert (cache / "features").exists()

        done = CliRunner().invoke(app, ["forget", GONE, "--apply"])
        assert done.exit_code == 0, (done.output, done.exception)
        assert "no object, row, folder or cache holds the posts" in done.output
        # This worker has no row, so the command does not wait for its cache.
        until = time.monotonic() + 60
        while not (cache / "cleared.json").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    with place.sessions() as db:
        row = artifacts.of_run(db, lab.ingest, "posts")
        artifacts.materialise(place.storage, row.manifest, True, tmp_path / "out")
        assert [r.post.id for r in ShardIndex.open(tmp_path / "out").iterate()] == [STAYS]
        assert (row.sha256, row.files) == (artifacts.describe(tmp_path / "out")[1], 2)
        assert db.get_one(Run, lab.ingest).result == {
            "rejected": [{"post": "[removed]", "why": "[removed]: too long"}],
            "posts": 2,
        }
        explorers = set(db.scalars(select(Artifact.run_id).where(Artifact.name == "explorer")))
        assert explorers == {lab.other}
        assert db.scalars(select(func.count()).select_from(Prediction)).all() == [1]
        assert db.scalars(select(func.count()).select_from(Feedback)).all() == [1]
        notes = set(db.scalars(select(RunLog.message).where(RunLog.run_id == lab.pretrain)))
        assert any("have been removed since" in note for note in notes)
        logged = {(row.action, row.kind) for row in db.scalars(select(Audit))}
        assert logged >= {(action, "removal of posts") for action in ("created", "changed", "deleted")}
    assert {path.name for path in cache.iterdir()} == {"weights", "cleared.json"}
    # A worker that starts later has no reason to clear again.
    (cache / "features").mkdir()
    CacheClearing(context).follow()
    assert (cache / "features").exists()


def test_what_is_applied_and_what_is_not(lab: Lab, vise: ViseClient) -> None:
    removal = vise.create_removal(RemovalCreate(posts=[GONE, GONE]))
    assert (removal.state, removal.posts) == (RemovalState.listing, [GONE])
    with pytest.raises(ApiError, match="still lists"):
        vise.apply_removal(removal.id)
    work(lab)
    assert vise.removal(removal.id).state is RemovalState.listed
    lab.place.change(lab.label, state="running")
    vise.apply_removal(removal.id)
    work(lab)
    failed = vise.removal(removal.id)
    assert failed.state is RemovalState.failed
    assert "the unfinished run 'label'" in failed.error
    with pytest.raises(ApiError, match="no restored backup"):
        vise.delete_removal(removal.id)
    lab.place.change(lab.label, state="succeeded")
    raw = lab.data_root / "raw" / "more.txt"
    raw.write_text(GONE)
    vise.apply_removal(removal.id)
    work(lab)
    done = vise.removal(removal.id)
    assert (done.state, done.error) == (RemovalState.removed, "")
    assert done.left == ["raw/more.txt of the data set 'raw'"]
    # The folder is the user's own: once it is clean, the proof is repeated.
    raw.unlink()
    vise.apply_removal(removal.id)
    work(lab)
    assert vise.removal(removal.id).left == []
    with pytest.raises(ApiError, match="removed already"):
        vise.apply_removal(removal.id)


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_starts_while_posts_are_removed_is_left(lab: Lab, vise, monkeypatch, killed: bool) -> None:
    place = lab.place
    removal = vise.create_removal(RemovalCreate(posts=[GONE]))
    work(lab)
    vise.apply_removal(removal.id)
    late: list[UUID] = []
    rewrite = forget._rewrite

    def launch(*args) -> None:
        if not late:
            late.append(place.held()[0])
            place.change(late[0], name="late", depends_on=[lab.ingest], started_at=func.now())
        rewrite(*args)

    monkeypatch.setattr(forget, "_rewrite", launch)
    if killed:

        def kill(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(forget, "remaining", kill)
            with pytest.raises(KeyboardInterrupt):
                work(lab)
        place.change(late[0], state="succeeded", finished_at=func.now(), lease_until=None)
    work(lab)
    done = vise.removal(removal.id)
    assert done.state is RemovalState.removed
    assert [what for what in done.left if "the run 'late' may have read" in what]
    place.change(late[0], state="succeeded", finished_at=func.now(), lease_until=None)
    vise.apply_removal(removal.id)
    work(lab)
    assert vise.removal(removal.id).left == []


@pytest.mark.parametrize("change", [removals.apply, removals.discard])
def test_a_removal_is_judged_by_its_locked_row(lab: Lab, change: Callable) -> None:
    sessions = lab.place.sessions
    with sessions.begin() as db:
        removal_id = removals.create(db, [GONE], None).id
    work(lab)
    with sessions() as db:
        # An object of the session, as it was before the other admin's request.
        row = removals.get(db, removal_id)
        with sessions.begin() as other:
            removals.apply(other, removal_id)
        work(lab)
        assert row.state == RemovalState.listed.value
        with pytest.raises(Conflict):
            change(db, removal_id)


@pytest.mark.parametrize("where", ["forget", "remaining"])
def test_work_that_is_killed_goes_on(lab: Lab, vise: ViseClient, monkeypatch, where: str) -> None:
    removal = vise.create_removal(RemovalCreate(posts=[GONE]))
    work(lab)
    listed = vise.removal(removal.id).findings
    vise.apply_removal(removal.id)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(forget, where, killed)
        with pytest.raises(KeyboardInterrupt):
            work(lab)
    assert vise.removal(removal.id).state is RemovalState.removing
    work(lab)
    done = vise.removal(removal.id)
    assert (done.state, done.left) == (RemovalState.removed, [])
    assert done.findings == listed


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_a_worker_is_killed_or_frozen_in_the_middle_and_the_next_one_goes_on(
    lab: Lab, vise: ViseClient, cache: Path, broker_url: str, tmp_path: Path, frozen: bool
) -> None:
    place = lab.place
    folder = tmp_path / "workers"
    folder.mkdir()
    with cluster_over(place.settings.database_url, broker_url, folder) as cluster:
        cluster.environment |= {"VISE_STORAGE_URL": place.settings.storage_url, "VISE_PRELOAD": "false"}
        removal = vise.create_removal(RemovalCreate(posts=[GONE]))
        first = cluster.worker("first")
        wait_for(lambda: vise.removal(removal.id).state is RemovalState.listed)
        with place.sessions.begin() as lock:
            lock.execute(select(Artifact).where(Artifact.run_id == lab.label).with_for_update())
            vise.apply_removal(removal.id)
            wait_for(lambda: waits_for_a_lock(cluster))
            if frozen:
                # The transaction then gets the lock that it waits for, and keeps it until it has been idle for long.
                first.send_signal(signal.SIGSTOP)
            else:
                first.kill()
                first.wait()
        assert vise.removal(removal.id).state is RemovalState.removing
        cluster.worker("second")
        wait_for(lambda: "second" in vise.removal(removal.id).caches_cleared)
        done = vise.removal(removal.id)
        assert (done.state, done.left) == (RemovalState.removed, [])
        if frozen:
            first.send_signal(signal.SIGCONT)
            wait_for(lambda: "first" in vise.removal(removal.id).caches_cleared)
            assert vise.removal(removal.id) == done.model_copy(
                update={"caches_cleared": ANY, "caches_waiting": []}
            )
        assert not (cache / "features").exists()
        assert (cache / "weights" / "file").exists()


def test_a_list_that_failed_is_made_again_before_anything_is_removed(
    lab: Lab, vise: ViseClient, monkeypatch
) -> None:
    removal = vise.create_removal(RemovalCreate(posts=[GONE]))

    def fail(*_: object) -> None:
        raise BadInput("posts: damaged")

    with monkeypatch.context() as patched:
        patched.setattr(forget, "find", fail)
        work(lab)
    assert vise.removal(removal.id).state is RemovalState.failed
    listing = vise.apply_removal(removal.id)
    assert (listing.state, listing.error, listing.applied_at) == (RemovalState.listing, "", None)
    work(lab)
    listed = vise.removal(removal.id)
    assert (listed.state, bool(listed.findings)) == (RemovalState.listed, True)


def test_other_files_among_the_kept_removals_are_skipped_and_damaged_ones_logged(lab: Lab, caplog) -> None:
    place = lab.place
    with place.sessions.begin() as db:
        removal_id = removals.create(db, [GONE], None).id
    work(lab)
    with place.sessions.begin() as db:
        removals.apply(db, removal_id)
    work(lab)
    folder = Path(place.storage.root, "removals")
    (folder / ".DS_Store").write_text("x")
    (folder / "damaged.json").write_text("{")
    assert [removal.id for removal in removals_kept.kept(place.storage)] == [removal_id]
    assert "damaged.json" in caplog.text
    assert "DS_Store" not in caplog.text


def test_a_page_of_removals_takes_as_many_statements_as_one_and_rows_of_gone_workers_go(lab: Lab) -> None:
    sessions, statements = lab.place.sessions, []
    with sessions.begin() as db:
        for _ in range(3):
            db.add(Removal(posts=[GONE], state="removed", applied_at=func.now(), finished_at=func.now()))
        db.add(Worker(name="alive", queues=[], device="cpu"))
        db.flush()
        ids = db.scalars(select(Removal.id)).all()
        removals.note_cleared(db, "alive", ids)
        removals.note_cleared(db, "gone", ids)
    with sessions.begin() as db:
        db.execute(update(ClearedCache).values(at=func.now() - timedelta(days=30)))
        removals.note_cleared(db, "alive", ids[:1])
        db.execute(update(Removal).values(finished_at=func.now() - timedelta(days=60)))
        assert set(db.scalars(select(ClearedCache.worker))) == {"alive"}
    event.listen(lab.place.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with sessions() as db:
        page = removals.page(db, cursor=None, limit=10)
    assert [view.caches_cleared for view in page.items] == [["alive"]] * 3
    assert len(statements) <= 4


def test_a_cache_that_cannot_be_cleared_does_not_hold_up_removals(
    lab: Lab, vise: ViseClient, cache: Path, monkeypatch, caplog
) -> None:
    def fail() -> None:
        raise PermissionError(f"{cache} cannot be written")

    monkeypatch.setattr("worker.sweep.clear_cache", fail)
    monkeypatch.setattr("worker.sweep.POLL_SECONDS", 0.02)
    monkeypatch.setattr("worker.sweep.PAUSE_SECONDS", 0.02)
    context, stop = lab.place.context, threading.Event()
    removal = vise.create_removal(RemovalCreate(posts=[GONE]))
    clears = CacheClearing(context)
    thread = threading.Thread(target=follow_removals, args=(context, clears, stop), kwargs={"works": True})
    thread.start()
    try:
        wait_for(lambda: vise.removal(removal.id).state is RemovalState.listed)
        vise.apply_removal(removal.id)
        wait_for(lambda: vise.removal(removal.id).state is RemovalState.removed)
        second = vise.create_removal(RemovalCreate(posts=[STAYS]))
        wait_for(lambda: vise.removal(second.id).state is RemovalState.listed)
        wait_for(lambda: "cannot be written" in caplog.text)
    finally:
        stop.set()
        thread.join()
    assert caplog.text.count("cannot be written") == 1
    assert vise.removal(removal.id).caches_cleared == []


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        time.sleep(0.05)


def waits_for_a_lock(cluster: Cluster) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with cluster.sessions() as db:
        return bool(db.scalar(text(query)))


def test_a_restored_backup_does_not_bring_a_removed_post_back(
    lab: Lab, vise: ViseClient, new_database, tmp_path: Path
) -> None:
    place = lab.place
    back_up(place.settings.database_url, place.storage, tmp_path / "backup")
    removal = vise.create_removal(RemovalCreate(posts=[GONE]))
    work(lab)
    vise.apply_removal(removal.id)
    work(lab)
    assert vise.removal(removal.id).left == []
    kept = Path(place.storage.root, "removals")
    with new_database() as empty:
        there = Storage(f"file://{tmp_path / 'there'}")
        with pytest.raises(BadInput, match="name the folder removals"):
            restore(tmp_path / "backup", empty, there, tmp_path)
        restore(tmp_path / "backup", empty, there, kept)
        engine = connect(empty)
        sessions = session_factory(engine)
        with sessions.begin() as db:  # as if it had run when the backup was made
            db.get_one(Run, lab.pretrain).state = "running"
        assert forget.remaining(sessions, there, None, [GONE]) != []
        # What `vise restore` does last, and a worker that starts on a restored server first.
        assert removal_work.remove_again(sessions, there, None) == []
        assert forget.remaining(sessions, there, None, [GONE]) == []
        with sessions() as db:
            assert db.get_one(Run, lab.pretrain).state == "cancelled"
            assert stays(db, there, lab.ingest, tmp_path / "out") == [STAYS]
        assert removal_work.restore_kept(sessions, there) == 0
        engine.dispose()


def stays(db, storage: Storage, run_id: UUID, folder: Path) -> list[str]:
    artifacts.materialise(storage, artifacts.of_run(db, run_id, "posts").manifest, True, folder)
    return [record.post.id for record in ShardIndex.open(folder).iterate()]
