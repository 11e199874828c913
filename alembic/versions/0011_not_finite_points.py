"""Charts mark the points of a curve that are not finite numbers; an index that is almost empty finds them.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_metric_points_not_finite",
        "metric_points",
        ["run_id", "key", "step"],
        postgresql_where=sa.text("value IN ('NaN', 'Infinity', '-Infinity')"),
    )


def downgrade() -> None:
    op.drop_index("ix_metric_points_not_finite", table_name="metric_points")
