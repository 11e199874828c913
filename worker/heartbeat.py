"""The heartbeat of a worker: its row in the table of workers, with queues, device and current run.

The worker also sends messages to itself through the broker: if they do not come back, no run's message would either.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from backend.store.errors import in_words
from backend.store.runs import workers
from backend.store.schema import schema_problem

from .context import get_context

BEAT_SECONDS = 3.0
DEAF_SECONDS = 10.0
"""Time without a message from itself after which a worker that could fetch messages counts as deaf."""
JOIN_SECONDS = 2.0
"""Time for which a worker that ends waits for a heartbeat that is under way."""
log = logging.getLogger("vise.worker")


class Heartbeat:
    """Updates the worker's row in a thread until stopped.

    ``run_id`` is the run that the worker executes, ``stage_runs`` whether the process of its stage runs, and
    ``record_until`` until when its end may be recorded.
    """

    def __init__(self) -> None:
        self.run_id: UUID | None = None
        self.stage_runs = False
        self.record_until = 0.0
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._heard_at = time.monotonic()

    def start(self, queues: Sequence[str], send: Callable[[], None], busy: Callable[[], bool]) -> None:
        """Start the threads: ``send`` sends a message to this worker, ``busy`` is true while it fetches none."""
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._beat, args=(queues, busy), name="heartbeat", daemon=True)
        self._thread.start()
        threading.Thread(target=self._talk, args=(send, busy), name="talk", daemon=True).start()

    def has_run(self) -> bool:
        """Return whether the stage of a run has yet to end, or to have its end recorded."""
        return self.stage_runs or time.monotonic() < self.record_until

    def hear(self) -> None:
        """Note that a message from this worker has come back."""
        self._heard_at = time.monotonic()

    def stop(self) -> None:
        """Stop the threads, and delete the worker's row."""
        self._done.set()
        if self._thread is not None:
            # Else a heartbeat that is under way could write the row again.
            self._thread.join(JOIN_SECONDS)
        try:
            with get_context().sessions.begin() as db:
                workers.leave(db, get_context().name)
        except SQLAlchemyError as error:
            log.warning("the worker's row could not be deleted: %s", error)

    def _beat(self, queues: Sequence[str], busy: Callable[[], bool]) -> None:
        device, started, heard = _device(), True, True
        while not self._done.is_set():
            if busy():
                self._heard_at = time.monotonic()
            hears = time.monotonic() - self._heard_at < DEAF_SECONDS
            if hears is not heard:
                heard = hears
                log.warning("messages through the broker %s", "arrive again" if hears else "do not arrive")
            try:
                with get_context().sessions.begin() as db:
                    problem = schema_problem(db.connection())
                    if problem is None:
                        workers.beat(
                            db, get_context().name, queues, device, self.run_id, hears=hears, started=started
                        )
                started = False
            except SQLAlchemyError as error:
                problem = None
                log.warning("the database does not respond; retrying: %s", in_words(error))
            except Exception:  # a worker without a heartbeat would count as dead
                problem = None
                log.exception("the heartbeat failed; retrying")
            if problem is not None:
                log.error("%s. This worker ends.", problem)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._done.wait(BEAT_SECONDS)

    def _talk(self, send: Callable[[], None], busy: Callable[[], bool]) -> None:
        """Send messages; in another thread than the heartbeat, since the broker may not respond."""
        while not self._done.wait(BEAT_SECONDS):
            if busy():
                continue
            try:
                send()
            except Exception as error:  # Celery, kombu and the client library have no common base class
                log.warning("the broker does not respond; retrying: %s", error)


def _device() -> str:
    """Return the GPU's name, or the number of cores, without importing torch."""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            # A GPU's driver can hang; the worker still beats.
            log.warning("the name of the GPU is not known: %s", error)
            return "GPU"
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip().splitlines()[0]
    return f"cpu, {os.cpu_count()} cores"
