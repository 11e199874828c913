"""run param statistics

What values a field of the specs has, and how often, is known to the planner only of both columns together.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE STATISTICS run_params_path_number (mcv) ON path, number FROM run_params")
    op.execute("CREATE STATISTICS run_params_path_text (mcv) ON path, text FROM run_params")
    op.execute("ANALYZE run_params")


def downgrade() -> None:
    op.execute("DROP STATISTICS run_params_path_number")
    op.execute("DROP STATISTICS run_params_path_text")
