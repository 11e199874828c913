"""Helpers compute tasks from a run's board for the worker that holds the run, in a child process.

A helper writes only to that board, and the holder never depends on it. It ends when the board is gone, the lease has
passed to another worker, other runs wait in the queue, or its own worker shuts down.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from backend.store.errors import in_words
from backend.store.runs.states.helpers import token_to_help
from worker.context import Context, get_context
from worker.execute import CurrentRun
from worker.guardian import guard
from worker.inputs import POLL_SECONDS
from worker.stage_process import PROCESSES, kill

from .board import board_of

log = logging.getLogger("vise.worker")


def help_run(run_id: UUID, stopping: threading.Event, current: CurrentRun) -> None:
    """Help with a run until nothing is left to do; a late message, if the run is no longer held, is dropped."""
    context = get_context()
    with context.sessions() as db:
        token = token_to_help(db, run_id)
    if token is None or stopping.is_set():
        log.info("run %s no longer needs help; message dropped", run_id)
        return
    log.info("run %s: helping", run_id)
    current.run_id = run_id
    child = PROCESSES.Process(
        target=child_main, args=(run_id, token, dict(os.environ)), name=f"help for run {run_id}"
    )
    child.start()
    try:
        checked_at = time.monotonic()
        while child.exitcode is None and not stopping.is_set():
            if time.monotonic() - checked_at > context.settings.lease_seconds / 4:
                checked_at = time.monotonic()
                if not _needs_help(context, run_id, token):
                    break
            time.sleep(POLL_SECONDS)
    finally:
        kill(child)
        current.run_id = None
    log.info("run %s: done with helping, exit code %s", run_id, child.exitcode)


def _needs_help(context: Context, run_id: UUID, token: int) -> bool:
    """Return True if the run still has this token and no other run waits for a worker."""
    try:
        with context.sessions() as db:
            return token_to_help(db, run_id) == token
    except SQLAlchemyError as error:
        # Without the database no other worker can claim the run either.
        log.warning("run %s: the database does not respond; helping continues: %s", run_id, in_words(error))
        return True


def child_main(run_id: UUID, token: int, environment: dict[str, str]) -> None:
    """Compute tasks in the helper's process."""
    guard(partial(_help, run_id, token), environment)


def _help(run_id: UUID, token: int) -> int:
    # Imported here, so that the worker itself starts without torch.
    from vise_core.engagement.clustering.distributed import help_leader

    context = get_context()
    board = board_of(context.state_storage(run_id, token), context.store)
    help_leader(board, threads=os.cpu_count() or 1, name=os.getpid())
    return 0
