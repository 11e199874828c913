"""Apply one action to many runs; each run has its own outcome."""

from __future__ import annotations

import time
from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.accounts import audit
from backend.store.accounts.ownership import require_owner
from backend.store.accounts.users import Identity
from backend.store.database import Sessions
from backend.store.errors import Conflict, Invalid, NotAllowed, NotFound
from backend.store.runs.create import Allowance, check_open_runs
from backend.store.runs.delete import delete_run
from backend.store.runs.read import get_run
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run, retry_run
from backend.store.runs.tables import Run
from vise_client.schemas.runs import BulkOutcome, BulkRequest

TRANSACTION_SECONDS = 0.5
"""Time after which a transaction takes no more runs: the workers of runs that it has locked wait to renew their leases."""


def apply(sessions: Sessions, request: BulkRequest, who: Identity, allowance: Allowance) -> list[BulkOutcome]:
    """Apply the action to the runs, newest first, so that a run is deleted before those that it reads.

    An error of one run does not affect the others. Several transactions follow one another, since each locks the runs
    that it has changed until its end. Raises Invalid if no tags are given to (un)tag.
    """
    if request.action in ("tag", "untag") and not request.tags:
        raise Invalid("tags", "give at least one tag")
    left = sorted(set(request.ids))
    outcomes: list[BulkOutcome] = []
    while left:
        with sessions.begin() as db:
            until = time.monotonic() + TRANSACTION_SECONDS
            while True:
                outcomes.append(_one(db, left.pop(), request, who, allowance))
                if not left or time.monotonic() > until:
                    break
            audit.write(db, who)
    return outcomes


def _one(db: Session, run_id: UUID, request: BulkRequest, who: Identity, allowance: Allowance) -> BulkOutcome:
    name = ""
    try:
        with db.begin_nested():
            run = get_run(db, run_id)
            name = run.name
            require_owner(who, "run", run.created_by)
            _do(db, run, request.action, request.tags, admin=allowance.admin)
            db.flush()
            if request.action == "retry":
                check_open_runs(db, run.created_by, 0, allowance)
    except (Conflict, NotAllowed, NotFound) as error:
        return BulkOutcome(id=run_id, name=name, done=False, message=str(error))
    return BulkOutcome(id=run_id, name=name, done=True, message="")


def _do(db: Session, run: Run, action: str, tags: list[str], *, admin: bool) -> None:
    match action:
        case "tag":
            run.tags = list(dict.fromkeys([*run.tags, *tags]))
        case "untag":
            run.tags = [tag for tag in run.tags if tag not in tags]
        case "star" | "unstar":
            run.starred = action == "star"
        case "archive" | "unarchive":
            run.archived = action == "archive"
        case "delete":
            delete_run(db, run.id)
        case "cancel":
            request_cancel(db, run.id)
        case "pause":
            request_pause(db, run.id)
        case "resume":
            resume_run(db, run.id, admin=admin)
        case "retry":
            retry_run(db, run.id, admin=admin)
