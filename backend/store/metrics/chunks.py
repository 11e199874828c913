"""Extremes of each 64 points of a curve, so that a long curve is drawn without reading its history.

Chunk n holds the points number 64 n to 64 n + 63 in the order of steps. Chunks depend only on the points in the
history, not on when or in which order they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

SIZE = 64

# A late or deleted point moves all later points to other chunks.
_FORGET = text(
    """
    DELETE FROM metric_chunks AS c USING unnest(CAST(:keys AS text[]), CAST(:steps AS bigint[])) AS f (key, step)
    WHERE c.run_id = :run_id AND c.key = f.key AND c.last_step >= f.step
    """
)
# Values that are not finite come last, so that they hide no peak; of equal values the first counts.
_ADD = text(
    """
    INSERT INTO metric_chunks (run_id, key, chunk, last_step, low, low_step, high, high_step)
    SELECT :run_id, key, whole + n / :size, max(step),
           coalesce(min(value) FILTER (WHERE NOT odd), min(value)), (array_agg(step ORDER BY odd, value, step))[1],
           coalesce(max(value) FILTER (WHERE NOT odd), max(value)), (array_agg(step ORDER BY odd, value DESC, step))[1]
    FROM (
        SELECT f.key, coalesce(newest.chunk + 1, 0) AS whole, p.step, p.value,
               p.value IN ('NaN', 'Infinity', '-Infinity') AS odd,
               row_number() OVER (PARTITION BY f.key ORDER BY p.step) - 1 AS n
        FROM unnest(CAST(:keys AS text[])) AS f (key)
        LEFT JOIN LATERAL (
            SELECT chunk, last_step FROM metric_chunks
            WHERE run_id = :run_id AND key = f.key ORDER BY chunk DESC LIMIT 1
        ) AS newest ON true
        CROSS JOIN LATERAL (
            SELECT step, value FROM metric_points
            WHERE run_id = :run_id AND key = f.key AND step > coalesce(newest.last_step, :least)
            -- Keeps the planner on the index, whatever it thinks of the table.
            OFFSET 0
        ) AS p
    ) AS numbered
    GROUP BY key, whole, n / :size HAVING count(*) = :size
    """
)
_LEAST = -(2**63)
"""Below every step."""


def rebuild(db: Session, run_id: UUID, changed: Mapping[str, int]) -> None:
    """Update the chunks of a run. ``changed``: {curve: lowest step that was added or deleted}.

    The caller must hold the run (``states.check_token``): two writers would number the same points.
    """
    if not changed:
        return
    keys, steps = list(changed), list(changed.values())
    db.execute(_FORGET, {"run_id": run_id, "keys": keys, "steps": steps})
    db.execute(_ADD, {"run_id": run_id, "keys": keys, "size": SIZE, "least": _LEAST})
