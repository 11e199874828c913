"""A question is answered once, whatever becomes of its message."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest
import redis
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import select, text

from backend.api.app import PREFIX, create_app
from backend.local.processes import free_port
from backend.store.registry import models
from backend.store.runs import workers
from backend.store.runs.tables import Outbox
from backend.store.serving import predictions, uploads
from backend.store.serving.tables import Prediction
from tests.pictures import encoded
from vise_core.specs.models.predict import PredictOptions


def picture() -> bytes:
    return encoded(Image.new("RGB", (90, 60), "teal"), "PNG")


def write(cluster) -> UUID:
    """A question that is committed, and of which the broker knows nothing."""
    with cluster.sessions.begin() as db:
        model = models.get(db, None)
        asked = predictions.RequestInfo()
        return predictions.create(
            db, uploads.put(cluster.storage, picture()), model, PredictOptions(), None, asked
        ).id


def wait_answered(api: TestClient, asked: object) -> None:
    until = time.monotonic() + 90
    while (found := api.get(f"{PREFIX}/predictions/{asked}").json())["state"] == "queued":
        assert time.monotonic() < until, found
        time.sleep(0.1)
    assert found["state"] == "succeeded", found


def ask_one_that_is_killed(api: TestClient, cluster, where: str) -> None:
    """Of an API of its own, in which the lines ``where`` call ``killed`` at the wrong moment."""
    code = f"""
import os, signal, sys
killed = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{where}
import uvicorn
uvicorn.run("backend.api.app:create_app", factory=True, port=int(sys.argv[1]), log_level="error")
"""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", code, str(port)], env=cluster.environment)
    cluster.processes.append(process)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=dict(api.headers), timeout=60) as client:
        until = time.monotonic() + 60
        while True:
            try:
                client.get(f"{PREFIX}/health")
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)
        with pytest.raises(httpx.TransportError):
            client.post(f"{PREFIX}/predictions", files={"image": ("x", picture())})
    assert process.wait(20) == -signal.SIGKILL


def test_an_api_that_is_killed_between_commit_and_message_leaves_a_question_that_is_answered(
    api, cluster
) -> None:
    where = "from backend.api.broker import Broker\nBroker.publish = killed"
    ask_one_that_is_killed(api, cluster, where)
    (left,) = api.get(f"{PREFIX}/predictions").json()["items"]
    wait_answered(api, left["id"])


def test_an_api_that_is_killed_between_upload_and_commit_leaves_a_file_and_no_question(api, cluster) -> None:
    where = "from backend.store.serving import uploads\nput = uploads.put\nuploads.put = lambda *sent: killed(put(*sent))"
    ask_one_that_is_killed(api, cluster, where)
    assert api.get(f"{PREFIX}/predictions").json()["items"] == []
    (left,) = cluster.folder.glob("storage/uploads/*")
    assert left.read_bytes() == picture()
    os.utime(left, (0, 0))
    assert uploads.sweep(cluster.sessions, cluster.storage) == 1
    assert not left.exists()


def test_without_a_broker_the_question_waits_and_is_not_lost(api, cluster) -> None:
    settings = api.app.state.settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    with TestClient(create_app(settings), headers=api.headers) as lonely:
        began = time.monotonic()
        response = lonely.post(f"{PREFIX}/predictions", files={"image": ("x", picture())}, data={"wait": "0"})
        assert time.monotonic() - began < 4, "who asks does not wait for the broker"
    assert response.status_code == 202
    wait_answered(api, response.json()["id"])


def test_a_message_lost_with_the_broker_s_memory_is_sent_again(api, cluster, broker_url) -> None:
    worker = cluster.processes[-1]
    worker.send_signal(signal.SIGSTOP)
    response = api.post(f"{PREFIX}/predictions", files={"image": ("x", picture())}, data={"wait": "0"})
    with redis.Redis.from_url(broker_url) as broker:
        broker.flushall()
    worker.send_signal(signal.SIGCONT)
    wait_answered(api, response.json()["id"])


def test_of_many_who_hear_of_a_question_one_takes_it_up(api, cluster) -> None:
    for process in cluster.processes:
        process.kill()
        process.wait()
    asked = write(cluster)
    together = threading.Barrier(8)

    def take_up(_: int) -> predictions.PredictionRequest | None:
        together.wait()
        with cluster.sessions.begin() as db:
            return predictions.claim(db, asked, "w")

    with ThreadPoolExecutor(8) as pool:
        (work,) = [found for found in pool.map(take_up, range(8)) if found is not None]
    assert work.upload is not None
    assert uploads.read(cluster.storage, work.upload) == picture()
    assert (work.options, work.keep) == (PredictOptions(), False)


def test_only_what_nobody_took_up_for_a_while_and_what_a_dead_worker_took_up_is_announced_again(
    api, cluster
) -> None:
    for process in cluster.processes:
        process.kill()
        process.wait()
    new, taken, answered, unheard, dead, replaced = (write(cluster) for _ in range(6))
    with cluster.sessions.begin() as db:
        old = text("UPDATE predictions SET created_at = created_at - interval '1 minute' WHERE id != :new")
        db.execute(old, {"new": new})
        workers.beat(db, "lives", ["predict"], "cpu", None, started=True)
        workers.beat(db, "died", ["predict"], "cpu", None, started=True)
        db.execute(text("UPDATE workers SET heartbeat_at = now() - interval '16 s' WHERE name = 'died'"))
        for asked, worker in ((taken, "lives"), (dead, "died"), (replaced, "lives")):
            assert predictions.claim(db, asked, worker) is not None
        earlier = text("UPDATE predictions SET claimed_at = now() - interval '1 s' WHERE id = :id")
        db.execute(earlier, {"id": replaced})
        predictions.fail(db, answered, "no picture")
        assert predictions.republish(db) == 3
        assert predictions.republish(db) == 0, "their messages wait in the outbox"
        waiting = select(Outbox.argument).where(Outbox.task == predictions.TASK)
        assert set(db.scalars(waiting)) == {unheard, dead, replaced}
        assert db.get_one(Prediction, taken).claimed_by == "lives"
        assert predictions.claim(db, taken, "other") is None
        assert predictions.claim(db, taken, "lives", again=True) is not None, "its response was lost"
