"""The dispatcher: publishes the outbox to Celery and runs the reconciler. Several may run at once."""

from __future__ import annotations

import logging
import signal
import threading
import time
from uuid import UUID

import psycopg
from amqp.exceptions import ChannelError
from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from backend.store.database import plain_url
from backend.store.runs.queues import QUEUES
from backend.store.runs.states import outbox
from backend.store.runs.states.outbox import CHANNEL
from backend.store.runs.states.reconcile import ReconcileResult, reconcile
from backend.store.serving import uploads

from .app import app
from .context import Context, get_context

log = logging.getLogger("vise.dispatch")
UPLOADS_SECONDS = 300
"""Time between two passes over the uploads, which list all of them."""


def publish(task: str, argument: UUID, queue: str) -> None:
    """Send one message to the broker; raise at once if it does not respond."""
    app.send_task(task, args=[str(argument)], queue=queue, ignore_result=True, retry=False)


def main() -> None:
    """Publish and reconcile until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    context = get_context()
    log.info("dispatching; reconciling every %.0f s", context.settings.reconcile_seconds)
    threading.Thread(target=_sweep_uploads, args=(context, stop), daemon=True).start()
    while not stop.is_set():
        try:
            _serve(context, stop)
        except (psycopg.Error, SQLAlchemyError, OSError) as error:
            log.warning("the database does not respond; retrying: %s", error)
            stop.wait(1)


def _serve(context: Context, stop: threading.Event) -> None:
    """Publish at each NOTIFY and reconcile at intervals, until ``stop`` is set."""
    url = plain_url(context.settings.database_url)
    reconcile_at = 0.0
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        while not stop.is_set():
            if time.monotonic() >= reconcile_at:
                _reconcile(context)
                reconcile_at = time.monotonic() + context.settings.reconcile_seconds
            if not _publish(context):
                stop.wait(1)
            pause = min(1.0, max(0.0, reconcile_at - time.monotonic()))
            for _ in connection.notifies(timeout=pause, stop_after=1):
                pass


def _sweep_uploads(context: Context, stop: threading.Event) -> None:
    """Delete orphaned uploads; in another thread, so that a slow storage delays no run."""
    while not stop.is_set():
        uploads.sweep(context.sessions, context.storage)
        stop.wait(UPLOADS_SECONDS)


def _publish(context: Context) -> bool:
    """Publish all messages; return False if the broker does not respond."""
    try:
        while True:
            with context.sessions.begin() as db:
                if outbox.publish_due(db, publish) < outbox.BATCH:
                    return True
    except _broker_errors() as error:
        log.warning("the broker does not respond; messages wait: %s", error)
        return False


def _empty_queues() -> list[str]:
    """Return the queues in which the broker holds no message; none if it does not respond."""
    empty = []
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            for name in QUEUES:
                try:
                    if connection.default_channel.queue_declare(name, passive=True).message_count == 0:
                        empty.append(name)
                except ChannelError:  # The broker has no such queue yet.
                    empty.append(name)
    except _broker_errors() as error:
        log.warning("the broker does not respond: %s", error)
        return []
    return empty


def _broker_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions that the broker's client may raise."""
    return (KombuError, OSError, *app.connection_for_write().connection_errors)


def _reconcile(context: Context) -> None:
    """Requeue runs with an expired lease, and republish lost messages."""
    empty_queues = _empty_queues()
    with context.sessions.begin() as db:
        result = reconcile(
            db,
            max_attempts=context.settings.max_attempts,
            republish_seconds=context.settings.republish_seconds,
            prediction_timeout_seconds=context.settings.prediction_timeout_seconds,
            empty_queues=empty_queues,
        )
    if result != ReconcileResult():
        log.info("reconciled: %s", result)
