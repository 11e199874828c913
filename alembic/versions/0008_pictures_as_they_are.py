"""pictures as they are

PostgreSQL would try to compress each JPEG and PNG once more: 13 ms a megabyte, for nothing.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PICTURES = {
    "predictions": ("image", "overlay", "heat", "picture", "thumbnail"),
    "engagement": ("image",),
    "feedback": ("picture",),
}


def upgrade() -> None:
    _store("EXTERNAL")


def downgrade() -> None:
    _store("EXTENDED")


def _store(how: str) -> None:
    for table, columns in PICTURES.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE {how}")
