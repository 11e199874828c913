"""Points of curves that are not finite: their positions, and their names in JSON, which has no such numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from vise_client.schemas.metrics import Curve, Mark, NotFinite

MOST = 100
"""Approximate number of marks per curve, besides the first and the last; more could not be told apart in a chart."""

_MARKS = text(
    """
    SELECT run_id, key, odd.* FROM unnest(CAST(:runs AS uuid[]), CAST(:keys AS text[])) AS requested (run_id, key)
    CROSS JOIN LATERAL (
        SELECT step, value, epoch, at, total FROM (
            SELECT step, value, epoch, at, count(*) OVER () AS total, row_number() OVER (ORDER BY step) AS number
            FROM metric_points p
            WHERE p.run_id = requested.run_id AND p.key = requested.key AND p.value IN ('NaN', 'Infinity', '-Infinity')
        ) AS numbered
        WHERE number IN (1, total) OR number % (total / :most + 1) = 0
    ) AS odd
    ORDER BY run_id, key, step
    """
).bindparams(most=MOST)


def marked(db: Session, curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves, each with marks at its points that are not finite."""
    if not curves:
        return []
    parameters = {"runs": [curve.run_id for curve in curves], "keys": [curve.key for curve in curves]}
    totals: dict[tuple[object, str], int] = {}
    marks: dict[tuple[object, str], list[Mark]] = {}
    for row in db.execute(_MARKS, parameters):
        mark = Mark(step=row.step, value=not_finite_name(row.value), epoch=row.epoch, at=row.at)
        marks.setdefault((row.run_id, row.key), []).append(mark)
        totals[row.run_id, row.key] = row.total
    return [
        curve.model_copy(update={"marks": marks[curve_id], "not_finite": totals[curve_id]})
        if (curve_id := (curve.run_id, curve.key)) in marks
        else curve
        for curve in curves
    ]


def wire_number(value: float) -> float | NotFinite:
    """Return a number in a form that JSON can hold."""
    return value if math.isfinite(value) else not_finite_name(value)


def not_finite_name(value: float) -> NotFinite:
    """Return the name of NaN, inf or -inf in JSON."""
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
