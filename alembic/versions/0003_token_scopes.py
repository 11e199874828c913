"""scopes of tokens; the end of the session that a login code opens"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ENDS = "of a login code: its session ends no later than the one that made the code"


def upgrade() -> None:
    op.add_column("tokens", sa.Column("scopes", ARRAY(sa.Text)))
    op.execute(
        """
        UPDATE tokens SET scopes = CASE role
            WHEN 'admin' THEN ARRAY['read', 'run', 'predict', 'admin']
            WHEN 'editor' THEN ARRAY['read', 'run', 'predict']
            ELSE ARRAY['read']
        END
        """
    )
    op.alter_column("tokens", "scopes", nullable=False)
    op.create_check_constraint("scopes", "tokens", "scopes <@ ARRAY['read', 'run', 'predict', 'admin']")
    op.add_column("tokens", sa.Column("session_ends_at", sa.DateTime(timezone=True), comment=ENDS))


def downgrade() -> None:
    op.drop_column("tokens", "session_ends_at")
    op.drop_column("tokens", "scopes")
