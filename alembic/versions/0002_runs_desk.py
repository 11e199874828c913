"""runs desk"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _let_runs_pause()


def downgrade() -> None:
    _let_no_run_pause()


# --- pausing and paused: two more states ---

BEFORE = "'waiting','queued','running','cancelling'"
LIVE = f"{BEFORE},'pausing','paused'"
FINAL = "'succeeded','failed','cancelled'"


def _let_runs_pause() -> None:
    _states(LIVE)


def _let_no_run_pause() -> None:
    op.execute(
        "UPDATE runs SET state = 'cancelled', reason = 'was paused', lease_until = NULL, finished_at = now() "
        "WHERE state IN ('pausing', 'paused')"
    )
    _states(BEFORE)


def _states(live: str) -> None:
    op.drop_constraint("state", "runs", type_="check")
    op.create_check_constraint("state", "runs", f"state IN ({live},{FINAL})")
    op.drop_index("ix_runs_live", table_name="runs")
    op.create_index("ix_runs_live", "runs", ["state"], postgresql_where=sa.text(f"state IN ({live})"))
