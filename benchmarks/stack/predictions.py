"""A VisE Studio with a prediction worker, and thin clients that post images to it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backend.store.database import connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Run
from vise_core.models.classifier import ImageClassifier, save_classifier

from .servers import running, workers

PREDICTIONS = "/api/v1/predictions"
BOUNDARY = "----vise-benchmark"
GIVE_UP = 300.0


@dataclass(frozen=True)
class Stack:
    """Address and API token of a running VisE Studio."""

    url: str
    token: str

    def client(self) -> Client:
        """Return a client with its own connection."""
        return Client(self)


class Client:
    """A thin client with one kept connection, since it shares the cores with the measured processes."""

    def __init__(self, stack: Stack) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=GIVE_UP)
        self._used = time.monotonic()
        self._headers = {
            "Authorization": f"Bearer {stack.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    def post(self, body: bytes) -> bytes:
        """Return the JSON of a prediction. Raises RuntimeError for any other response."""
        status, content = self._post(body)
        if status != 200:
            raise RuntimeError(f"{status}: {content[:500]!r}")
        return content

    def wake(self, body: bytes) -> None:
        """Send requests until the worker has loaded torch and the model and responds."""
        until = time.monotonic() + GIVE_UP
        while self._post(body)[0] == 202:
            if time.monotonic() > until:
                raise RuntimeError(f"no prediction in {GIVE_UP:g} s")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        if time.monotonic() - self._used > 2:
            self._connection.close()  # the server closes connections that are idle for 5 s
        self._connection.request("POST", PREDICTIONS, body, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        self._used = time.monotonic()
        return response.status, content


def form(jpeg: bytes, **fields: str) -> bytes:
    """Return the multipart body of a prediction request."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x.jpg"\r\n\r\n'
    return "".join([*parts, head]).encode() + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving(folder: Path, classifier: ImageClassifier, threads: int) -> Iterator[Stack]:
    """Run the stack with ``classifier`` as its default model."""
    with running(folder, pages=False) as servers:
        storage = Storage(servers["storage"])
        save_classifier(folder / "predictor", classifier, {"synthetic": True})
        engine = connect(servers["database"])
        register(engine, storage, folder / "predictor", classifier.classes)
        engine.dispose()
        with workers(servers, folder, ["dispatch"], ["run", "--queues", "predict"], threads=threads):
            yield Stack(servers["api"], servers["token"])


def register(engine: object, storage: Storage, predictor: Path, classes: tuple[str, ...]) -> None:
    """Write an evaluation run with this predictor, and register the model of it."""
    manifest, sha256 = artifacts.upload(storage, predictor)
    size = sum(row["size"] for row in manifest)
    with session_factory(engine).begin() as db:  # type: ignore[arg-type]
        run = Run(kind="stage", stage="evaluate", name="benchmark", state="succeeded", queue="cpu", spec={})
        db.add(run)
        db.flush()
        artifact = Artifact(
            run_id=run.id,
            name="predictor",
            sha256=sha256,
            size=size,
            files=len(manifest),
            folder=True,
            manifest=manifest,
        )
        db.add(artifact)
        db.flush()
        db.add(
            Model(
                name="benchmark",
                run_id=run.id,
                artifact_id=artifact.id,
                method="Random Init",
                task="none",
                backbone="resnet50",
                classes=list(classes),
                headline={},
                synthetic=True,
                default=True,
            )
        )
