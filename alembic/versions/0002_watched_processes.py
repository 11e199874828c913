"""processes that are watched: dispatchers, workers that hear, claims of predictions, messages that are due later"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Time = sa.DateTime(timezone=True)
HEARS = "its own messages come back to it through the broker"
CLAIMED_BY = "worker; if it dies, the claim is void"
CLAIMED_ONCE = "when a worker claimed it, which happens once"


def upgrade() -> None:
    op.create_table(
        "dispatchers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("heartbeat_at", Time, nullable=False, server_default=sa.func.now()),
        sa.Column("broker", sa.Boolean, nullable=False, comment="whether the broker responded to it"),
    )
    hears = sa.Column("hears", sa.Boolean, nullable=False, server_default=sa.true(), comment=HEARS)
    op.add_column("workers", hears)
    op.add_column("outbox", sa.Column("due_at", Time, nullable=False, server_default=sa.func.now()))
    op.add_column("engagement", sa.Column("claimed_at", Time))
    for table in ("predictions", "engagement"):
        op.add_column(table, sa.Column("claimed_by", sa.Text, comment=CLAIMED_BY))
    op.alter_column("predictions", "claimed_at", comment=None, existing_comment=CLAIMED_ONCE)


def downgrade() -> None:
    op.alter_column("predictions", "claimed_at", comment=CLAIMED_ONCE)
    for table, column in (
        ("engagement", "claimed_by"),
        ("engagement", "claimed_at"),
        ("predictions", "claimed_by"),
        ("outbox", "due_at"),
        ("workers", "hears"),
    ):
        op.drop_column(table, column)
    op.drop_table("dispatchers")
