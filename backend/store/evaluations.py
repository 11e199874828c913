"""Results of evaluations, for tables and figures."""

from __future__ import annotations

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from vise_client.schemas import RunState
from vise_core.specs.evaluate import EvaluateResult

from .errors import Invalid
from .runs import get
from .tables import Run

MAX_RESULTS = 20_000
"""Newest first; whatever is older appears in no table unless a tag selects it."""


def results(db: Session, *, tag: str | None = None) -> list[tuple[str, EvaluateResult]]:
    """(run id, result) of every succeeded evaluation, newest first; with ``tag``, of those that carry it.

    A result that today's schema cannot read, from an older version, is left out.
    """
    statement = select(Run.id, Run.result).where(Run.stage == "evaluate", Run.state == RunState.succeeded)
    if tag is not None:
        statement = statement.where(Run.tags.contains([tag]))
    rows = db.execute(statement.order_by(Run.id.desc()).limit(MAX_RESULTS))
    found = []
    for run_id, result in rows:
        try:
            found.append((str(run_id), EvaluateResult.model_validate(result)))
        except ValidationError:
            continue
    return found


def result(db: Session, run_id: UUID, field: str) -> EvaluateResult:
    """One run's result. Raises NotFound; Invalid where it is no succeeded evaluation."""
    run = get(db, run_id)
    if run.stage != "evaluate" or run.result is None:
        raise Invalid(field, f"the run {run_id} is not a succeeded evaluation")
    return EvaluateResult.model_validate(run.result)
