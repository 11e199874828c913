"""objects of the storage that are to be removed; earlier states of runs

Objects that earlier versions left are found by the next pass over the whole storage.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

EARLIER = "states before that one, newest first, for when it is damaged or gone"


def upgrade() -> None:
    op.create_table(
        "garbage",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, server_default="marked"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("state IN ('marked', 'removing', 'removed')", name="state"),
    )
    op.create_index(
        "ix_garbage_due_at", "garbage", ["due_at"], postgresql_where=sa.text("state != 'removed'")
    )
    earlier = sa.Column(
        "earlier_checkpoints", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"), comment=EARLIER
    )
    op.add_column("runs", earlier)


def downgrade() -> None:
    op.drop_column("runs", "earlier_checkpoints")
    op.drop_table("garbage")
