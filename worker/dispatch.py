"""The dispatcher: publishes the outbox to Celery and runs the reconciler. Several may run at once."""

from __future__ import annotations

import base64
import json
import logging
import math
import signal
import threading
import time
from contextlib import suppress
from uuid import UUID

import psycopg
from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from backend.store.database import listen
from backend.store.errors import in_words
from backend.store.runs import workers
from backend.store.runs.queues import QUEUES
from backend.store.runs.states import outbox
from backend.store.runs.states.outbox import CHANNEL
from backend.store.runs.states.reconcile import ReconcileResult, lock_holders, read_broker, reconcile
from vise_core.ending import end_in_time_after_signals

from .app import app
from .context import Context, get_context, require_schema
from .heartbeat import BEAT_SECONDS
from .sweep import sweep_storage

log = logging.getLogger("vise.dispatch")


def publish(task: str, argument: UUID, queue: str) -> None:
    """Send one message to the broker; raise at once if it does not respond."""
    app.send_task(task, args=[str(argument)], queue=queue, ignore_result=True, retry=False)


def main() -> None:
    """Publish and reconcile until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_in_time_after_signals()
    context = get_context()
    require_schema(context, stop)
    log.info("dispatching; reconciling every %.0f s", context.settings.reconcile_seconds)
    threading.Thread(target=sweep_storage, args=(context, stop), daemon=True).start()
    watch = Watch(context.settings.lease_seconds)
    while not stop.is_set():
        try:
            _serve(context, stop, watch)
        except (psycopg.Error, SQLAlchemyError, OSError) as error:
            log.warning("the database does not respond; retrying: %s", in_words(error))
            stop.wait(1)
    with suppress(SQLAlchemyError), context.sessions.begin() as db:
        workers.leave_dispatcher(db, context.name)


class Watch:
    """When the database was last reached: after a pause workers need time to renew their leases."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._reached_at = -math.inf
        self._settled_at = 0.0

    def settled(self) -> bool:
        """Note that the database responds; return whether it has for half a lease at least."""
        now = time.monotonic()
        if now - self._reached_at > self._lease_seconds:
            self._settled_at = now + self._lease_seconds / 2
        self._reached_at = now
        return now >= self._settled_at


def _serve(context: Context, stop: threading.Event, watch: Watch) -> None:
    """Publish at each NOTIFY and reconcile at intervals, until ``stop`` is set."""
    reconcile_at = beat_at = 0.0
    with listen(context.settings.database_url, CHANNEL) as connection:
        while not stop.is_set():
            if time.monotonic() >= reconcile_at:
                connection.execute("SELECT 1")  # Fails if the connection was cut in silence.
                more = _reconcile(context, watch)
                reconcile_at = time.monotonic() + (0 if more else context.settings.reconcile_seconds)
            responds, more = _publish(context)
            if time.monotonic() >= beat_at:
                require_schema(context, stop)
                with context.sessions.begin() as db:
                    workers.beat_dispatcher(db, context.name, responds and _broker_responds())
                beat_at = time.monotonic() + BEAT_SECONDS
            if not responds:
                stop.wait(1)
            pause = 0.0 if more else min(1.0, max(0.0, reconcile_at - time.monotonic()))
            for _ in connection.notifies(timeout=pause, stop_after=1):
                pass


def _publish(context: Context) -> tuple[bool, bool]:
    """Publish messages; return whether the broker responds, and whether it has more to get at once."""
    try:
        with context.sessions.begin() as db:
            return True, outbox.publish_due(db, publish)
    except _broker_errors() as error:
        log.warning("the broker does not respond; messages wait: %s", error)
        return False, False


def _broker_responds() -> bool:
    try:
        with app.connection_for_write() as connection:
            connection.default_channel.client.ping()
    except _broker_errors() as error:
        log.warning("the broker does not respond: %s", error)
        return False
    return True


def _in_broker() -> set[UUID] | None:
    """Return the ids that the messages in the broker carry; None if it does not respond."""
    ids = set()
    try:
        with app.connection_for_read() as connection:
            client = connection.default_channel.client
            for name in QUEUES:
                for message in client.lrange(name, 0, -1):
                    body = base64.b64decode(json.loads(message)["body"])
                    ids.add(UUID(json.loads(body)[0][0]))
    except _broker_errors() as error:
        log.warning("the broker does not respond: %s", error)
        return None
    return ids


def _broker_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions that the broker's client may raise.

    Those of a channel too: Valkey refuses even a ping (MISCONF) while its disk is full.
    """
    connection = app.connection_for_write()
    return (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)


def _reconcile(context: Context, watch: Watch) -> bool:
    """Requeue runs with an expired lease, and republish lost messages; return whether there may be more to do."""
    republish_seconds = context.settings.republish_seconds
    in_broker = read_broker(context.sessions, republish_seconds, _in_broker)
    with context.sessions.begin() as db:
        result = reconcile(
            db,
            retries=context.retries,
            republish_seconds=republish_seconds,
            prediction_timeout_seconds=context.settings.prediction_timeout_seconds,
            in_broker=in_broker,
            settled=watch.settled(),
        )
    if result != ReconcileResult():
        log.info("reconciled: %s", result)
    if result.locked:
        with context.sessions() as db:
            log.warning(
                "%d runs have lost their worker and cannot be requeued, as another transaction locks them; open for "
                "long: %s",
                result.locked,
                lock_holders(db),
            )
    return result.more
