"""Every deletion marks the objects that it leaves behind, so that the next sweep removes them without a scan."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from backend.store.errors import NotFound
from backend.store.registry import artifacts, datasets, models
from backend.store.registry.tables import Artifact, Dataset, Upload
from backend.store.runs.tables import Run
from backend.store.upkeep import archives, sweep
from tests.worker.storage.conftest import Place


def of_a_run(place: Place) -> None:
    """With several artifacts of several files, in folders."""
    run_id, reporter = place.held()
    for name in ("posts", "report", "image"):
        folder = place.files(f"gone with {name}", "gone with all")
        (folder / "images").mkdir()
        (folder / "images" / "1.png").write_text(f"image of {name}")
        reporter.artifact(name, folder)
    reporter.close()
    place.change(run_id, state="succeeded", finished_at=func.now(), lease_until=None)
    place.delete(run_id)


def of_a_child(place: Place) -> None:
    parent, child = place.finished(), place.finished("gone")
    place.change(child, parent_id=parent)
    place.delete(parent)


def of_a_replaced_artifact(place: Place) -> None:
    _, reporter = place.held()
    for content in ("gone", "stays"):
        reporter.artifact("posts", place.files(content))
    reporter.close()


def of_a_data_set(place: Place) -> None:
    run = place.finished("gone")
    archive = place.files("archive") / "archive"
    _, sha256 = artifacts.upload(place.storage, archive)
    with place.sessions.begin() as db:
        upload = Upload(name="archive.zip", sha256=sha256, size=7)
        dataset = Dataset(name="d", kind="posts", run_id=run)
        db.add_all([upload, dataset])
        db.flush()
        db.get_one(Run, run).inputs = {"archive": {"upload": str(upload.id)}}
        db.scalars(select(Artifact)).one().name = "data"
        db.flush()
        datasets.delete(db, dataset.id)


def of_an_archive(place: Place) -> None:
    _, sha256 = artifacts.upload(place.storage, place.files("gone") / "gone")
    with place.sessions.begin() as db:
        db.add(Upload(name="archive.zip", sha256=sha256, size=7))
    with place.sessions.begin() as db:
        archives.remove_archives(db, grace_seconds=0, retry_days=1, keep=False)


DELETIONS = [of_a_run, of_a_child, of_a_replaced_artifact, of_a_data_set, of_an_archive]


@pytest.mark.parametrize("delete", DELETIONS)
def test_what_is_left_behind_is_marked(place: Place, delete: Callable[[Place], None]) -> None:
    delete(place)
    sweep.remove_due(place.sessions, place.storage)
    assert place.contents() <= {"stays"}


def test_models_become_the_default_while_objects_are_removed(place: Place) -> None:
    """A sweep of a bucket takes minutes."""
    with sweep.sweeping(place.sessions) as allowed:
        assert allowed
        with place.sessions.begin() as db:
            db.execute(text("SET LOCAL lock_timeout = '2s'"))
            with pytest.raises(NotFound):
                models.set_default(db, uuid4())
    with place.sessions.begin() as db:
        with pytest.raises(NotFound):
            models.set_default(db, uuid4())
        with sweep.sweeping(place.sessions) as allowed:
            assert allowed
