"""The queues of the broker: which one a run waits in, and how full each is."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.store.runs.tables import Run
from vise_client.schemas.workers import QueueView
from vise_core.specs.stage import Queue
from vise_core.specs.stages import STAGES

from .workers import list_workers

RUN_QUEUES: tuple[str, ...] = get_args(Queue)
"""Queues of runs."""

PREDICT_QUEUE = "predict"
"""Queue of predictions and of other requests with one image."""

QUEUES = (*RUN_QUEUES, PREDICT_QUEUE)


def queue_of(stage: str | None) -> str:
    """Return the queue of a run: its stage's (``queue`` in ``specs/<stage>.py``), or ``none`` without a stage.

    A recipe or a sweep has no stage; no worker executes it. Raises KeyError for an unknown stage.
    """
    return "none" if stage is None else STAGES[stage].queue


def list_queues(db: Session) -> list[QueueView]:
    """Return all queues by name, those that only a worker serves included: queued runs, running runs, and workers."""
    served: Counter[str] = Counter()
    for worker in list_workers(db):
        if worker.alive:
            served.update(worker.queues)
    live = select(Run.queue, Run.state, func.count(), func.min(Run.queued_at)).where(
        Run.kind == "stage", Run.state.in_(("queued", "running", "cancelling"))
    )
    waiting: dict[str, tuple[int, datetime | None]] = {}
    running: Counter[str] = Counter()
    for queue, state, count, oldest in db.execute(live.group_by(Run.queue, Run.state)):
        if state == "queued":
            waiting[queue] = (count, oldest)
        else:
            running[queue] += count
    names = sorted({*QUEUES, *served, *waiting})
    return [
        QueueView(
            name=name,
            waiting=waiting.get(name, (0, None))[0],
            oldest_at=waiting.get(name, (0, None))[1],
            running=running[name],
            workers=served[name],
        )
        for name in names
    ]
