"""processes that are watched: dispatchers, workers that hear, claims of predictions, messages that are due later"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "dispatchers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("heartbeat_at", Time, nullable=False, server_default=sa.func.now()),
        sa.Column("broker", sa.Boolean, nullable=False),
    )
    op.add_column("workers", sa.Column("hears", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("outbox", sa.Column("due_at", Time, nullable=False, server_default=sa.func.now()))
    op.add_column("predictions", sa.Column("claimed_by", sa.Text))
    op.add_column("engagement", sa.Column("claimed_at", Time))
    op.add_column("engagement", sa.Column("claimed_by", sa.Text))


def downgrade() -> None:
    for table, column in (
        ("engagement", "claimed_by"),
        ("engagement", "claimed_at"),
        ("predictions", "claimed_by"),
        ("outbox", "due_at"),
        ("workers", "hears"),
    ):
        op.drop_column(table, column)
    op.drop_table("dispatchers")
