"""Inputs that take long to fetch are fetched outside any transaction: the database ends one that is idle for seconds."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from backend.store.database import SHORT, Limits
from backend.store.registry import dataset_versions
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Dataset, DatasetRead, Upload
from backend.store.runs.states.lease import Claim, claim_run
from backend.store.runs.tables import Run
from vise_core.files import listing
from vise_core.files.hashing import file_sha256
from worker import inputs
from worker.context import Context

IDLE_SECONDS, SLOW_SECONDS = 0.3, 1.2


@pytest.fixture
def limits() -> Limits:
    return replace(SHORT, idle_in_transaction=IDLE_SECONDS)


def claim(context: Context, stage: str, inputs: dict[str, dict[str, str]]) -> Claim:
    with context.sessions.begin() as db:
        run = Run(
            kind="stage", stage=stage, name="r", state="queued", queue="cpu", spec={}, inputs=inputs, token=0
        )
        db.add(run)
        db.flush()
        found = claim_run(db, run.id, context.name, 600)
    assert found is not None
    return found


def test_an_archive_that_takes_long_to_copy(context: Context, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.zip").write_bytes(b"a")
    sha256 = file_sha256(tmp_path / "a.zip")
    context.storage.put(tmp_path / "a.zip", sha256)
    with context.sessions.begin() as db:
        upload = Upload(name="a.zip", sha256=sha256, size=1)
        db.add(upload)
        db.flush()
    get = Storage.get

    def get_slowly(*arguments: object) -> None:
        time.sleep(SLOW_SECONDS)
        get(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Storage, "get", get_slowly)
    held = claim(
        context, "fetch", {"archive": {"upload": str(upload.id)}, "again": {"upload": str(upload.id)}}
    )
    leftover = tmp_path / f"{held.run_id}-0"
    (leftover / "inputs").mkdir(parents=True)
    task = inputs.prepare(context, held, tmp_path / "work")
    assert not leftover.exists(), "the workspace of an earlier attempt, whose worker was killed"
    assert [path.read_bytes() for path in task.inputs.values()] == [b"a", b"a"]
    assert task.input_hashes == {"archive": sha256, "again": sha256}


def test_a_folder_that_takes_long_to_list(context: Context, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    (tmp_path / "data" / "pictures" / "a.png").write_bytes(b"a")
    with context.sessions.begin() as db:
        dataset = Dataset(id=uuid4(), name="pictures", kind="images", folder="pictures", description="")
        db.add(dataset)
    held = claim(context, dataset_versions.SURVEY, {"dataset": {"dataset": str(dataset.id)}})
    with context.sessions.begin() as db:
        db.add(DatasetRead(run_id=held.run_id, role="dataset", dataset_id=dataset.id, name="pictures"))
    list_folder = listing.list_folder

    def list_slowly(folder: Path) -> Iterator[tuple[bytes, bytes]]:
        time.sleep(SLOW_SECONDS)
        return list_folder(folder)

    monkeypatch.setattr(listing, "list_folder", list_slowly)
    task = inputs.prepare(context, held, tmp_path / "work")
    assert task.inputs == {"dataset": tmp_path / "data" / "pictures"}
    assert task.names == {"dataset": "pictures"}
    with context.sessions() as db:
        assert db.scalar(select(DatasetRead.listing)) is not None
