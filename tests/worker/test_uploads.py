"""An upload lies in the storage from the API's commit to the worker's, in a folder and in a bucket."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.api.app import PREFIX
from backend.settings import Settings
from backend.store.database import Sessions
from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Run
from backend.store.serving import engagement, predictions, uploads
from backend.store.serving.tables import Engagement, Prediction
from tests.pictures import encoded
from vise_core.specs.models.predict import EngagementOptions, PredictOptions
from worker import predict
from worker.context import Context

if TYPE_CHECKING:
    from bucket import Bucket

GrowOld = Callable[..., None]


@pytest.fixture(params=["folder", "bucket"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, GrowOld]:
    """A storage, and a function that makes one upload there two hours old."""
    if request.param == "folder":

        def set_back(key: str, seconds: float = 7200) -> None:
            os.utime(tmp_path / "uploads" / key, (time.time() - seconds,) * 2)

        return Storage(f"file://{tmp_path}"), set_back
    bucket: Bucket = request.getfixturevalue("bucket")
    storage = Storage("s3://bucket/vise")
    # fsspec gives one process one instance: that of the server of the test before.
    storage.fs = type(storage.fs)(skip_instance_cache=True)

    def grow_old(key: str, seconds: float = 7200) -> None:
        bucket.written[f"vise/uploads/{key}"] -= seconds

    return storage, grow_old


class Questions:
    """Writes questions to models that have no files: what is asked is never computed."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        spec = {"objective": "vise"}
        run = Run(kind="stage", stage="pretrain", name="r", state="succeeded", queue="cpu", spec=spec)
        facts = {"method": "m", "task": "t", "backbone": "b", "classes": ["a"], "headline": {}}
        with sessions.begin() as db:
            db.add(run)
            db.flush()
            files = {"sha256": "0" * 64, "size": 0, "files": 0, "folder": True, "manifest": []}
            predictor, checkpoint = (
                Artifact(run_id=run.id, name=name, **files) for name in ("predictor", "checkpoint")
            )
            db.add_all([predictor, checkpoint])
            db.flush()
            self.model = Model(name="m", run_id=run.id, artifact_id=predictor.id, synthetic=True, **facts)
            db.add(self.model)

    def predict(self, storage: Storage, data: bytes = b"x") -> tuple[UUID, str]:
        """(id, key of the upload) of what is queued."""
        asked = predictions.RequestInfo()
        with self.sessions.begin() as db:
            row = predictions.create(
                db, uploads.put(storage, data), self.model, PredictOptions(), None, asked
            )
            assert row.upload is not None
            return row.id, row.upload

    def engage(self, storage: Storage, data: bytes = b"x") -> tuple[UUID, str]:
        with self.sessions.begin() as db:
            row = engagement.create(db, uploads.put(storage, data), None, EngagementOptions(), None)
            assert row.upload is not None
            return row.id, row.upload


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def test_what_is_put_there_is_read_until_it_is_dropped(stored) -> None:
    storage, _ = stored
    data = os.urandom(2**20)
    one, other = uploads.put(storage, data), uploads.put(storage, b"")
    assert one != other
    assert (uploads.read(storage, one), uploads.read(storage, other)) == (data, b"")
    if storage.local:
        assert Path(storage.root, "uploads", one).stat().st_mode & 0o777 == 0o600
    for _ in range(2):
        uploads.drop(storage, one)
        assert uploads.read(storage, one) is None
    assert uploads.read(storage, other) == b""


@pytest.mark.parametrize("key", ["", "x", "../objects/aa", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\n"])
def test_what_is_no_key_is_no_path(tmp_path: Path, key: str) -> None:
    storage = Storage(f"file://{tmp_path}")
    for asked in (uploads.read, uploads.drop):
        with pytest.raises(StorageError, match="not the key of an upload"):
            asked(storage, key)


def test_an_upload_that_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        uploads.put(Storage(f"file://{tmp_path}"), "a text")  # type: ignore[arg-type]
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_and_its_name_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    key = uploads.put(Storage(f"file://{tmp_path}"), b"x")
    assert synced == [key, "uploads"]


def test_the_sweep_drops_old_ones_that_no_queued_question_names(stored, cluster) -> None:
    storage, grow_old = stored
    assert uploads.sweep(cluster.sessions, storage) == 0
    questions = Questions(cluster.sessions)
    orphan, young = uploads.put(storage, b"x"), uploads.put(storage, b"x")
    (_, waiting), (late, unread), (_, engaged) = (
        ask(storage) for ask in (questions.predict, questions.predict, questions.engage)
    )
    with cluster.sessions.begin() as db:
        predictions.fail(db, late, "no prediction worker answered in time")
        assert db.get_one(Prediction, late).upload is None
    for key in (orphan, waiting, unread, engaged):
        grow_old(key)
    assert uploads.sweep(cluster.sessions, storage) == 2
    left = {key for key in (orphan, young, waiting, unread, engaged) if uploads.read(storage, key)}
    assert left == {young, waiting, engaged}
    assert uploads.sweep(cluster.sessions, storage) == 0
    assert uploads.sweep(cluster.sessions, storage, grace_seconds=0) == 0, "its row may still be committed"
    grow_old(young, 61)
    assert uploads.sweep(cluster.sessions, storage) == 0
    assert uploads.sweep(cluster.sessions, storage, grace_seconds=0) == 1, "the young orphan"


def test_a_storage_that_does_not_answer_ends_no_sweep(cluster, tmp_path: Path, caplog) -> None:
    (tmp_path / "uploads").write_text("not a folder")
    assert uploads.sweep(cluster.sessions, Storage(f"file://{tmp_path}")) == 0
    assert "stay until the next sweep" in caplog.text


def test_the_dispatcher_sweeps(cluster) -> None:
    orphan = uploads.put(cluster.storage, b"x")
    os.utime(cluster.folder / "storage" / "uploads" / orphan, (0, 0))
    cluster.start("dispatch", name="dispatch")
    until = time.monotonic() + 60
    while uploads.read(cluster.storage, orphan) is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_who_asks_about_an_upload_that_is_gone_is_told_so(stored, cluster, monkeypatch) -> None:
    storage, _ = stored
    settings = Settings(database_url="postgresql://", broker_url="redis://", storage_url=storage.url)
    monkeypatch.setattr(predict, "get_context", lambda: Context(settings, cluster.sessions, storage, "test"))
    questions = Questions(cluster.sessions)
    kinds = (
        (questions.predict, predict.predict, Prediction),
        (questions.engage, predict.predict_engagement, Engagement),
    )
    for ask, answer, table in kinds:
        gone, key = ask(storage)
        uploads.drop(storage, key)
        answer(gone, Event())
        # One that is there: it fails for another reason, and is dropped.
        bad, dropped = ask(storage, b"no picture")
        answer(bad, Event())
        assert uploads.read(storage, dropped) is None
        with cluster.sessions() as db:
            rows = [db.get_one(table, asked) for asked in (gone, bad)]
            assert [(row.state, row.upload) for row in rows] == [("failed", None)] * 2
            assert rows[0].error == "the upload is gone; send the image again"
            assert rows[1].error != rows[0].error


def test_no_upload_outlives_its_question(api: TestClient, cluster) -> None:
    def ask(data: bytes, **form: str) -> tuple[int, dict]:
        response = api.post(
            f"{PREFIX}/predictions", files={"image": ("x", data)}, data={"wait": "30", **form}
        )
        return response.status_code, response.json()

    def there() -> list[Path]:
        return list(cluster.folder.glob("storage/uploads/*"))

    def wait_until_gone() -> None:
        # Who asked may be answered a moment before.
        until = time.monotonic() + 20
        while there():
            assert time.monotonic() < until, there()
            time.sleep(0.02)

    # Answered, refused by the worker, and neither: by the API, or from the row of then.
    until = time.monotonic() + 90
    while (answered := ask(picture(1)))[0] == 202:
        assert time.monotonic() < until
    assert answered[0] == 200
    wait_until_gone()
    assert ask(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)[0] == 422
    wait_until_gone()
    worker = cluster.processes[-1]
    worker.send_signal(signal.SIGSTOP)
    assert ask(picture(1))[0] == 200
    assert ask(picture(2), target_class="hunger")[0] == 422
    assert there() == []

    # Deleted while it waits.
    status, waits = ask(picture(2), wait="0")
    assert (status, [file.read_bytes() for file in there()]) == (202, [picture(2)])
    assert api.delete(f"{PREFIX}/predictions/{waits['id']}").status_code == 204
    assert there() == []

    # Lost while it waits.
    status, waits = ask(picture(3), wait="0")
    assert status == 202
    (file,) = there()
    file.unlink()
    worker.send_signal(signal.SIGCONT)
    until = time.monotonic() + 60
    while (found := api.get(f"{PREFIX}/predictions/{waits['id']}").json())["state"] == "queued":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (found["state"], found["error"]) == ("failed", "the upload is gone; send the image again")
