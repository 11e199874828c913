"""Results of evaluations, for tables and figures."""

from __future__ import annotations

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from vise_client.schemas import RunState
from vise_core.report import Comparison
from vise_core.report.qualitative import Pictures
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.explain import QualitativeResult

from . import artifacts
from .errors import Invalid
from .runs import get
from .storage import Storage
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


MAX_COMPARISONS = 200


def comparisons(db: Session, *, tag: str | None = None) -> list[Comparison]:
    """Succeeded comparisons of predictors, newest first; with ``tag``, those that carry it."""
    statement = select(Run).where(Run.stage == "qualitative", Run.state == RunState.succeeded)
    if tag is not None:
        statement = statement.where(Run.tags.contains([tag]))
    found = []
    for run in db.scalars(statement.order_by(Run.id.desc()).limit(MAX_COMPARISONS)):
        try:
            result = QualitativeResult.model_validate(run.result)
        except ValidationError:
            continue
        sources = {role: ref["run"] for role, ref in run.inputs.items() if ref.get("run")}
        found.append(Comparison(run=str(run.id), result=result, evaluations=sources))
    return found


def pictures(db: Session, storage: Storage) -> Pictures:
    """How to read the pictures of comparisons."""

    def read(run: str, file: str) -> bytes:
        artifact = artifacts.of_run(db, UUID(run), "comparison")
        return b"".join(storage.stream(artifacts.file_digest(artifact, file)[1]))

    return read
