"""time limits of runs, versions of workers, and keys of requests that may be sent again"""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("max_hours", sa.Double, comment="time limit of an attempt"))
    for name, comment in (
        ("version", "of the program that it runs"),
        ("revision", "of the tables that it knows"),
    ):
        op.add_column("workers", sa.Column(name, sa.Text, nullable=False, server_default="", comment=comment))

    op.create_table(
        "request_keys",
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Uuid, primary_key=True),
        sa.Column("request", sa.Text, nullable=False, comment="SHA-256 of its path and body"),
        sa.Column("run_id", sa.Uuid, comment="what it has created"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_table("request_keys")
    op.drop_column("workers", "revision")
    op.drop_column("workers", "version")
    op.drop_column("runs", "max_hours")
