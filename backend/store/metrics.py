"""Curves: history and latest value apart; writes that may be repeated; reads that stay small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from vise_client.schemas import Curve, MetricQuery

from . import summaries
from .states import check_token
from .tables import MetricLatest, MetricPoint

SYSTEM = "system/"
"""Names of the machine's curves begin so; they are never among those of the science."""


@dataclass(frozen=True)
class Point:
    """One value of one curve. ``at`` is when it was measured, UTC."""

    key: str
    step: int
    value: float
    epoch: float | None
    at: datetime


def append(db: Session, run_id: UUID, token: int, points: Sequence[Point]) -> None:
    """Write points under the run's token. Points written before are left as they are: a resumed run may repeat.

    Raises StaleToken where the run is another's now.
    """
    check_token(db, run_id, token)
    if not points:
        return
    rows = [{"run_id": run_id, **vars(point)} for point in points]
    # In one order in every transaction, so that two writers never wait for each other in a circle.
    rows.sort(key=lambda row: (row["key"], row["step"]))
    fresh = insert(MetricPoint).on_conflict_do_nothing()
    written = db.execute(fresh.returning(MetricPoint.key, MetricPoint.step, MetricPoint.value), rows)
    summaries.count_in(db, run_id, [(row.key, row.step, row.value) for row in written])


# Per curve, steps are cut into buckets of equal count; the rows of least and of greatest value of each bucket
# stay, and so do the first and the last: peaks survive, and the same call gives the same points. What is not a
# finite number comes last in a bucket, so that it hides no peak.
_SAMPLED = text(
    """
    WITH numbered AS (
        SELECT run_id, key, step, value, epoch, at,
               row_number() OVER curve AS n, count(*) OVER (PARTITION BY run_id, key) AS total
        FROM metric_points
        WHERE run_id = ANY(:runs) AND (:every OR key = ANY(:keys))
          AND starts_with(key, :prefix) AND (:prefix <> '' OR NOT starts_with(key, :system) OR NOT :every)
        WINDOW curve AS (PARTITION BY run_id, key ORDER BY step)
    ), bucketed AS (
        SELECT *, (n - 1) * :buckets / total AS bucket,
               value IN ('NaN', 'Infinity', '-Infinity') AS odd
        FROM numbered
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY run_id, key, bucket ORDER BY odd, value, step) AS low,
               row_number() OVER (PARTITION BY run_id, key, bucket ORDER BY odd, value DESC, step) AS high
        FROM bucketed
    )
    SELECT run_id, key, total, step, value, epoch, at FROM ranked
    WHERE total <= :points OR n = 1 OR n = total OR (:points >= 4 AND (low = 1 OR high = 1))
    ORDER BY array_position(:runs, run_id), key, step
    """
)


def curves(db: Session, query: MetricQuery) -> list[Curve]:
    """The curves of several runs, each of at most about ``query.points`` points, in the order asked for."""
    parameters: dict[str, Any] = {
        "runs": query.run_ids,
        "every": query.keys is None,
        "keys": query.keys or [],
        "prefix": query.prefix,
        "system": SYSTEM,
        "points": query.points,
        # Two points a bucket, and room for the first and the last.
        "buckets": max(1, (query.points - 2) // 2),
    }
    rows = db.execute(_SAMPLED, parameters).all()
    return [
        Curve(
            run_id=run_id,
            key=key,
            total=group[0].total,
            steps=[row.step for row in group],
            values=[row.value if math.isfinite(row.value) else None for row in group],
            epochs=[row.epoch for row in group],
            times=[row.at for row in group],
        )
        for (run_id, key), rows_ in groupby(rows, key=lambda row: (row.run_id, row.key))
        for group in [list(rows_)]
    ]


def keys(db: Session, run_id: UUID) -> list[str]:
    return list(
        db.scalars(select(MetricLatest.key).where(MetricLatest.run_id == run_id).order_by(MetricLatest.key))
    )
