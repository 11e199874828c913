"""Runs written straight into the tables, for tests of lists: any state, spec, metrics and age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from backend.store.metrics import summaries
from backend.store.registry import dataset_reads
from backend.store.runs import identity
from backend.store.runs.tables import Run
from vise_core.specs.stages import validate_spec

NOW = datetime.now(UTC)


def add_run(
    db: Session,
    *,
    stage: str = "evaluate",
    spec: dict[str, Any] | None = None,
    state: str = "succeeded",
    headline: dict[str, float] | None = None,
    result: dict[str, Any] | None = None,
    curve: dict[str, list[tuple[int, float]]] | None = None,
    minutes: float = 0,
    **values: Any,
) -> Run:
    """One run of a stage, ``minutes`` old, with the numbers that lists show of it."""
    run = Run(
        kind="stage",
        stage=stage,
        state=state,
        queue=values.pop("queue", "gpu"),
        spec=validate_spec(stage, spec or {}).model_dump(mode="json"),
        headline=headline or {},
        created_at=NOW - timedelta(minutes=minutes),
        name=values.pop("name", stage),
        **values,
    )
    db.add(run)
    db.flush()
    identity.identify(db, [run])
    identity.write_params(db, [run])
    dataset_reads.record(db, [run])
    for key, points in (curve or {}).items():
        summaries.count_in(db, run.id, [(key, step, value) for step, value in points])
    summaries.set_final(db, run, headline or {}, result or {})
    return run
