"""The walk of an uploaded image: at most five rooms from the route to whatever is done with it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from fastapi import UploadFile
from fastapi.testclient import TestClient
from PIL import Image
from test_predict import photograph
from torch import Tensor

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from tests.pictures import encoded
from vise_core.predict import Prediction
from vise_core.predict.predictor import PreparedImage
from worker import predict
from worker.batches import Batcher
from worker.context import Context

ROOT = Path(__file__).parents[2]
PACKAGES = {"backend", "worker", "vise_core", "vise_client", "frontend"}
API = ["backend/api/serving", "backend/store/serving"]
WORKER = ["worker", "vise_core/predict"]
Walks = set[tuple[str, ...]]


def room(frame: FrameType) -> str | None:
    """The folder of the frame's file, if it is one of ours."""
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(ROOT):
        return None
    folder = path.relative_to(ROOT).parent
    return str(folder) if folder.parts and folder.parts[0] in PACKAGES else None


def is_image(value: object, upload: bytes) -> bool:
    """Whether a value is the upload, or its picture in any form up to the pixels that the network reads."""
    if isinstance(value, list | tuple):
        return any(is_image(item, upload) for item in value)
    if isinstance(value, Tensor):
        return value.ndim >= 3 and value.shape[-3] == 3
    pictures = (UploadFile, Image.Image, PreparedImage, Prediction)
    return isinstance(value, pictures) or (isinstance(value, bytes) and value == upload)


@contextmanager
def walks(upload: bytes) -> Iterator[Walks]:
    """Collect the rooms on the stack, outermost first, of each of our functions that is called with the image."""
    seen: Walks = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or room(frame) is None:
            return
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not any(is_image(frame.f_locals[name], upload) for name in names):
            return
        rooms = []
        caller: FrameType | None = frame
        while caller is not None:
            rooms.append(room(caller))
            caller = caller.f_back
        seen.add(tuple(dict.fromkeys(each for each in reversed(rooms) if each is not None)))

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.parametrize("overlay", ["false", "true"])
def test_an_uploaded_image_crosses_at_most_five_rooms(service, broker_url, monkeypatch, overlay: str) -> None:
    upload = encoded(photograph(), "JPEG")
    cluster = service.cluster
    settings = Settings(
        database_url=cluster.environment["VISE_DATABASE_URL"],
        broker_url=broker_url,
        storage_url=cluster.storage.url,
        home=cluster.folder,
    )
    context = Context(settings, cluster.sessions, cluster.storage, "test")
    monkeypatch.setattr(predict, "get_context", lambda: context)
    # Only threads that start later are profiled, and another test may have started the thread of the batches.
    monkeypatch.setattr(predict, "_batcher", Batcher(predict.BATCH))
    headers = {"Authorization": f"Bearer {service.token}"}
    files, form = {"image": ("x", upload)}, {"wait": "0", "overlay": overlay}
    with walks(upload) as to_row, TestClient(create_app(settings), headers=headers) as api:
        queued = api.post(f"{PREFIX}/predictions", files=files, data=form).json()
    with walks(upload) as to_answer:
        predict.predict(queued["id"], threading.Event())
    with TestClient(create_app(settings), headers=headers) as api:
        answer = api.get(f"{PREFIX}/predictions/{queued['id']}").json()
    assert (answer["state"], bool(answer["overlay_png"])) == ("succeeded", overlay == "true")
    # The middleware of the API is on the stack of each route.
    stored = {tuple(each for each in walk if each != "backend/api") for walk in to_row}
    assert max(stored, key=len) == tuple(API)
    done = {walk[2:] for walk in to_answer if walk[:2] == tuple(WORKER)}
    assert done == {(), ("vise_core/posts/images",), ("vise_core/models",), ("vise_core/explain",)}
    assert max(map(len, stored)) + max(map(len, to_answer)) <= 5
