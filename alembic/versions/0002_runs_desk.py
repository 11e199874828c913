"""runs desk"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from backend.store.runs.identity import Identity, identity, leaves
from vise_core.specs.stages import STAGES

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SUMMARIES = sa.text(
    """
    INSERT INTO metric_latest AS kept (run_id, key, min, min_step, max, max_step)
    SELECT run_id, key, min(value), (array_agg(step ORDER BY value, step))[1],
           max(value), (array_agg(step ORDER BY value DESC, step))[1]
    FROM metric_points WHERE value NOT IN ('NaN', 'Infinity', '-Infinity') GROUP BY run_id, key
    ON CONFLICT (run_id, key) DO UPDATE SET min = excluded.min, min_step = excluded.min_step,
        max = excluded.max, max_step = excluded.max_step
    """
)
# What chose the epoch of the runs that there are: the metric of their task where it has a curve, else the loss.
_AT_BEST = sa.text(
    """
    UPDATE metric_latest AS kept SET at_best = p.value
    FROM (
        SELECT DISTINCT ON (run_id) run_id, CASE WHEN key = 'val_loss' THEN min_step ELSE max_step END AS best
        FROM metric_latest WHERE key IN ('val_accuracy', 'val_top1', 'val_roc_auc', 'val_loss')
        ORDER BY run_id, array_position(ARRAY['val_roc_auc', 'val_top1', 'val_accuracy', 'val_loss'], key)
    ) AS chosen
    JOIN metric_points p ON p.run_id = chosen.run_id AND p.step = chosen.best
    WHERE kept.run_id = p.run_id AND kept.key = p.key
    """
)


def upgrade() -> None:
    _desk()
    _fill()
    _let_runs_pause()


def downgrade() -> None:
    _let_no_run_pause()
    _no_desk()


def _desk() -> None:
    op.add_column(
        "runs", sa.Column("notes", sa.Text(), server_default="", nullable=False, comment="Markdown")
    )
    for flag in ("starred", "archived"):
        op.add_column("runs", sa.Column(flag, sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "runs",
        sa.Column("group_key", sa.Text(), nullable=True, comment="digest of all but seed and splits"),
    )
    op.add_column(
        "runs", sa.Column("replicate", sa.Text(), nullable=True, comment="digest of seed and splits")
    )
    op.add_column(
        "runs",
        sa.Column(
            "asked",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="replicates of its group that were asked for together with it",
        ),
    )
    op.create_index("ix_runs_name_id", "runs", ["name", "id"])
    op.create_index("ix_runs_state_id", "runs", ["state", "id"])
    op.create_index("ix_runs_stage_id", "runs", [sa.text("coalesce(stage, '')"), "id"])
    op.create_index("ix_runs_group", "runs", ["group_key", "replicate", "state", "id", "asked", "archived"])
    op.create_table(
        "run_params",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="cut at 200 characters"),
        sa.Column("number", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_params_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "path", "position", name=op.f("pk_run_params")),
    )
    op.create_index(op.f("ix_run_params_path_number_run_id"), "run_params", ["path", "number", "run_id"])
    op.create_index(op.f("ix_run_params_path_text_run_id"), "run_params", ["path", "text", "run_id"])
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("look", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_saved_views_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_saved_views_owner_id_name")),
    )
    op.alter_column("metric_latest", "step", nullable=True)
    op.alter_column("metric_latest", "value", nullable=True)
    for name in ("final", "min", "max"):
        op.add_column("metric_latest", sa.Column(name, sa.Double(), nullable=True))
    for name in ("min_step", "max_step"):
        op.add_column("metric_latest", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("metric_latest", sa.Column("finals", postgresql.ARRAY(sa.Double()), nullable=True))
    op.add_column(
        "metric_latest",
        sa.Column("at_best", sa.Double(), nullable=True, comment="value where validation is best"),
    )
    op.create_index(
        "ix_metric_latest_key", "metric_latest", ["key", sa.text("coalesce(final, value)"), "run_id"]
    )


def _fill() -> None:
    """Identities, parameters and summaries of the runs that there are, in the order in which they were made."""
    connection = op.get_bind()
    connection.execute(_SUMMARIES)
    connection.execute(_AT_BEST)
    known: dict[str, tuple[str, Identity]] = {}
    siblings: dict[tuple[str, str], set[str]] = {}
    rows = connection.execute(
        sa.text(
            "SELECT id, stage, spec, inputs, parent_id, state, headline, result FROM runs WHERE kind = 'stage' "
            "ORDER BY id"
        )
    ).all()
    for row in rows:
        found = identity(row.stage, row.spec, row.inputs, known)
        known[str(row.id)] = (row.stage, found)
        siblings.setdefault((str(row.parent_id or row.id), found.group_key), set()).add(found.replicate)
        connection.execute(
            sa.text("UPDATE runs SET group_key = :key, replicate = :replicate WHERE id = :id"),
            {"key": found.group_key, "replicate": found.replicate, "id": row.id},
        )
        leaf_rows = [{"run_id": row.id, **leaf} for leaf in leaves(row.spec)]
        if leaf_rows:
            connection.execute(
                sa.text("INSERT INTO run_params VALUES (:run_id, :path, :position, :text, :number)"),
                leaf_rows,
            )
        splits = STAGES[row.stage].per_split(row.result or {}) if row.state == "succeeded" else {}
        for key, value in row.headline.items() if row.state == "succeeded" else ():
            connection.execute(
                sa.text(
                    "INSERT INTO metric_latest (run_id, key, final, finals) VALUES (:id, :key, :final, :finals) "
                    "ON CONFLICT (run_id, key) DO UPDATE SET final = excluded.final, finals = excluded.finals"
                ).bindparams(sa.bindparam("finals", type_=postgresql.ARRAY(sa.Double()))),
                {"id": row.id, "key": key, "final": value, "finals": splits.get(key)},
            )
    for row in rows:
        count = len(siblings[(str(row.parent_id or row.id), known[str(row.id)][1].group_key)])
        if count > 1:
            connection.execute(
                sa.text("UPDATE runs SET asked = :asked WHERE id = :id"), {"asked": count, "id": row.id}
            )


def _no_desk() -> None:
    op.drop_index("ix_metric_latest_key", table_name="metric_latest")
    op.execute("DELETE FROM metric_latest WHERE step IS NULL")
    for name in ("final", "finals", "min", "min_step", "max", "max_step", "at_best"):
        op.drop_column("metric_latest", name)
    op.alter_column("metric_latest", "step", nullable=False)
    op.alter_column("metric_latest", "value", nullable=False)
    op.drop_table("saved_views")
    op.drop_table("run_params")
    for index in ("ix_runs_group", "ix_runs_stage_id", "ix_runs_state_id", "ix_runs_name_id"):
        op.drop_index(index, table_name="runs")
    for name in ("asked", "replicate", "group_key", "archived", "starred", "notes"):
        op.drop_column("runs", name)


# --- pausing and paused: two more states ---

BEFORE = "'waiting','queued','running','cancelling'"
LIVE = f"{BEFORE},'pausing','paused'"
FINAL = "'succeeded','failed','cancelled'"


def _let_runs_pause() -> None:
    _states(LIVE)


def _let_no_run_pause() -> None:
    op.execute(
        "UPDATE runs SET state = 'cancelled', reason = 'was paused', lease_until = NULL, finished_at = now() "
        "WHERE state IN ('pausing', 'paused')"
    )
    _states(BEFORE)


def _states(live: str) -> None:
    op.drop_constraint("state", "runs", type_="check")
    op.create_check_constraint("state", "runs", f"state IN ({live},{FINAL})")
    op.drop_index("ix_runs_live", table_name="runs")
    op.create_index("ix_runs_live", "runs", ["state"], postgresql_where=sa.text(f"state IN ({live})"))
