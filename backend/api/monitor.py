"""Watches each part that a run needs. No check waits for ever, and none takes a thread or a connection of the routes."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from backend.settings import Settings
from backend.store.database import LIMITS, connect, session_factory
from backend.store.errors import in_words
from backend.store.registry.storage import Storage
from backend.store.runs import workers
from backend.store.schema import schema_problem
from vise_client.schemas.wire import PartHealth

CHECK_SECONDS = 3.0
"""Time between two checks that are made for the log."""
FRESH_SECONDS = 1.0
"""A result that is younger is reported again, so that many requests cost one check."""
STORAGE_FRESH_SECONDS = 10.0
"""The same for the storage, whose check writes and may be billed."""
RESPONSE_SECONDS = 4.0
"""A part whose check takes longer does not respond."""
FROM_DATABASE = ("database", "schema", "dispatcher", "workers")
BRIEF = replace(LIMITS, connect=2, pool=2, ping=1, statement=2, lock=1)
log = logging.getLogger("vise.health")

Check = Callable[[], list[PartHealth]]


class Monitor:
    """Checks the parts on request, and regularly to log what changes."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._engine = connect(settings.database_url, pool_size=1, limits=BRIEF)
        self._sessions = session_factory(self._engine)
        self._settings, self._storage = settings, storage
        self._probes = [
            _Probe(FROM_DATABASE, self._check_database, FRESH_SECONDS),
            _Probe(("broker",), self._check_broker, FRESH_SECONDS),
        ]
        self._storage_probe = _Probe(("storage",), self._check_storage, STORAGE_FRESH_SECONDS)
        self._probes.append(self._storage_probe)
        self._logged: dict[str, str] = {}
        # Addresses and names are for the log alone: the routes need no token.
        self._details: dict[str, str] = {}
        self.able_workers = 0
        """Workers that can claim runs or predictions, as of the last check."""

    async def check(self) -> list[PartHealth]:
        """Return the state of each part, within ``RESPONSE_SECONDS``."""
        results = {probe: asyncio.wrap_future(probe.start()) for probe in self._probes}
        await asyncio.wait(results.values(), timeout=RESPONSE_SECONDS)
        parts = []
        for probe, result in results.items():
            parts += result.result() if result.done() else probe.silent()
        return parts

    async def run(self) -> None:
        """Check again and again, and log each part whose state changes."""
        while True:
            for part in await self.check():
                if _kind(part.message) != _kind(self._logged.get(part.name, "")):
                    detail = self._details.get(part.name, "")
                    log.warning(
                        "%s: %s", part.name, f"{part.message} {detail}" if part.message else "well again"
                    )
                self._logged[part.name] = part.message
            await asyncio.sleep(CHECK_SECONDS)

    def storage_hangs(self) -> bool:
        """Return whether the newest check of the storage has no response yet, although it is overdue."""
        return self._storage_probe.overdue()

    def schema_problem(self) -> str | None:
        """Return what is wrong with the database's tables now; None if they fit, or cannot be checked."""
        try:
            with self._sessions() as db:
                return schema_problem(db.connection())
        except SQLAlchemyError:
            return None

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def _check_database(self) -> list[PartHealth]:
        try:
            with self._sessions() as db:
                schema = schema_problem(db.connection())
                if schema is not None:
                    unknown = "unknown, as the database's tables are of another version"
                    return _parts(database="", schema=schema, dispatcher=unknown, workers=unknown)
                dispatcher = workers.dispatcher_problem(db)
                self.able_workers, problems = workers.worker_problems(db)
        except SQLAlchemyError as error:
            self._details["database"] = in_words(error)
            return _database_away("the database does not respond")
        self._details["workers"] = "; ".join(f"{name} {what}" for name, what in problems.items())
        sentences = [f"one worker {what}" for what in problems.values()][:3]
        if not self.able_workers:
            sentences.insert(0, "no worker can claim runs, start one with `vise worker`")
        parts = _parts(database="", schema="", dispatcher=dispatcher or "", workers="; ".join(sentences))
        # With one worker that is well runs go on.
        parts[-1].ok = self.able_workers > 0
        return parts

    def _check_broker(self) -> list[PartHealth]:
        # Imported here: the client takes a thirtieth of the API's start, and this check has a thread of its own.
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            client = redis.Redis.from_url(
                self._settings.broker_url,
                socket_connect_timeout=2,
                socket_timeout=2,
                retry=Retry(NoBackoff(), 0),
            )
            with client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            self._details["broker"] = str(error)
            return _parts(broker="the broker does not respond")
        return _parts(broker="")

    def _check_storage(self) -> list[PartHealth]:
        try:
            self._storage.probe()
        except Exception as error:  # of the system, fsspec or the bucket's client: there are many
            self._details["storage"] = str(error)
            return _parts(storage="the storage cannot be written and read")
        return _parts(storage="")


class _Probe:
    """One check, in a thread of its own; a check that hangs is not started a second time."""

    def __init__(self, names: tuple[str, ...], check: Check, fresh_seconds: float) -> None:
        self.names, self._check, self._fresh_seconds = names, check, fresh_seconds
        self._future: Future[list[PartHealth]] | None = None
        self._started_at = 0.0
        self._lock = threading.Lock()

    def start(self) -> Future[list[PartHealth]]:
        """Return the check that is under way or has just ended, or start one."""
        with self._lock:
            now = time.monotonic()
            future = self._future
            if future is None or (future.done() and now - self._started_at > self._fresh_seconds):
                future = self._future = Future()
                self._started_at = now
                threading.Thread(target=self._run, args=(future,), name=self.names[0], daemon=True).start()
            return future

    def overdue(self) -> bool:
        """Return whether a check is under way that has taken longer than any check should."""
        with self._lock:
            under_way = self._future is not None and not self._future.done()
            return under_way and time.monotonic() - self._started_at > RESPONSE_SECONDS

    def silent(self) -> list[PartHealth]:
        """Return that nothing has responded."""
        message = f"no response for {time.monotonic() - self._started_at:.0f} s"
        return _database_away(message) if "database" in self.names else _parts(**{self.names[0]: message})

    def _run(self, future: Future[list[PartHealth]]) -> None:
        with suppress(asyncio.InvalidStateError):
            try:
                future.set_result(self._check())
            except BaseException as error:
                future.set_exception(error)


def _kind(message: str) -> str:
    """Return the message without its numbers, which change all the time."""
    return re.sub(r"\d+", "", message)


def _parts(**problems: str) -> list[PartHealth]:
    return [PartHealth(name=name, ok=not message, message=message) for name, message in problems.items()]


def _database_away(message: str) -> list[PartHealth]:
    unknown = "unknown, as the database does not respond"
    return _parts(database=message, schema=unknown, dispatcher=unknown, workers=unknown)
