"""predictions desk"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = "state IN ('queued', 'succeeded', 'failed')"
INDEXES = {
    "ix_predictions_created_by_id": (["created_by", "id"], None),
    "ix_predictions_batch": (["batch"], "batch IS NOT NULL"),
    "ix_predictions_pictured": (["created_at"], "overlay IS NOT NULL"),
}


def upgrade() -> None:
    for column in _columns():
        op.add_column("predictions", column)
    op.alter_column("predictions", "overlay", existing_type=sa.LargeBinary(), comment="PNG; until forgotten")
    for name, (columns, where) in INDEXES.items():
        op.create_index(name, "predictions", columns, postgresql_where=where and sa.text(where))
    op.create_table(
        "feedback",
        _id(),
        sa.Column(
            "prediction_id",
            sa.Uuid(),
            sa.ForeignKey("predictions.id", name="fk_feedback_prediction_id", ondelete="SET NULL"),
        ),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("predicted", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="its name then"),
        sa.Column("picture", sa.LargeBinary(), nullable=False, comment="upright JPEG without metadata"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the picture: the same image twice is one"),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        _created_by("feedback"),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint("prediction_id", name="uq_feedback_prediction_id"),
    )
    op.create_index("ix_feedback_task_id", "feedback", ["task", "id"])
    op.create_table(
        "engagement",
        _id(),
        sa.Column(
            "checkpoint_id",
            sa.Uuid(),
            sa.ForeignKey("artifacts.id", name="fk_engagement_checkpoint_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "inspection_id",
            sa.Uuid(),
            sa.ForeignKey("artifacts.id", name="fk_engagement_inspection_id", ondelete="CASCADE"),
        ),
        _created_by("engagement"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("image", sa.LargeBinary(), comment="the upload, until it is answered"),
        sa.Column("answer", postgresql.JSON()),
        sa.Column("error", sa.Text()),
        sa.Column("milliseconds", sa.Double()),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_engagement"),
        sa.CheckConstraint(STATES, name="ck_engagement_state"),
    )
    op.create_index("ix_engagement_checkpoint_id", "engagement", ["checkpoint_id"])
    op.create_index("ix_engagement_created_at", "engagement", ["created_at"])


def downgrade() -> None:
    op.drop_table("engagement")
    op.drop_table("feedback")
    for name in INDEXES:
        op.drop_index(name, "predictions")
    op.alter_column("predictions", "overlay", existing_type=sa.LargeBinary(), comment="PNG")
    for column in _columns():
        op.drop_column("predictions", column.name)


def _id() -> sa.Column:
    return sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False)


def _created_by(table: str) -> sa.Column:
    key = sa.ForeignKey("users.id", name=f"fk_{table}_created_by", ondelete="SET NULL")
    return sa.Column("created_by", sa.Uuid(), key)


def _created_at() -> sa.Column:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _columns() -> list[sa.Column]:
    return [
        sa.Column("batch", sa.Uuid(), comment="images and models that were asked together"),
        sa.Column(
            "position",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="which image of the batch",
        ),
        sa.Column(
            "keep",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the user wants thumbnail and digest in the history",
        ),
        sa.Column(
            "synthetic",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the image is generated",
        ),
        sa.Column("heat", sa.LargeBinary(), comment="grey PNG; until forgotten"),
        sa.Column(
            "region",
            postgresql.ARRAY(sa.Double()),
            comment="what the network saw: left, top, right, bottom in shares of the image",
        ),
        sa.Column(
            "picture",
            sa.LargeBinary(),
            comment="upright JPEG without metadata, for the page; until forgotten",
        ),
        sa.Column("thumbnail", sa.LargeBinary(), comment="small JPEG, where kept"),
        sa.Column("sha256", sa.Text(), comment="of the upload, where kept"),
    ]
