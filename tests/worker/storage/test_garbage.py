"""What is removed and what is not: objects, states, archives and workspaces, while others store and delete."""

import os
import signal
import threading
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from typer import Typer
from typer.testing import CliRunner

from backend.commands import gc as command
from backend.settings import settings
from backend.store.locks import BACKUP_LOCK
from backend.store.registry import artifacts, datasets
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Dataset, Upload
from backend.store.runs import workers
from backend.store.runs.create import Allowance, create_run
from backend.store.runs.delete import delete_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run
from backend.store.upkeep import archives, gc, marks, states, sweep, workspaces
from backend.store.upkeep.tables import Garbage
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from worker.inputs import _load_state
from worker.reporter import StoreReporter

RULES: archives.Rules = {"grace_seconds": 0, "retry_days": 1, "keep": False}


def test_the_objects_of_deleted_runs_are_removed_except_those_that_others_have_too(place) -> None:
    first, second = place.finished("mine", "both"), place.finished("both", "hers")
    assert sweep.remove_due(place.sessions, place.storage) == 0
    place.delete(first)
    assert place.contents() == {"mine", "both", "hers"}
    assert sweep.remove_due(place.sessions, place.storage) == 1
    assert place.contents() == {"both", "hers"}
    place.delete(second)
    sweep.remove_due(place.sessions, place.storage)
    assert list(place.storage.objects()) == []


def test_objects_in_a_bucket_are_removed_too(bucket, place, tmp_path: Path) -> None:
    place = type(place)(
        place.settings.model_copy(update={"storage_url": f"s3://bucket/{uuid4().hex}"}), tmp_path
    )
    place.storage.fs = type(place.storage.fs)(skip_instance_cache=True, use_listings_cache=False)
    place.delete(place.finished("one", "two"))
    assert sweep.remove_due(place.sessions, place.storage) == 2
    assert bucket.objects == {}
    place.engine.dispose()


def test_a_sweep_that_is_killed_is_continued_by_the_next(place, monkeypatch) -> None:
    place.delete(place.finished("one", "two"))

    def killed(self: Storage, digests: list[str]) -> None:
        self.delete(digests[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "delete_all", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep.remove_due(place.sessions, place.storage)
    assert len(list(place.storage.objects())) == 1
    assert sweep.remove_due(place.sessions, place.storage) == 2
    assert place.contents() == set()


def test_an_object_that_is_removed_before_its_row_is_written_is_stored_again(place, monkeypatch) -> None:
    first = place.finished("both")
    store, tries = artifacts.store, []

    def while_it_is_stored(storage: Storage, path: Path, manifest: list[dict]) -> None:
        store(storage, path, manifest)
        tries.append(path)
        if len(tries) == 1:
            place.delete(first)
            assert sweep.remove_due(place.sessions, place.storage) == 1

    monkeypatch.setattr(artifacts, "store", while_it_is_stored)
    place.finished("both", "new")
    assert len(tries) == 2
    assert place.contents() == {"both", "new"}
    monkeypatch.undo()
    place.finished("both")
    assert sweep.remove_due(place.sessions, place.storage) == 0


def test_whoever_stores_and_deletes_at_once_loses_nothing(place) -> None:
    """Four writers with the same few contents, each deleting what it has made, beside two sweeps without a pause."""
    stop, errors = threading.Event(), []

    def guarded(act) -> threading.Thread:
        def run() -> None:
            try:
                act()
            except BaseException as error:
                errors.append(error)
                stop.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        for turn in range(6):
            run_id = place.finished(f"content {turn % 2}", "always")
            if turn < 5:
                place.delete(run_id)

    def sweeps() -> None:
        while not stop.is_set():
            sweep.remove_due(place.sessions, place.storage)
            sweep.mark_orphans(place.sessions, place.storage, 0)

    sweepers, writers = [guarded(sweeps) for _ in range(2)], [guarded(write) for _ in range(4)]
    for thread in writers:
        thread.join()
    stop.set()
    for thread in sweepers:
        thread.join()
    assert errors == []
    with place.sessions() as db:
        named = {row["sha256"] for manifest in db.scalars(select(Artifact.manifest)) for row in manifest}
    assert named <= {sha256 for sha256, _ in place.storage.objects()}
    assert len(named) == 2


def test_what_no_row_names_yet_is_kept_for_the_grace_time(place) -> None:
    file = place.files("under way") / "under-way"
    manifest, _ = artifacts.upload(place.storage, file)
    assert sweep.mark_orphans(place.sessions, place.storage, 3600) == 1
    assert sweep.remove_due(place.sessions, place.storage) == 0
    with place.sessions.begin() as db:
        marks.claim(db, [manifest[0]["sha256"]])
    with place.sessions() as db:
        assert db.scalar(select(func.count()).select_from(Garbage)) == 0
    sweep.mark_orphans(place.sessions, place.storage, 0)
    assert sweep.remove_due(place.sessions, place.storage) == 1


def test_nothing_is_removed_while_a_backup_is_made(place) -> None:
    place.delete(place.finished("one"))
    with place.engine.connect() as backup:
        backup.execute(select(func.pg_advisory_lock(BACKUP_LOCK)))
        assert sweep.remove_due(place.sessions, place.storage) == 0
        backup.execute(select(func.pg_advisory_unlock_all()))
    assert sweep.remove_due(place.sessions, place.storage) == 1


def checkpoint(place, reporter: StoreReporter, content: str) -> None:
    reporter.checkpoint(place.files(content, "shared"))


def state_contents(place) -> set[str]:
    root = place.folder / "storage"
    texts = {(root / path).read_text() for path, _ in place.storage.files("checkpoints")}
    return {text for text in texts if not text.startswith("[")}


def test_a_run_keeps_its_newest_states_and_resumes_from_the_one_that_is_whole(place, tmp_path) -> None:
    run_id, reporter = place.held()
    for content in ("first", "second", "third"):
        checkpoint(place, reporter, content)
    reporter.close()
    assert state_contents(place) == {"second", "third", "shared"}

    with place.sessions() as db:
        run = db.get_one(Run, run_id)
    assert len(run.earlier_checkpoints) == 1
    assert states.outdated_states(place.sessions, place.storage, 0) == {}

    # The lists of files are what a state is found by.
    place.context.state_storage(run_id, 1).delete(run.checkpoint.partition("/")[2])
    place.change(run_id, state=RunState.queued.value)
    with place.sessions.begin() as db:
        claim = claim_run(db, run_id, "w", 600)
    _load_state(place.context, claim, tmp_path / "state")
    assert (tmp_path / "state" / "second").read_text() == "second"
    with place.sessions() as db:
        run = db.get_one(Run, run_id)
        lines = db.scalars(text("SELECT message FROM run_logs ORDER BY id")).all()
    assert (run.checkpoint, run.earlier_checkpoints) == (claim.checkpoints[1], [])
    assert "an earlier one is used" in lines[-1]

    place.storage.remove_files([path for path, _ in place.storage.files("checkpoints")])
    _load_state(place.context, claim, tmp_path / "state")
    assert not (tmp_path / "state").exists()
    with place.sessions() as db:
        assert (
            "starts from its beginning"
            in db.scalars(text("SELECT message FROM run_logs ORDER BY id")).all()[-1]
        )
        assert db.get_one(Run, run_id).checkpoint is None


def test_states_that_nothing_resumes_from_are_removed(place) -> None:
    ids = {}
    for name in ("held", "failed", "expired", "succeeded", "deleted"):
        ids[name], reporter = place.held()
        checkpoint(place, reporter, name)
        reporter.close()
    stale = place.files("of a dead worker") / "of-a-dead-worker"
    place.context.state_storage(ids["held"], 0).put(stale, artifacts.describe(stale)[1])
    for name in ("failed", "expired", "succeeded"):
        days = 40 if name == "expired" else 1
        place.change(
            ids[name],
            state="succeeded" if name == "succeeded" else "failed",
            finished_at=func.now() - text(f"interval '{days} days'"),
        )
    place.change(ids["deleted"], state="failed", finished_at=func.now())
    place.delete(ids["deleted"])
    gc.remove_outdated(place.sessions, place.storage, place.settings)
    assert state_contents(place) == {"held", "failed", "shared"}


def test_an_archive_goes_once_it_is_unpacked_unless_the_setting_keeps_it(place) -> None:
    ids: dict[str, UUID] = {}
    for name in ("unpacked", "under way", "no run"):
        manifest, sha256 = artifacts.upload(place.storage, place.files(name) / name.replace(" ", "-"))
        with place.sessions.begin() as db:
            upload = Upload(name=name, sha256=sha256, size=manifest[0]["size"])
            db.add(upload)
            db.flush()
            if name != "no run":
                body = {"stage": "fetch", "spec": {}, "inputs": {"archive": {"upload": upload.id}}}
                ids[name] = create_run(db, RunCreate.model_validate(body), None, Allowance(admin=True)).id
    place.change(ids["unpacked"], state="succeeded", finished_at=func.now())

    def names(**changed: object) -> set[str]:
        with place.sessions() as db:
            unused = archives.unused_archives(db, **(RULES | changed))
            return {db.get_one(Upload, row.id).name for row in unused}

    assert names() == {"unpacked", "no run"}
    assert names(keep=True) == {"no run"}
    assert names(grace_seconds=3600) == set()
    with place.sessions.begin() as db:
        assert archives.remove_archives(db, **RULES) == 2
    sweep.remove_due(place.sessions, place.storage)
    assert place.contents() == {"under way"}


def test_all_that_is_deleted_leaves_no_object(place) -> None:
    fetch, read = place.finished("downloaded"), place.finished("computed")
    with place.sessions.begin() as db:
        db.execute(update(Artifact).where(Artifact.run_id == fetch).values(name="data"))
        dataset = Dataset(name="d", kind="posts", run_id=fetch)
        db.add(dataset)
        db.flush()
        datasets.delete(db, dataset.id)
    sweep.remove_due(place.sessions, place.storage)
    assert place.contents() == {"computed"}
    with place.sessions() as db:
        assert db.get_one(Run, fetch).state == "succeeded", "the run stays"
    for run_id in (fetch, read):
        place.delete(run_id)
    sweep.remove_due(place.sessions, place.storage)
    assert [path for path, _ in place.storage.files("")] == []


def test_a_state_that_is_replaced_while_a_pass_reads_is_left_to_the_next(place) -> None:
    run_id, reporter = place.held()
    checkpoint(place, reporter, "first")
    with place.sessions() as db:
        _, _, key = db.get_one(Run, run_id).checkpoint.partition("/")
    place.context.state_storage(run_id, 1).delete(key)
    assert states.outdated_states(place.sessions, place.storage, -60) == {}
    place.change(run_id, state="failed")
    assert states.outdated_states(place.sessions, place.storage, -60) != {}
    reporter.close()


def test_parts_that_killed_writers_left_in_a_bucket_go_after_the_grace_time(
    bucket, place, tmp_path: Path
) -> None:
    place = type(place)(place.settings.model_copy(update={"storage_url": "s3://bucket/vise"}), tmp_path)
    place.storage.fs = type(place.storage.fs)(skip_instance_cache=True, use_listings_cache=False)
    now = time.time()
    bucket.parts |= {"vise/objects/aa/old": 0.0, "vise/objects/aa/young": now, "of/others": 0.0}
    listed = {
        kind.kind: kind.things for kind in gc.find_removable(place.sessions, place.storage, place.settings)
    }
    assert list(listed["files that were never completed"]) == ["objects/aa/old, parts in the bucket"]
    gc.remove_outdated(place.sessions, place.storage, place.settings)
    assert bucket.parts == {"vise/objects/aa/young": now, "of/others": 0.0}
    place.engine.dispose()


def test_workspaces_of_dead_runs_go_and_nothing_else(place) -> None:
    held, reporter = place.held()
    reporter.close()
    folder = place.settings.workspaces
    for name in (f"{held}-1", f"{held}-0", f"{uuid4()}-3", "mine"):
        (folder / name / "inputs").mkdir(parents=True)
    assert workspaces.remove_workspaces(place.sessions, folder.resolve()) == 2
    assert {path.name for path in folder.iterdir()} == {f"{held}-1", "mine"}


def test_models_that_a_dead_worker_copied_go_and_those_of_the_living_stay(place) -> None:
    folder = place.settings.workspaces.resolve()
    for name in ("dead", "lives", "starts"):
        copy = folder / "predictors" / name / "0a" / "head.safetensors"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(b"x" * 10)
        if name != "starts":
            os.utime(copy.parents[1], (0, 0))
    with place.sessions.begin() as db:
        for name in ("dead", "lives"):
            workers.beat(db, name, ["predict"], "cpu", None)
        db.execute(
            text("UPDATE workers SET heartbeat_at = now() - interval '11 minutes' WHERE name = 'dead'")
        )
    assert workspaces.dead_copies(place.sessions, folder) == [folder / "predictors" / "dead"]
    assert workspaces.remove_workspaces(place.sessions, folder) == 1
    assert {path.name for path in (folder / "predictors").iterdir()} == {"lives", "starts"}


def test_a_worker_begins_without_the_copies_of_a_killed_one_of_its_name(cluster) -> None:
    copy = cluster.folder / "work" / "predictors" / "predict" / "0a"
    copy.mkdir(parents=True)
    cluster.start("run", "--queues", "predict", name="predict")
    until = time.monotonic() + 60
    while copy.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_gc_lists_what_would_go_and_removes_it_only_when_told_to(place, monkeypatch) -> None:
    place.delete(place.finished("one", "two"))
    half = place.folder / "storage" / "incoming" / "half"
    half.write_bytes(b"12345")
    os.utime(half, (0, 0))
    dead = place.settings.workspaces / f"{uuid4()}-1"
    dead.mkdir(parents=True)
    (dead / "large").write_bytes(b"x" * 1000)
    for name in ("database_url", "broker_url", "storage_url", "home"):
        monkeypatch.setenv(f"VISE_{name.upper()}", str(getattr(place.settings, name)))
    settings.cache_clear()
    app = Typer()
    app.command()(command)
    listed = CliRunner().invoke(app, ["--names"])
    assert listed.exit_code == 0, listed.output
    lines = {
        line.split("bytes  ")[1]: line.split()[:2] for line in listed.output.splitlines() if "bytes  " in line
    }
    assert lines["objects of deleted runs and data"] == ["2", "6"]
    assert lines["files that were never completed"] == ["1", "5"]
    assert lines["workspaces of dead runs on this host"] == ["1", "1,000"]
    assert len(list(place.storage.objects())) == 2
    assert half.exists()
    assert dead.exists()
    assert CliRunner().invoke(app, ["--apply"]).exit_code == 0
    assert list(place.storage.objects()) == []
    assert not half.exists()
    assert not dead.exists()


def test_runs_go_on_beside_sweeps_and_the_workspace_of_a_killed_worker_goes(cluster) -> None:
    cluster.environment |= {
        "VISE_GC_SECONDS": "0.1",
        "VISE_GC_SCAN_SECONDS": "0.1",
        "VISE_GC_GRACE_SECONDS": "60",
    }
    cluster.start("dispatch", name="dispatch")
    first = cluster.worker("first")
    run_id = cluster.create(spec={"steps": 40, "pause": 0.1})
    cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 12)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (dead,) = (cluster.folder / "work").iterdir()
    cluster.worker("second")
    run = cluster.wait_final(run_id)
    assert run.state is RunState.succeeded, (run.reason, run.error)
    assert run.result["started_at_step"] >= 10, "it went on from its checkpoint"
    artifact = run.artifacts[0]
    with cluster.sessions() as db:
        manifest = artifacts.get(db, artifact.id).manifest
    assert b"".join(cluster.storage.stream(manifest[0]["sha256"])) == b"40"
    until = time.monotonic() + 30
    while dead.exists() or list(cluster.storage.files("checkpoints")):
        assert time.monotonic() < until
        time.sleep(0.05)
    with cluster.sessions.begin() as db:
        delete_run(db, run_id)
    while list(cluster.storage.objects()):
        assert time.monotonic() < until
        time.sleep(0.05)
