"""predictions are taken up once

A question waits in its own row, not in the outbox: whichever was not taken up may be announced again.
"""

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "predictions",
        sa.Column(
            "taken_at", sa.DateTime(timezone=True), comment="when a worker took it up, which happens once"
        ),
    )


def downgrade() -> None:
    op.drop_column("predictions", "taken_at")
