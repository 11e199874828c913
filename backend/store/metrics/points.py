"""Curves of metrics: repeatable writes of points, and reads of a bounded number of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.store.metrics.tables import MetricLatest
from backend.store.runs.states.lease import check_token
from vise_client.schemas.metrics import Curve, MetricQuery

from . import chunks, marks, summaries

SYSTEM = "system/"
"""Prefix of telemetry curves, which are never listed among a stage's metrics."""


class Point(NamedTuple):
    """One value of one curve. ``at`` is the time of measurement, in UTC."""

    key: str
    step: int
    value: float
    epoch: float | None
    at: datetime


_KNOWN = text(
    """
    SELECT key, step FROM metric_points JOIN unnest(CAST(:keys AS text[]), CAST(:steps AS bigint[])) AS new (key, step)
    USING (key, step) WHERE run_id = :run_id
    """
)
_WRITE = text(
    """
    INSERT INTO metric_points (run_id, key, step, value, epoch, at)
    SELECT :run_id, (CAST(:keys AS text[]))[key], step, value, epoch, at
    FROM unnest(CAST(:key AS int[]), CAST(:step AS bigint[]), CAST(:value AS float8[]), CAST(:epoch AS float8[]),
                CAST(:at AS timestamptz[])) AS new (key, step, value, epoch, at)
    """
)


def append(db: Session, run_id: UUID, token: int, points: Sequence[Point]) -> None:
    """Write points under the run's token; points that exist already are skipped, as a resumed run may repeat them.

    Raises StaleToken if the run is no longer held with this token.
    """
    check_token(db, run_id, token)
    new = _unknown(db, run_id, points)
    if not new:
        return
    names, steps, values, epochs, times = zip(*new, strict=True)
    first_steps: dict[str, int] = {}
    for key, step in zip(names, steps, strict=True):
        first_steps.setdefault(key, step)
    numbers = {key: place for place, key in enumerate(first_steps, start=1)}
    arrays = {
        "key": _array([numbers[key] for key in names]),
        "step": _array(steps),
        "value": _array(values),
        "epoch": _array(epochs),
        "at": _array(times),
    }
    db.execute(_WRITE, {"run_id": run_id, "keys": list(first_steps), **arrays})
    summaries.count_in(db, run_id, list(zip(names, steps, values, strict=True)))
    chunks.rebuild(db, run_id, first_steps)


def _unknown(db: Session, run_id: UUID, points: Sequence[Point]) -> list[Point]:
    """Return the points that are not in the history, sorted by curve and step; duplicates keep the first.

    Only the holder of a run writes its points, so reading before writing is enough. Points after a curve's highest step
    need no look-up.
    """
    by_place: dict[tuple[str, int], Point] = {}
    for point in points:
        by_place.setdefault((point.key, point.step), point)
    names = list({key for key, _ in by_place})
    highest = select(MetricLatest.key, MetricLatest.step).where(
        MetricLatest.run_id == run_id, MetricLatest.key.in_(names), MetricLatest.step.is_not(None)
    )
    last: dict[str, int] = dict(db.execute(highest).all())  # type: ignore[arg-type]
    late = [(key, step) for key, step in by_place if key in last and step <= last[key]]
    if late:
        parameters = {
            "run_id": run_id,
            "keys": [key for key, _ in late],
            "steps": _array([s for _, s in late]),
        }
        for key, step in db.execute(_KNOWN, parameters):
            del by_place[key, step]
    return [by_place[place] for place in sorted(by_place)]


def _array(values: Sequence[object]) -> str:
    """Return numbers or times as a PostgreSQL array literal: the driver is slow at long lists."""
    return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"


# The requested curves with their number of whole chunks.
_CURVES = text(
    """
    SELECT c.run_id, c.key, coalesce(newest.chunk + 1, 0) AS chunks
    FROM metric_latest c
    LEFT JOIN LATERAL (
        SELECT chunk FROM metric_chunks m WHERE m.run_id = c.run_id AND m.key = c.key ORDER BY chunk DESC LIMIT 1
    ) AS newest ON true
    WHERE c.run_id = ANY(:runs) AND c.step IS NOT NULL AND (:every OR c.key = ANY(:keys))
      AND starts_with(c.key, :prefix) AND (:prefix <> '' OR NOT starts_with(c.key, :system) OR NOT :every)
    """
)
# A short curve, whole. The sorted rows come from the index; OFFSET 0 keeps them so.
_SHORT = text(
    """
    SELECT run_id, key, curve.*
    FROM unnest(CAST(:runs AS uuid[]), CAST(:keys AS text[])) AS requested (run_id, key) CROSS JOIN LATERAL (
        SELECT array_agg(step) AS steps, array_agg(value) AS values, array_agg(epoch) AS epochs, array_agg(at) AS times
        FROM (
            SELECT step, value, epoch, at FROM metric_points p
            WHERE p.run_id = requested.run_id AND p.key = requested.key ORDER BY step OFFSET 0
        ) AS sorted
    ) AS curve
    WHERE curve.steps IS NOT NULL
    """
)
# A long curve, by its whole chunks: a bucket's extremes are those of its chunks. The points after the last whole chunk
# form one chunk. OFFSET 0 keeps the planner on the index of the history.
_LONG = text(
    """
    WITH requested AS (
        SELECT * FROM unnest(CAST(:runs AS uuid[]), CAST(:keys AS text[])) AS requested (run_id, key)
    ), whole AS (
        SELECT *, count(*) OVER (PARTITION BY run_id, key) AS chunks FROM requested JOIN metric_chunks USING (run_id, key)
    ), lengths AS (
        SELECT run_id, key, chunks, max(last_step) AS last_step FROM whole GROUP BY run_id, key, chunks
    ), rest AS (
        SELECT run_id, key, chunks, step, value FROM lengths l CROSS JOIN LATERAL (
            SELECT step, value FROM metric_points p
            WHERE p.run_id = l.run_id AND p.key = l.key AND p.step > l.last_step OFFSET 0
        ) AS later
    ), parts AS (
        SELECT run_id, key, chunk::bigint * :buckets / (chunks + 1) AS bucket, low, low_step, high, high_step FROM whole
        UNION ALL
        SELECT run_id, key, chunks * :buckets / (chunks + 1), value, step, value, step FROM rest
    ), extremes AS (
        SELECT run_id, key,
               (array_agg(low_step ORDER BY low IN ('NaN', 'Infinity', '-Infinity'), low, low_step))[1] AS low_step,
               (array_agg(high_step ORDER BY high IN ('NaN', 'Infinity', '-Infinity'), high DESC, high_step))[1]
               AS high_step
        FROM parts GROUP BY run_id, key, bucket
    ), ends AS (
        SELECT run_id, key, lengths.chunks * :size + count(rest.step) AS total, greatest(last_step, max(rest.step)) AS last_step
        FROM lengths LEFT JOIN rest USING (run_id, key) GROUP BY run_id, key, lengths.chunks, last_step
    ), kept AS (
        SELECT run_id, key, low_step AS step FROM extremes WHERE :points >= 4
        UNION SELECT run_id, key, high_step FROM extremes WHERE :points >= 4
        UNION SELECT run_id, key, last_step FROM ends
        UNION SELECT run_id, key, first.step FROM ends CROSS JOIN LATERAL (
            SELECT step FROM metric_points p WHERE p.run_id = ends.run_id AND p.key = ends.key ORDER BY step LIMIT 1
        ) AS first
    )
    SELECT run_id, key, total, step, value, epoch, at
    FROM kept JOIN ends USING (run_id, key) CROSS JOIN LATERAL (
        SELECT value, epoch, at FROM metric_points p
        WHERE p.run_id = kept.run_id AND p.key = kept.key AND p.step = kept.step OFFSET 0
    ) AS point
    ORDER BY run_id, key, step
    """
).bindparams(size=chunks.SIZE)


def curves(db: Session, query: MetricQuery) -> list[Curve]:
    """Return the curves of several runs in the requested order, each with at most ``query.points`` points.

    Per curve, steps are cut into buckets of equal count. The points with the least and the greatest value of each
    bucket stay, and so do the first and the last: peaks survive, and equal requests give equal points. A value that is
    not finite stays only in a bucket without finite values; the curve's marks list these points.
    """
    # Two points per bucket, plus the first and the last.
    buckets = max(1, (query.points - 2) // 2)
    stored = db.execute(
        _CURVES,
        {
            "runs": query.run_ids,
            "every": query.keys is None,
            "keys": query.keys or [],
            "prefix": query.prefix,
            "system": SYSTEM,
        },
    ).all()
    short = _names([curve for curve in stored if curve.chunks < buckets])
    long = _names([curve for curve in stored if curve.chunks >= buckets])
    curves_read: list[Curve] = []
    if short["runs"]:
        # Few rows at a time, as whole curves are larger than what is kept of them.
        rows = db.execute(_SHORT, short, execution_options={"yield_per": 32})
        curves_read += (_thinned(row, query.points, buckets) for row in rows)
    if long["runs"]:
        rows = db.execute(_LONG, long | {"points": query.points, "buckets": buckets})
        for (run_id, key, total), group in groupby(rows, key=lambda row: (row.run_id, row.key, row.total)):
            curves_read.append(_curve(run_id, key, total, [(r.step, r.value, r.epoch, r.at) for r in group]))
    curves_read = marks.marked(db, curves_read)
    order = {run_id: position for position, run_id in reversed(list(enumerate(query.run_ids)))}
    return sorted(curves_read, key=lambda curve: (order[curve.run_id], curve.key))


def _names(curves: Sequence[Any]) -> dict[str, Any]:
    return {"runs": [curve.run_id for curve in curves], "keys": [curve.key for curve in curves]}


def _thinned(row: Any, points: int, buckets: int) -> Curve:
    """Down-sample a whole curve."""
    total = len(row.steps)
    kept: Sequence[int] = range(total)
    if total > points:
        edges = [-(-bucket * total // buckets) for bucket in range(buckets + 1)] if points >= 4 else []
        extremes = (_extremes(row.values, start, stop) for start, stop in pairwise(edges))
        kept = sorted({0, total - 1}.union(*extremes))
    stays = [(row.steps[place], row.values[place], row.epochs[place], row.times[place]) for place in kept]
    return _curve(row.run_id, row.key, total, stays)


def _extremes(values: Sequence[float], start: int, stop: int) -> tuple[int, int]:
    """Return the positions of the least and greatest value in [start, stop); of equal values the first."""
    part = values[start:stop]
    if all(map(math.isfinite, part)):
        return start + part.index(min(part)), start + part.index(max(part))
    finite = [place for place in range(start, stop) if math.isfinite(values[place])]
    # As PostgreSQL does for long curves: NaN is greater than all numbers.
    ranks = {place: (math.isnan(values[place]), values[place]) for place in finite or range(start, stop)}
    return min(ranks, key=ranks.__getitem__), max(ranks, key=ranks.__getitem__)


def _curve(
    run_id: UUID, key: str, total: int, points: Sequence[tuple[int, float, float | None, datetime]]
) -> Curve:
    return Curve(
        run_id=run_id,
        key=key,
        total=total,
        steps=[step for step, _, _, _ in points],
        values=[value if math.isfinite(value) else None for _, value, _, _ in points],
        epochs=[epoch for _, _, epoch, _ in points],
        times=[at for _, _, _, at in points],
    )


def keys(db: Session, run_id: UUID) -> list[str]:
    """Return the names of a run's curves and results."""
    return list(
        db.scalars(select(MetricLatest.key).where(MetricLatest.run_id == run_id).order_by(MetricLatest.key))
    )
