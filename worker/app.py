"""The Celery app and its tasks. A message carries only an id; the worker reads the rest from the store."""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down
from celery.worker import state
from kombu.entity import Queue

from backend.settings import settings
from backend.store.errors import in_words
from backend.store.serving.engagement import TASK as ENGAGEMENT_TASK
from backend.store.serving.predictions import TASK as PREDICT_TASK
from vise_core.ending import end_in_time

from .context import get_context
from .heartbeat import Heartbeat
from .predict import clear_copies
from .sweep import CacheClearing, follow_removals, sweep_workspaces

QUEUE_SECONDS = 60
"""Lifetime of a worker's own queue and its messages."""

app = Celery("vise", broker=settings().broker_url)
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # Early acks: the lease in PostgreSQL, not the broker, decides who runs what (celery#5935).
    task_acks_late=False,
    # A worker fetches a message only when it is free, so that idle workers get the others.
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # One try: by default kombu tries for 6 s while a thread waits.
    broker_transport_options={
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "socket_connect_timeout": 3,
        "socket_timeout": 5,
        "socket_keepalive": True,
        # A connection on which no reply comes for 1 s and twice this time was cut in silence, and is replaced.
        "health_check_interval": 3,
    },
)

log = logging.getLogger("vise.worker")
HEAR_TASK = "worker.hear"
for _name in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(_name).addFilter(lambda record: HEAR_TASK not in record.getMessage())

stopping = threading.Event()
"""Set when this worker shuts down: its run saves its state and is queued again, and nothing waits any more."""

heartbeat = Heartbeat()


@app.task(name="worker.execute_run", max_retries=0)  # type: ignore[untyped-decorator]
def execute_run(run_id: str) -> None:
    """Execute a queued run."""
    from .execute import execute

    execute(UUID(run_id), stopping, heartbeat)


@app.task(name=PREDICT_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def predict(prediction_id: str) -> None:
    """Finish a queued prediction."""
    from .predict import predict

    predict(UUID(prediction_id), stopping)


@app.task(name=ENGAGEMENT_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def engagement(engagement_id: str) -> None:
    """Finish a queued prediction of engagement."""
    from .predict import predict_engagement

    predict_engagement(UUID(engagement_id), stopping)


@app.task(name=HEAR_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def hear() -> None:
    """Receive a message that this worker has sent to itself."""
    heartbeat.hear()


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _start_heartbeat(instance: Any, **_: object) -> None:
    queues = sorted(instance.app.amqp.queues.consume_from)
    # Expires with the worker: nobody else reads it.
    own = f"worker.{get_context().name}"
    queue = Queue(own, routing_key=own, expires=QUEUE_SECONDS)  # type: ignore[no-untyped-call]
    instance.app.amqp.queues.select_add(queue)

    def send() -> None:
        app.send_task(HEAR_TASK, queue=own, ignore_result=True, retry=False, expires=QUEUE_SECONDS)

    def busy() -> bool:
        return len(state.reserved_requests) >= int(instance.concurrency)

    # Before the first message is fetched: nothing is computed from what should be gone, or is incomplete.
    clear_copies(get_context())
    clearing = CacheClearing(get_context())
    try:
        clearing.follow()
    except Exception as error:  # of the database and of the system; the thread below tries again
        log.warning("the caches are cleared later: %s", in_words(error))
    heartbeat.start(queues, send, busy)
    threading.Thread(
        target=follow_removals,
        args=(get_context(), clearing, stopping),
        kwargs={"works": set(queues) != {"predict"}},
        daemon=True,
    ).start()
    threading.Thread(target=sweep_workspaces, args=(get_context(), stopping), daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_run(**_: object) -> None:
    stopping.set()
    end_in_time(heartbeat.has_run)


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _stop_heartbeat(**_: object) -> None:
    heartbeat.stop()
