"""metric chunks"""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FILL = sa.text(
    """
    INSERT INTO metric_chunks (run_id, key, chunk, last_step, low, low_step, high, high_step)
    SELECT run_id, key, chunk, max(step),
           coalesce(min(value) FILTER (WHERE NOT odd), min(value)), (array_agg(step ORDER BY odd, value, step))[1],
           coalesce(max(value) FILTER (WHERE NOT odd), max(value)), (array_agg(step ORDER BY odd, value DESC, step))[1]
    FROM (
        SELECT run_id, key, step, value, value IN ('NaN', 'Infinity', '-Infinity') AS odd,
               (row_number() OVER (PARTITION BY run_id, key ORDER BY step) - 1) / 64 AS chunk
        FROM metric_points
    ) AS numbered
    GROUP BY run_id, key, chunk HAVING count(*) = 64
    """
)

_DELETE_POINTS = """
CREATE FUNCTION delete_points_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM metric_points WHERE run_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER delete_points AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION delete_points_of_run()
"""


def upgrade() -> None:
    op.create_table(
        "metric_chunks",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("low_step", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("high_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_metric_chunks_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", "chunk", name=op.f("pk_metric_chunks")),
    )
    op.execute(_FILL)
    op.drop_constraint(op.f("fk_metric_points_run_id"), "metric_points", type_="foreignkey")
    op.execute(_DELETE_POINTS)


def downgrade() -> None:
    op.execute("DROP TRIGGER delete_points ON runs")
    op.execute("DROP FUNCTION delete_points_of_run()")
    op.create_foreign_key(
        op.f("fk_metric_points_run_id"), "metric_points", "runs", ["run_id"], ["id"], ondelete="CASCADE"
    )
    op.drop_table("metric_chunks")
