"""Requests that hang in a storage, before any check has noticed it, take neither the health routes nor connections."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from backend.store.database import connect, session_factory
from tests.belongings import belongings
from tests.serving import serving
from vise_client.schemas.accounts import Role

HANGING = 45
"""More than the server has threads."""


def test_the_health_routes_answer_while_predictions_hang_in_the_storage(
    settings: Settings, tokens: dict[Role, str]
) -> None:
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        model_id = belongings(db, "editor@example.org")["model_id"]
    engine.dispose()
    app = create_app(settings.model_copy(update={"storage_url": "memory://hanging"}))
    fs, hanging, go_on = app.state.storage.fs, threading.Semaphore(0), threading.Event()
    pipe_file = fs.pipe_file

    def hang(path: str, data: bytes) -> None:
        if "/uploads/" in path:  # the monitor's own file is written: it notices nothing
            hanging.release()
            go_on.wait(120)
        pipe_file(path, data)

    def predict(number: int) -> int:
        fields: dict[str, Any] = {"model_id": model_id, "wait": 0}
        files = {"image": ("x", b"\xff\xd8\xff" + bytes([number]))}
        return http.post("/predictions", data=fields, files=files).status_code

    headers = {"Authorization": f"Bearer {tokens[Role.editor]}"}
    limits = httpx.Limits(max_connections=None)
    with (
        serving(app) as address,
        httpx.Client(base_url=f"{address}{PREFIX}", headers=headers, timeout=120, limits=limits) as http,
        ThreadPoolExecutor(HANGING) as threads,
    ):
        fs.pipe_file = hang
        try:
            answers = [threads.submit(predict, number) for number in range(HANGING)]
            for _ in range(40):
                assert hanging.acquire(timeout=60)
            assert app.state.engine.pool.checkedout() == 0
            assert not app.state.monitor.storage_hangs()
            for route, status in (("live", 204), ("health", 200), ("ready", 503)):
                began = time.monotonic()
                assert http.get(f"/{route}", timeout=30).status_code == status
                assert time.monotonic() - began < 6
        finally:
            go_on.set()
            del fs.pipe_file
        assert {answer.result() for answer in answers} == {202}
