"""specs of before stratified splits say that theirs are not

New specs split by class unless they say otherwise. What was stored before has no such field and was split without
regard to classes; written out, a copy of it means the same as ever.
"""

import json
from typing import Any

import sqlalchemy as sa

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STAGES = ("evaluate", "integrity")
FIELD = "stratify"

BATCH = 500
CHANGED = sa.text("UPDATE runs SET spec = CAST(:spec AS json) WHERE id = :id")
PARAMETER = sa.text(
    "INSERT INTO run_params (run_id, path, position, text) VALUES (:id, 'splits.stratify', 0, 'false') "
    "ON CONFLICT DO NOTHING"
)


def upgrade() -> None:
    """Key by key in Python: a detour over jsonb would forget the order in which specs are shown."""
    _change_specs(add, PARAMETER)


def downgrade() -> None:
    op.execute("DELETE FROM run_params WHERE path = 'splits.stratify'")
    _change_specs(remove, None)


def add(splits: dict[str, Any]) -> None:
    splits.setdefault(FIELD, False)


def remove(splits: dict[str, Any]) -> None:
    splits.pop(FIELD, None)


def _change_specs(change: Any, of_runs: Any) -> None:
    """Recipes and sweeps hold the specs of their runs in parts; what is left out there is a default."""
    db = op.get_bind()
    ids = db.scalars(
        sa.text("SELECT id FROM runs WHERE kind <> 'stage' OR stage IN ('evaluate', 'integrity')")
    ).all()
    for start in range(0, len(ids), BATCH):
        rows = db.execute(
            sa.text("SELECT id, kind, spec FROM runs WHERE id = ANY(:ids)"),
            {"ids": ids[start : start + BATCH]},
        ).all()
        for id_, kind, spec in rows:
            if kind == "stage":
                change(spec.setdefault("splits", {}))
                if of_runs is not None and spec["splits"].get(FIELD) is False:
                    db.execute(of_runs, {"id": id_})
            elif kind == "sweep":
                change_sweep(spec, change)
            else:
                for step in spec.get("steps", {}).values():
                    if step.get("stage") in STAGES:
                        change(step.setdefault("spec", {}).setdefault("splits", {}))
            db.execute(CHANGED, {"spec": json.dumps(spec), "id": id_})


def change_sweep(spec: dict[str, Any], change: Any) -> None:
    if spec.get("stage") not in STAGES:
        return
    change(spec.setdefault("base", {}).setdefault("splits", {}))
    # Where splits are set as a whole they replace those of the base.
    wholes = [
        case["set"] for axis in spec.get("cases", {}).values() for case in axis.values() if "set" in case
    ]
    for values in [*(one.get("splits") for one in wholes), *spec.get("grid", {}).get("splits", [])]:
        if isinstance(values, dict):
            change(values)
