"""attempts to sign in that succeeded"""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "login_attempts", sa.Column("succeeded", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_index("ix_login_attempts_at", "login_attempts", ["at"])


def downgrade() -> None:
    op.drop_index("ix_login_attempts_at", "login_attempts")
    op.execute("DELETE FROM login_attempts WHERE succeeded")
    op.drop_column("login_attempts", "succeeded")
