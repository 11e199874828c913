"""data and audit"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_uploads_created_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.Text(), server_default="", nullable=False, comment="as it was then"),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("target", sa.Text(), server_default="", nullable=False, comment="its name, as it was then"),
        sa.Column(
            "detail", postgresql.JSON(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_audit_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_kind_id"), "audit", ["kind", "id"])
    op.create_index(op.f("ix_audit_email_id"), "audit", ["email", "id"])
    op.create_index(op.f("ix_audit_target_id"), "audit", ["target_id"])
    op.alter_column("datasets", "folder", nullable=True)
    op.add_column(
        "datasets",
        sa.Column("run_id", sa.Uuid(), nullable=True, comment="the run whose artifact data it is"),
    )
    op.add_column(
        "datasets",
        sa.Column("survey_id", sa.Uuid(), nullable=True, comment="the run that looked through it"),
    )
    op.add_column(
        "datasets",
        sa.Column(
            "source",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="the upload's name, or the address",
        ),
    )
    op.create_foreign_key(
        op.f("fk_datasets_run_id"), "datasets", "runs", ["run_id"], ["id"], ondelete="RESTRICT"
    )
    op.create_foreign_key(
        op.f("fk_datasets_survey_id"), "datasets", "runs", ["survey_id"], ["id"], ondelete="SET NULL"
    )
    op.create_check_constraint(
        op.f("ck_datasets_one_place"), "datasets", "(folder IS NULL) <> (run_id IS NULL)"
    )


def downgrade() -> None:
    # Data sets that runs brought in have no folder to go back to.
    op.execute("DELETE FROM datasets WHERE folder IS NULL")
    op.drop_constraint(op.f("ck_datasets_one_place"), "datasets", type_="check")
    op.drop_constraint(op.f("fk_datasets_survey_id"), "datasets", type_="foreignkey")
    op.drop_constraint(op.f("fk_datasets_run_id"), "datasets", type_="foreignkey")
    op.drop_column("datasets", "source")
    op.drop_column("datasets", "survey_id")
    op.drop_column("datasets", "run_id")
    op.alter_column("datasets", "folder", nullable=False)
    op.drop_table("audit")
    op.drop_table("uploads")
