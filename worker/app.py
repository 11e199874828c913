"""The Celery app and its tasks. A message carries only an id; the worker reads the rest from the store."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from backend.settings import settings
from backend.store.runs.states.helpers import HELP_TASK
from backend.store.serving.engagement import TASK as ENGAGEMENT_TASK
from backend.store.serving.predictions import TASK as PREDICT_TASK

from .heartbeat import Heartbeat

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
    broker_transport_options={"socket_keepalive": True, "health_check_interval": 10},
)

stopping = threading.Event()
"""Set when this worker shuts down: its run saves its state and is queued again."""

heartbeat = Heartbeat()


@app.task(name="worker.execute_run", max_retries=0)  # type: ignore[untyped-decorator]
def execute_run(run_id: str) -> None:
    """Execute a queued run."""
    from .execute import execute

    execute(UUID(run_id), stopping, heartbeat)


@app.task(name=HELP_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def help_run(run_id: str) -> None:
    """Help the worker that holds a run."""
    from .helpers import help_run

    help_run(UUID(run_id), stopping, heartbeat)


@app.task(name=PREDICT_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def predict(prediction_id: str) -> None:
    """Finish a queued prediction."""
    from .predict import predict

    predict(UUID(prediction_id))


@app.task(name=ENGAGEMENT_TASK, max_retries=0)  # type: ignore[untyped-decorator]
def engagement(engagement_id: str) -> None:
    """Finish a queued prediction of engagement."""
    from .predict import predict_engagement

    predict_engagement(UUID(engagement_id))


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _start_heartbeat(instance: Any, **_: object) -> None:
    heartbeat.start(sorted(instance.app.amqp.queues.consume_from))


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_run(**_: object) -> None:
    stopping.set()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _stop_heartbeat(**_: object) -> None:
    heartbeat.stop()
