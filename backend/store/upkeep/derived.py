"""What depends on a run, data set, model or user, and what its deletion does with each: one statement lists all of it.

The deletions themselves: ``runs/delete.py``, ``registry/datasets.py``, ``registry/models.py``, ``accounts/deletion.py``
and the foreign keys of the tables. What they do is listed here by table, so a change there is a change here.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.accounts.users import Identity
from backend.store.registry.tables import Dataset, Model
from backend.store.rows import get_row
from backend.store.runs.tables import Run
from vise_client.schemas.derived import DeletionEffect, Derived, DerivedCount, DerivedItem

Thing = Literal["run", "data set", "model", "user"]
_TABLES: dict[Thing, type[Run] | type[Dataset] | type[Model] | type[User]] = {
    "run": Run,
    "data set": Dataset,
    "model": Model,
    "user": User,
}
_PRIVATE = ("prediction", "engagement prediction", "label", "audit log entry")
"""Only admins and their owners may find these, and read who made them."""

# Each part selects (effect, kind, id, name, owner, bytes). `family`: the run and its children; `below`: the runs that
# read from them, directly or not.
_ARTIFACTS = """
SELECT {effect}, 'artifact', a.id, a.name || ' of ' || r.name, r.created_by, a.size
FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE r.id IN (SELECT id FROM {runs})"""
_STATES = """
SELECT {effect}, 'saved state', NULL, r.name, r.created_by, NULL
FROM runs r WHERE r.checkpoint IS NOT NULL AND r.id IN (SELECT id FROM {runs})"""
_ENGAGEMENT = """
SELECT {effect}, 'engagement prediction', e.id, e.state, e.created_by, NULL FROM engagement e
WHERE EXISTS (SELECT FROM artifacts a WHERE a.id IN (e.checkpoint_id, e.inspection_id) AND a.run_id IN (SELECT id FROM {runs}))"""
_MODELS = """
SELECT {effect}, 'model', m.id, m.name, r.created_by, NULL
FROM models m JOIN runs r ON r.id = m.run_id WHERE r.id IN (SELECT id FROM {runs})"""
_PREDICTIONS = """
SELECT {effect}, 'prediction', p.id, coalesce(p.predicted, p.state), p.created_by,
  coalesce(octet_length(p.overlay), 0) + coalesce(octet_length(p.heat), 0) + coalesce(octet_length(p.picture), 0)
  + coalesce(octet_length(p.thumbnail), 0)
FROM predictions p WHERE {which}"""
_LABELS = """
SELECT {effect}, 'label', f.id, f.label, f.created_by, octet_length(f.picture) FROM feedback f WHERE {which}"""
# An archive that another run names too stays for that run.
_UPLOADS = """
SELECT CASE WHEN EXISTS (
    SELECT FROM runs o, jsonb_each(o.inputs) i
    WHERE i.value->>'upload' = u.id::text AND o.id NOT IN (SELECT id FROM {runs})
  ) THEN 'kept' ELSE 'deleted' END, 'uploaded archive', u.id, u.name, u.created_by, u.size
FROM uploads u WHERE u.id::text IN (
  SELECT i.value->>'upload' FROM runs r, jsonb_each(r.inputs) i WHERE r.id IN (SELECT id FROM {runs}))"""
_AUDIT = """
SELECT {effect}, 'audit log entry', a.id, a.action || ' ' || a.kind, a.user_id, NULL FROM audit a WHERE {which}"""

_OF_RUN = (
    """
WITH RECURSIVE family AS (SELECT id FROM runs WHERE id = :id OR parent_id = :id),
reached AS (SELECT id FROM family UNION SELECT r.id FROM reached JOIN runs r ON r.depends_on @> ARRAY[reached.id]),
below AS (SELECT id FROM reached EXCEPT SELECT id FROM family)""",
    """
SELECT 'blocks', 'run', r.id, r.name, r.created_by, NULL FROM runs r WHERE r.id IN (SELECT id FROM below)""",
    _MODELS.format(effect="'blocks'", runs="reached"),
    """
SELECT 'blocks', 'data set', d.id, d.name, NULL, NULL FROM datasets d WHERE d.run_id IN (SELECT id FROM reached)""",
    """
SELECT 'deleted', 'run', r.id, r.name, r.created_by, NULL FROM runs r WHERE r.parent_id = :id""",
    _ARTIFACTS.format(effect="'deleted'", runs="family"),
    _STATES.format(effect="'deleted'", runs="family"),
    _UPLOADS.format(runs="family"),
    """
SELECT 'deleted', 'log', NULL, r.name, r.created_by, NULL
FROM runs r WHERE r.id IN (SELECT id FROM family)""",
    _ENGAGEMENT.format(effect="'deleted'", runs="family"),
    """
SELECT 'deleted', 'ablation', b.id, b.name, b.created_by, NULL
FROM ablations b WHERE b.baseline_id IN (SELECT id FROM family)""",
    """
SELECT 'kept', 'data set version', v.id, d.name || ', version ' || v.number, NULL, NULL
FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id
WHERE v.run_id IN (SELECT id FROM family) OR v.survey_id IN (SELECT id FROM family)""",
    _AUDIT.format(effect="'kept'", which="a.target_id IN (SELECT id FROM family)"),
)
_OF_DATASET = (
    """
WITH RECURSIVE readers AS (SELECT DISTINCT run_id AS id FROM dataset_reads WHERE dataset_id = :id),
maker AS (SELECT run_id AS id FROM datasets WHERE id = :id AND run_id IS NOT NULL),
reached AS (SELECT id FROM readers UNION SELECT r.id FROM reached JOIN runs r ON r.depends_on @> ARRAY[reached.id]),
below AS (SELECT id FROM reached UNION
  SELECT r.parent_id FROM reached JOIN runs r USING (id) WHERE r.parent_id IS NOT NULL),
derived_models AS (SELECT id FROM models WHERE run_id IN (SELECT id FROM below))""",
    """
SELECT CASE WHEN r.id IN (SELECT id FROM readers) AND r.stage IS DISTINCT FROM 'survey'
    AND r.state NOT IN ('succeeded', 'failed', 'cancelled') THEN 'blocks' ELSE 'kept, marked' END,
  'run', r.id, r.name, r.created_by, NULL FROM runs r WHERE r.id IN (SELECT id FROM below)""",
    """
SELECT 'deleted', 'version', v.id, 'version ' || v.number, NULL, NULL
FROM dataset_versions v WHERE v.dataset_id = :id""",
    """
SELECT 'deleted', 'artifact', a.id, a.name || ' of ' || r.name, r.created_by, a.size
FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE r.id IN (SELECT id FROM maker) AND a.name = 'data'""",
    _UPLOADS.format(runs="maker"),
    _MODELS.format(effect="'kept, marked'", runs="below"),
    _ARTIFACTS.format(effect="'kept'", runs="below"),
    _STATES.format(effect="'kept'", runs="below"),
    _ENGAGEMENT.format(effect="'kept'", runs="below"),
    _PREDICTIONS.format(effect="'kept'", which="p.model_id IN (SELECT id FROM derived_models)"),
    _LABELS.format(
        effect="'kept'",
        which="f.prediction_id IN (SELECT id FROM predictions WHERE model_id IN (SELECT id FROM derived_models))",
    ),
    """
SELECT 'kept', 'run', r.id, r.name, r.created_by, NULL FROM runs r WHERE r.id IN (SELECT id FROM maker)""",
    """
SELECT 'kept', 'registered folder', NULL, d.folder, NULL, NULL
FROM datasets d WHERE d.id = :id AND d.folder IS NOT NULL""",
    _AUDIT.format(effect="'kept'", which="a.target_id = :id"),
)
_OF_MODEL = (
    "",
    _PREDICTIONS.format(effect="'deleted'", which="p.model_id = :id"),
    _LABELS.format(
        effect="'kept'", which="f.prediction_id IN (SELECT id FROM predictions WHERE model_id = :id)"
    ),
    """
SELECT 'kept', 'run', r.id, r.name, r.created_by, NULL FROM models m JOIN runs r ON r.id = m.run_id WHERE m.id = :id""",
    """
SELECT 'kept', 'artifact', a.id, a.name, NULL, a.size
FROM models m JOIN artifacts a ON a.id = m.artifact_id WHERE m.id = :id""",
    _AUDIT.format(effect="'kept'", which="a.target_id = :id"),
)
_OF_USER = (
    "WITH own AS (SELECT id, email FROM users WHERE id = :id), runs_of AS (SELECT id FROM runs WHERE created_by = :id)",
    """
SELECT 'deleted', t.kind || ' token', t.id, t.name, t.user_id, NULL FROM tokens t WHERE t.user_id = :id""",
    """
SELECT 'deleted', 'saved view', v.id, v.name, v.owner_id, NULL FROM saved_views v WHERE v.owner_id = :id""",
    _PREDICTIONS.format(effect="'deleted'", which="p.created_by = :id"),
    # Also those that others gave to the user's predictions: each keeps the picture.
    _LABELS.format(
        effect="'deleted'",
        which="f.created_by = :id OR f.prediction_id IN (SELECT id FROM predictions WHERE created_by = :id)",
    ),
    """
SELECT 'deleted', 'engagement prediction', e.id, e.state, e.created_by, NULL
FROM engagement e WHERE e.created_by = :id""",
    """
SELECT 'deleted', 'sign-in attempt', l.id, l.address, NULL, NULL
FROM login_attempts l JOIN own ON own.email = l.email""",
    """
SELECT 'kept, marked', 'run', r.id, r.name, r.created_by, NULL FROM runs r WHERE r.created_by = :id""",
    _MODELS.format(effect="'kept, marked'", runs="runs_of"),
    """
SELECT 'kept, marked', 'ablation', b.id, b.name, b.created_by, NULL FROM ablations b WHERE b.created_by = :id""",
    """
SELECT 'kept, marked', 'uploaded archive', u.id, u.name, u.created_by, u.size
FROM uploads u WHERE u.created_by = :id""",
    """
SELECT 'kept, marked', 'removal', m.id, m.state, m.created_by, NULL
FROM removals m WHERE m.created_by = :id""",
    # The address goes from them.
    """
SELECT 'kept, marked', 'audit log entry', a.id, a.action || ' ' || a.kind, a.user_id, NULL
FROM audit a JOIN own ON a.email = own.email OR a.user_id = own.id
  OR (a.kind = 'user' AND (a.target = own.email OR a.target_id = own.id))""",
)
_STATEMENTS: dict[Thing, tuple[str, ...]] = {
    "run": _OF_RUN,
    "data set": _OF_DATASET,
    "model": _OF_MODEL,
    "user": _OF_USER,
}
# PostgreSQL takes the types of a union from its first part, and a bare NULL for a text.
_TYPES = "SELECT ''::text, ''::text, NULL::uuid, ''::text, NULL::uuid, NULL::bigint WHERE false"
_COUNTS = """
SELECT effect, kind, count(*) AS number, sum(bytes)::bigint AS bytes FROM listed GROUP BY effect, kind
ORDER BY array_position(ARRAY['blocks', 'deleted', 'kept, marked', 'kept'], effect), kind"""
_PAGE = """
SELECT listed.*, email FROM listed LEFT JOIN users ON users.id = owner
ORDER BY array_position(ARRAY['blocks', 'deleted', 'kept, marked', 'kept'], effect), kind, listed.id, name
LIMIT :limit OFFSET :offset"""


def derived(
    db: Session, thing: Thing, thing_id: UUID, who: Identity | None, *, offset: int = 0, limit: int = 100
) -> Derived:
    """Return what depends on a thing, by two statements, as this user may see it; None: an admin on the server itself.

    Raises NotFound if there is no such thing.
    """
    get_row(db, _TABLES[thing], thing_id, thing)
    named, *parts = _STATEMENTS[thing]
    # A recursive statement must begin with WITH RECURSIVE, which the first part may hold.
    start = f"{named},\n" if named else "WITH "
    union = "\nUNION ALL".join([_TYPES, *parts])
    listed = f"{start}listed (effect, kind, id, name, owner, bytes) AS ({union})"
    values: dict[str, Any] = {"id": thing_id}
    counted = db.execute(text(listed + _COUNTS), values).all()
    page = db.execute(text(listed + _PAGE), values | {"limit": limit, "offset": offset}).all()
    total = sum(row.number for row in counted)
    return Derived(
        total=total,
        counts=[
            DerivedCount(effect=DeletionEffect(row.effect), kind=row.kind, count=row.number, bytes=row.bytes)
            for row in counted
        ],
        items=[_item(row, who) for row in page],
        next_offset=offset + len(page) if page and offset + len(page) < total else None,
    )


def _item(row: Any, who: Identity | None) -> DerivedItem:
    hidden = row.kind in _PRIVATE and who is not None and not who.is_admin and row.owner != who.user_id
    return DerivedItem(
        effect=DeletionEffect(row.effect),
        kind=row.kind,
        id=None if hidden else row.id,
        name=row.name,
        owner=None if hidden else row.email,
        bytes=row.bytes,
    )
