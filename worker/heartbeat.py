"""The heartbeat of a worker: its row in the table of workers, with queues, device and current run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from backend.store.runs import workers

from .context import get_context

BEAT_SECONDS = 5.0
log = logging.getLogger("vise.worker")


class Heartbeat:
    """Updates the worker's row in a thread until stopped. ``run_id`` is the run that the worker executes."""

    def __init__(self) -> None:
        self.run_id: UUID | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, queues: Sequence[str]) -> None:
        """Start the thread that sends the heartbeat."""
        self._thread = threading.Thread(target=self._beat, args=(queues,), name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and delete the worker's row."""
        self._done.set()
        try:
            with get_context().sessions.begin() as db:
                workers.leave(db, get_context().name)
        except SQLAlchemyError as error:
            log.warning("the worker's row could not be deleted: %s", error)

    def _beat(self, queues: Sequence[str]) -> None:
        device = _device()
        while not self._done.is_set():
            try:
                with get_context().sessions.begin() as db:
                    workers.beat(db, get_context().name, queues, device, self.run_id)
            except SQLAlchemyError as error:
                log.warning("the database does not respond; retrying: %s", error)
            self._done.wait(BEAT_SECONDS)


def _device() -> str:
    """Return the GPU's name, or the number of cores, without importing torch."""
    import os
    import shutil
    import subprocess

    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip().splitlines()[0]
    return f"cpu, {os.cpu_count()} cores"
