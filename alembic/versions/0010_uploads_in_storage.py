"""uploads lie in the storage

A row names the upload that it asks about; it no longer holds it. What is queued now would name nothing: whoever asked
is told to ask again.
"""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("predictions", "engagement")


def upgrade() -> None:
    for table in TABLES:
        _ask_again(table)
        op.drop_column(table, "image")
        op.add_column(
            table,
            sa.Column("upload", sa.Text(), comment="key of the upload in the storage, until it is answered"),
        )


def downgrade() -> None:
    for table in TABLES:
        _ask_again(table)
        op.drop_column(table, "upload")
        op.add_column(table, sa.Column("image", sa.LargeBinary(), comment="the upload, until it is answered"))
        op.execute(f"ALTER TABLE {table} ALTER COLUMN image SET STORAGE EXTERNAL")


def _ask_again(table: str) -> None:
    rows = sa.table(table, sa.column("state"), sa.column("error"))
    error = "the server was updated meanwhile; send the image again"
    op.execute(rows.update().where(rows.c.state == "queued").values(state="failed", error=error))
