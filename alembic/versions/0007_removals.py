"""removals of posts, and the workers that have cleared their caches since"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APPLIED = "null: only listed, nothing was removed"
STATES = "state IN ('listing', 'listed', 'removing', 'removed', 'failed')"


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("uuidv7()")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Uuid, sa.ForeignKey("users.id", ondelete="SET NULL")),
        sa.Column("applied_at", sa.DateTime(timezone=True), comment=APPLIED),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("posts", ARRAY(sa.Text), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="listing"),
        sa.Column("progress", sa.Text, nullable=False, server_default=""),
        sa.Column("findings", JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("left", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint(STATES, name="state"),
    )
    op.create_table(
        "cleared_caches",
        sa.Column("removal_id", sa.Uuid, sa.ForeignKey("removals.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_table("cleared_caches")
    op.drop_table("removals")
