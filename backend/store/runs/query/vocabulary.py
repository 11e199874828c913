"""Completions of queries: fields, spec paths, and the metrics and tags in use."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from backend.store.metrics.points import SYSTEM
from vise_client.schemas.run_lists import QueryField, Vocabulary

from .fields import FIELDS, paths

MOST = 500
RULE_HELP = {
    "final": "the number in the result, else the last value",
    "last": "the last value of the curve",
    "max": "the greatest value of the curve",
    "min": "the least value of the curve",
    "best": "the value at the step where validation was best",
}

# Steps from key to key in the index; DISTINCT would read every row.
_KEYS = text(
    """
    WITH RECURSIVE found AS (
        (SELECT key FROM metric_latest ORDER BY key LIMIT 1)
        UNION ALL
        SELECT (SELECT m.key FROM metric_latest m WHERE m.key > found.key ORDER BY m.key LIMIT 1)
        FROM found WHERE found.key IS NOT NULL
    )
    SELECT key FROM found WHERE key IS NOT NULL LIMIT :most
    """
)

_TAGS = text("SELECT tag FROM runs, unnest(tags) AS tag GROUP BY tag ORDER BY count(*) DESC, tag LIMIT :most")


def vocabulary(db: Session) -> Vocabulary:
    """Return all names that a query can contain, the most frequent tags first."""
    return Vocabulary(
        fields=[
            QueryField.of(f, choices=["true", "false"] if f.kind == "flag" else list(f.choices))
            for f in FIELDS.values()
        ],
        specs=paths(),
        metrics=[key for key in db.scalars(_KEYS, {"most": MOST}) if not key.startswith(SYSTEM)],
        tags=list(db.scalars(_TAGS, {"most": MOST})),
        rules=RULE_HELP,
    )
