"""A prediction waits for a storage that is away: it is neither failed nor lost."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

from backend.settings import Settings
from backend.store.registry import models
from backend.store.serving import predictions, uploads
from tests.pictures import encoded
from vise_core.specs.models.predict import PredictOptions
from worker import predict
from worker.context import Context


class Question:
    """A queued prediction whose storage is away, and the thread of a worker that has claimed it."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context, self.folder, self.aside = context, folder, folder.with_name("aside")
        self.stopping = threading.Event()
        picture = encoded(Image.new("RGB", (90, 60), "teal"), "PNG")
        info, options = predictions.RequestInfo(), PredictOptions()
        with context.sessions.begin() as db:
            model = models.get(db, None)
            self.id: UUID = predictions.create(
                db, uploads.put(context.storage, picture), model, options, None, info
            ).id
        self.thread = threading.Thread(target=lambda: predict.predict(self.id, self.stopping))

    def state(self) -> str | None:
        with self.context.sessions() as db:
            return predictions.state(db, self.id)

    def end(self) -> None:
        if self.aside.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.aside.rename(self.folder)
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join(60)


@pytest.fixture
def question(
    service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Question]:
    service.forget()
    cluster = service.cluster
    settings = Settings(
        database_url=cluster.environment["VISE_DATABASE_URL"],
        broker_url="redis://127.0.0.1:1/0",
        storage_url=cluster.storage.url,
        home=cluster.folder,
    )
    context = Context(settings, cluster.sessions, cluster.storage, "test")
    monkeypatch.setattr(predict, "get_context", lambda: context)
    made = Question(context, Path(cluster.storage.root))
    made.folder.rename(made.aside)
    made.thread.start()
    try:
        wait_until(lambda: "there is no folder" in caplog.text)
        yield made
    finally:
        made.end()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_it_is_answered_once_the_storage_is_back(question: Question) -> None:
    assert question.state() == "queued"
    question.aside.rename(question.folder)
    question.thread.join(120)
    assert question.state() == "succeeded"


def test_a_worker_that_ends_leaves_it_queued(question: Question) -> None:
    question.stopping.set()
    question.thread.join(20)
    assert not question.thread.is_alive()
    assert question.state() == "queued"


def test_nobody_waits_for_one_that_has_been_deleted(question: Question) -> None:
    with question.context.sessions.begin() as db:
        predictions.delete(db, question.id)
    question.thread.join(20)
    assert not question.thread.is_alive()
