"""Summaries of curves for run lists, which never read the history.

Each number depends only on the points in the history, not on when or in which order they were written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.orm import Session

from backend.store.runs.tables import Run
from vise_core.specs.stage import Best
from vise_core.specs.stages import STAGES

_UPSERT = text(
    """
    INSERT INTO metric_latest AS kept (run_id, key, step, value, min, min_step, max, max_step)
    VALUES (:run_id, :key, :step, :value, :min, :min_step, :max, :max_step)
    ON CONFLICT (run_id, key) DO UPDATE SET
        step = greatest(kept.step, excluded.step),
        value = CASE WHEN excluded.step > kept.step OR kept.step IS NULL THEN excluded.value ELSE kept.value END,
        min = least(kept.min, excluded.min),
        min_step = CASE WHEN kept.min IS NULL OR (excluded.min, excluded.min_step) < (kept.min, kept.min_step)
                        THEN excluded.min_step ELSE kept.min_step END,
        max = greatest(kept.max, excluded.max),
        max_step = CASE WHEN kept.max IS NULL OR (excluded.max, -excluded.max_step) > (kept.max, -kept.max_step)
                        THEN excluded.max_step ELSE kept.max_step END
    """
)
_AT_BEST = text(
    """
    UPDATE metric_latest AS kept SET at_best = found.value
    FROM (SELECT m.key, p.value FROM metric_latest m
          LEFT JOIN metric_points p ON p.run_id = m.run_id AND p.key = m.key AND p.step = :best
          WHERE m.run_id = :run_id) AS found
    WHERE kept.run_id = :run_id AND kept.key = found.key AND kept.at_best IS DISTINCT FROM found.value
    """
)
_FINAL = text(
    """
    INSERT INTO metric_latest (run_id, key, final, finals) VALUES (:run_id, :key, :final, :finals)
    ON CONFLICT (run_id, key) DO UPDATE SET final = excluded.final, finals = excluded.finals
    """
).bindparams(bindparam("finals", type_=ARRAY(DOUBLE_PRECISION)))
_VALIDATION = text(
    """
    SELECT CASE WHEN :highest THEN max_step ELSE min_step END FROM metric_latest
    WHERE run_id = :run_id AND key = :key
    """
)


def count_in(db: Session, run_id: UUID, points: Sequence[tuple[str, int, float]]) -> None:
    """Update the summaries with new points (key, step, value)."""
    if not points:
        return
    by_key: dict[str, list[tuple[int, float]]] = {}
    for key, step, value in points:
        by_key.setdefault(key, []).append((step, value))
    db.execute(_UPSERT, [{"run_id": run_id, "key": key, **_extent(by_key[key])} for key in sorted(by_key)])
    key, best = leading_curve(db, run_id)
    step = db.scalar(_VALIDATION, {"run_id": run_id, "key": key, "highest": best == "max"})
    if step is not None and (key in by_key or any(s == step for _, s, _ in points)):
        db.execute(_AT_BEST, {"run_id": run_id, "best": step})


def set_final(db: Session, run: Run, headline: Mapping[str, float], result: Mapping[str, Any]) -> None:
    """Store the numbers of a succeeded run's result, with their values on each split if there are several."""
    splits = STAGES[run.stage or ""].per_split(result)
    rows = [
        {"run_id": run.id, "key": key, "final": value, "finals": splits.get(key)}
        for key, value in sorted(headline.items())
    ]
    if rows:
        db.execute(_FINAL, rows)


def leading_curve(db: Session, run_id: UUID) -> tuple[str, Best]:
    """Return the validation curve that selects the best epoch, and whether its maximum or minimum is best."""
    stage, spec = db.execute(select(Run.stage, Run.spec).where(Run.id == run_id)).one()
    return STAGES[stage].leading(spec)


def _extent(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    step, value = max(points)
    finite = [(v, s) for s, v in points if math.isfinite(v)]
    low = min(finite, default=(None, None))
    high = max(finite, key=lambda point: (point[0], -point[1]), default=(None, None))
    return {
        "step": step,
        "value": value,
        "min": low[0],
        "min_step": low[1],
        "max": high[0],
        "max_step": high[1],
    }
