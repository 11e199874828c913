"""baseline: all tables

Only here a line holds several columns: the tables themselves are declared in backend/store/<room>/tables.py.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Time = sa.DateTime(timezone=True)
Kind = sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]

IMAGES = {"predictions": ("overlay", "heat", "picture", "thumbnail"), "feedback": ("picture",)}
"""Columns of encoded images. PostgreSQL would spend 13 ms a megabyte on trying to compress them again."""

DELETE_POINTS = """
CREATE FUNCTION delete_points_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM metric_points WHERE run_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER delete_points AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION delete_points_of_run()
"""
"""In place of a foreign key, which would look up the run of each point that is written."""

TABLES = (
    "login_attempts",
    "users",
    "audit",
    "tokens",
    "outbox",
    "workers",
    "runs",
    "saved_views",
    "run_events",
    "run_logs",
    "run_params",
    "uploads",
    "artifacts",
    "dataset_reads",
    "datasets",
    "dataset_versions",
    "models",
    "metric_points",
    "metric_chunks",
    "metric_latest",
    "engagement",
    "predictions",
    "feedback",
    "ablations",
)


def upgrade() -> None:
    create_accounts()
    create_runs()
    create_registry()
    create_metrics()
    create_serving()
    create_reports()


def downgrade() -> None:
    op.execute("DROP TRIGGER delete_points ON runs")
    op.execute("DROP FUNCTION delete_points_of_run()")
    for table in reversed(TABLES):
        op.drop_table(table)


def column(
    name: str,
    kind: Kind,
    *constraints: sa.ForeignKey,
    default: str | None = None,
    nullable: bool = False,
    **options: Any,
) -> sa.Column[Any]:
    value = None if default is None else sa.text(default)
    return sa.Column(name, kind, *constraints, server_default=value, nullable=nullable, **options)


def foreign_key(column: str, ondelete: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete=ondelete)


def uuid_key() -> sa.Column[Any]:
    return column("id", sa.Uuid, primary_key=True, default="uuidv7()")


def insert_time(name: str) -> sa.Column[Any]:
    return column(name, Time, default="now()")


# fmt: off


def create_accounts() -> None:
    op.create_table("login_attempts",
        uuid_key(), column("email", sa.Text), column("address", sa.Text), insert_time("at"),
    )
    op.create_index("ix_login_attempts_address_at", "login_attempts", ["address", "at"])
    op.create_index("ix_login_attempts_email_at", "login_attempts", ["email", "at"])
    op.create_table("users",
        uuid_key(), column("email", sa.Text, unique=True),
        column("password_hash", sa.Text, nullable=True, comment="argon2; null: no password login"),
        column("role", sa.String(16)), column("active", sa.Boolean, default="true"),
        insert_time("created_at"), sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),
    )
    op.create_table("audit",
        uuid_key(), insert_time("at"),
        column("user_id", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        column("email", sa.Text, default="''", comment="as it was then"), column("action", sa.String(32)),
        column("kind", sa.String(32)), column("target_id", sa.Uuid, nullable=True),
        column("target", sa.Text, default="''", comment="its name, as it was then"),
        column("detail", sa.JSON, default="'{}'"),
    )
    op.create_index("ix_audit_email_id", "audit", ["email", "id"])
    op.create_index("ix_audit_kind_id", "audit", ["kind", "id"])
    op.create_index("ix_audit_target_id", "audit", ["target_id"])
    op.create_table("tokens",
        uuid_key(), column("user_id", sa.Uuid, foreign_key("users.id", "CASCADE"), index=True),
        column("kind", sa.String(16)), column("name", sa.Text, default="''"), column("role", sa.String(16)),
        column("sha256", sa.Text, unique=True), insert_time("created_at"),
        column("expires_at", Time, nullable=True), column("last_used_at", Time, nullable=True),
        sa.CheckConstraint("kind IN ('session', 'api', 'login-code')", name="kind"),
    )


def create_runs() -> None:
    op.create_table("outbox",
        column("id", sa.BigInteger, primary_key=True), column("task", sa.Text), column("argument", sa.Uuid),
        column("queue", sa.String(32)), insert_time("created_at"),
    )
    op.create_table("workers",
        column("name", sa.Text, primary_key=True), column("queues", ARRAY(sa.Text)),
        column("device", sa.Text), insert_time("started_at"), insert_time("heartbeat_at"),
        column("run_id", sa.Uuid, nullable=True),
    )
    op.create_table("runs",
        uuid_key(), column("kind", sa.String(16)), column("stage", sa.String(64), nullable=True),
        column("name", sa.Text), column("state", sa.String(16)), column("reason", sa.Text, nullable=True),
        column("parent_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), nullable=True),
        column("step", sa.Text, nullable=True),
        column("position", sa.Integer, default="0", comment="order among siblings"),
        column("depends_on", ARRAY(sa.Uuid), default="'{}'"), column("tags", ARRAY(sa.Text), default="'{}'"),
        column("synthetic", sa.Boolean, default="false"), column("queue", sa.String(32)),
        column("spec", sa.JSON), column("inputs", JSONB, default="'{}'"),
        column("result", sa.JSON, nullable=True), column("headline", sa.JSON, default="'{}'"),
        column("error", sa.Text, nullable=True), column("progress", JSONB, nullable=True),
        column("checkpoint", sa.Text, nullable=True, comment="manifest digest of the state to resume from"),
        column("token", sa.BigInteger, default="0", comment="fencing token"),
        column("attempt", sa.Integer, default="0"), column("worker", sa.Text, nullable=True),
        column("lease_until", Time, nullable=True), column("heartbeat_at", Time, nullable=True),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        insert_time("created_at"), column("queued_at", Time, nullable=True),
        column("started_at", Time, nullable=True), column("finished_at", Time, nullable=True),
        column("notes", sa.Text, default="''", comment="Markdown"),
        column("starred", sa.Boolean, default="false"), column("archived", sa.Boolean, default="false"),
        column("group_key", sa.Text, nullable=True, comment="digest of all but seed and splits"),
        column("replicate", sa.Text, nullable=True, comment="digest of seed and splits"),
        column("requested", sa.Integer, default="1",
            comment="replicates of the group that were requested together"),
        sa.CheckConstraint("kind IN ('stage', 'recipe', 'sweep')", name="kind"),
        sa.CheckConstraint(
            "state IN ('waiting','queued','running','cancelling','pausing','paused','succeeded',"
            "'failed','cancelled')", name="state",
        ),
    )
    op.create_index("ix_runs_depends_on", "runs", ["depends_on"], postgresql_using="gin")
    op.create_index("ix_runs_group", "runs",
        ["group_key", "replicate", "state", "id", "requested", "archived"])
    op.create_index("ix_runs_live", "runs", ["state"],
        postgresql_where=sa.text("state IN ('waiting','queued','running','cancelling','pausing','paused')"))
    op.create_index("ix_runs_name_id", "runs", ["name", "id"])
    op.create_index("ix_runs_parent_id_position", "runs", ["parent_id", "position"])
    op.create_index("ix_runs_stage_id", "runs", [sa.text("coalesce(stage, '')"), "id"])
    op.create_index("ix_runs_state_id", "runs", ["state", "id"])
    op.create_index("ix_runs_tags", "runs", ["tags"], postgresql_using="gin")
    op.create_index("ix_runs_top", "runs", ["id"], postgresql_where=sa.text("parent_id IS NULL"))
    op.create_table("saved_views",
        uuid_key(), column("owner_id", sa.Uuid, foreign_key("users.id", "CASCADE")), column("name", sa.Text),
        column("shared", sa.Boolean, default="false"), column("state", sa.JSON), insert_time("created_at"),
        insert_time("updated_at"), sa.UniqueConstraint("owner_id", "name"),
    )
    op.create_table("run_events",
        uuid_key(), column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), index=True),
        insert_time("at"), column("from_state", sa.String(16), nullable=True),
        column("to_state", sa.String(16)), column("detail", sa.Text, default="''"),
    )
    op.create_table("run_logs",
        column("id", sa.BigInteger, primary_key=True),
        column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE")), insert_time("at"),
        column("level", sa.String(16)), column("message", sa.Text),
    )
    op.create_index("ix_run_logs_run_id_id", "run_logs", ["run_id", "id"])
    op.create_table("run_params",
        column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), primary_key=True),
        column("path", sa.Text, primary_key=True), column("position", sa.Integer, primary_key=True),
        column("text", sa.Text, comment="cut at 200 characters"), column("number", sa.Double, nullable=True),
    )
    op.create_index("ix_run_params_path_number_run_id", "run_params", ["path", "number", "run_id"])
    op.create_index("ix_run_params_path_text_run_id", "run_params", ["path", "text", "run_id"])
    # Which path of a spec a query names makes one plan good or another.
    op.execute("CREATE STATISTICS run_params_path_number (mcv) ON path, number FROM run_params")
    op.execute("CREATE STATISTICS run_params_path_text (mcv) ON path, text FROM run_params")


def create_registry() -> None:
    op.create_table("uploads",
        uuid_key(), column("name", sa.Text), column("sha256", sa.Text), column("size", sa.BigInteger),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        insert_time("created_at"),
    )
    op.create_table("artifacts",
        uuid_key(), column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE")), column("name", sa.Text),
        column("sha256", sa.Text), column("size", sa.BigInteger), column("files", sa.Integer),
        column("folder", sa.Boolean), column("manifest", JSONB), insert_time("created_at"),
        sa.UniqueConstraint("run_id", "name"),
    )
    op.create_table("dataset_reads",
        column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), primary_key=True),
        column("role", sa.Text, primary_key=True),
        column("dataset_id", sa.Uuid, comment="no foreign key: the data set may be removed"),
        column("name", sa.Text, comment="of the data set, when the run was created"),
        column("sha256", sa.Text, nullable=True, comment="digest of what was read; null: not read yet"),
        column("version", sa.Integer, nullable=True, comment="the version with this digest"),
        column("newest", sa.Integer, nullable=True, comment="the newest version when it was read"),
        column("listing", sa.LargeBinary, nullable=True,
            comment="of a survey under way: the folder as it was before it was hashed"),
    )
    op.create_index("ix_dataset_reads_dataset_id_run_id", "dataset_reads", ["dataset_id", "run_id"])
    op.create_table("datasets",
        uuid_key(), column("name", sa.Text, unique=True), column("kind", sa.String(16)),
        column("folder", sa.Text, nullable=True, comment="relative to the data root"),
        column("run_id", sa.Uuid, foreign_key("runs.id", "RESTRICT"), nullable=True,
            comment="the run whose artifact data it is"),
        column("survey_id", sa.Uuid, foreign_key("runs.id", "SET NULL"), nullable=True,
            comment="the run that looked through it"),
        column("source", sa.Text, default="''", comment="the upload's name, or the address"),
        column("description", sa.Text, default="''"), column("synthetic", sa.Boolean, default="false"),
        insert_time("created_at"),
        sa.CheckConstraint("(folder IS NULL) <> (run_id IS NULL)", name="one_place"),
    )
    op.create_table("dataset_versions",
        uuid_key(), column("dataset_id", sa.Uuid, foreign_key("datasets.id", "CASCADE")),
        column("number", sa.Integer), column("sha256", sa.Text, comment="digest of the manifest"),
        column("files", sa.Integer), column("size", sa.BigInteger, comment="bytes of all files"),
        column("found", sa.JSON, nullable=True, comment="SurveyResult of the newest survey of this content"),
        column("run_id", sa.Uuid, foreign_key("runs.id", "SET NULL"), nullable=True,
            comment="the run that first found this content"),
        column("survey_id", sa.Uuid, foreign_key("runs.id", "SET NULL"), nullable=True,
            comment="the newest run that found this content"),
        column("listing", sa.LargeBinary, nullable=True,
            comment="paths with size and times (vise_core.files.listing); null: not known"),
        insert_time("created_at"),
        column("checked_at", Time, default="now()", comment="when the newest survey found this content"),
        sa.UniqueConstraint("dataset_id", "number"),
    )
    op.create_table("models",
        uuid_key(), column("name", sa.Text, unique=True),
        column("run_id", sa.Uuid, foreign_key("runs.id", "RESTRICT")),
        column("artifact_id", sa.Uuid, foreign_key("artifacts.id", "RESTRICT")), column("method", sa.Text),
        column("task", sa.Text), column("backbone", sa.Text), column("classes", ARRAY(sa.Text)),
        column("headline", sa.JSON), column("synthetic", sa.Boolean),
        column("default", sa.Boolean, default="false"), insert_time("created_at"),
    )
    op.create_index("uq_models_one_default", "models", ["default"], unique=True,
        postgresql_where=sa.text('"default"'))


def create_metrics() -> None:
    op.create_table("metric_points",
        column("run_id", sa.Uuid, primary_key=True), column("key", sa.Text, primary_key=True),
        column("step", sa.BigInteger, primary_key=True), column("value", sa.Double),
        column("epoch", sa.Double, nullable=True), insert_time("at"),
    )
    op.create_index("ix_metric_points_not_finite", "metric_points", ["run_id", "key", "step"],
        postgresql_where=sa.text("value IN ('NaN', 'Infinity', '-Infinity')"))
    op.create_table("metric_chunks",
        column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), primary_key=True),
        column("key", sa.Text, primary_key=True),
        column("chunk", sa.Integer, primary_key=True, autoincrement=False),
        column("last_step", sa.BigInteger), column("low", sa.Double), column("low_step", sa.BigInteger),
        column("high", sa.Double), column("high_step", sa.BigInteger),
    )
    op.create_table("metric_latest",
        column("run_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), primary_key=True),
        column("key", sa.Text, primary_key=True), column("step", sa.BigInteger, nullable=True),
        column("value", sa.Double, nullable=True), column("final", sa.Double, nullable=True),
        column("finals", ARRAY(sa.Double), nullable=True), column("min", sa.Double, nullable=True),
        column("min_step", sa.BigInteger, nullable=True), column("max", sa.Double, nullable=True),
        column("max_step", sa.BigInteger, nullable=True),
        column("at_best", sa.Double, nullable=True, comment="value where validation is best"),
    )
    op.create_index("ix_metric_latest_key", "metric_latest",
        ["key", sa.text("coalesce(final, value)"), "run_id"])
    op.execute(DELETE_POINTS)


def create_serving() -> None:
    op.create_table("engagement",
        uuid_key(), column("checkpoint_id", sa.Uuid, foreign_key("artifacts.id", "CASCADE"), index=True),
        column("inspection_id", sa.Uuid, foreign_key("artifacts.id", "CASCADE"), nullable=True),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        column("state", sa.String(16)), column("options", JSONB),
        column("upload", sa.Text, nullable=True,
            comment="key of the upload in the storage, until it is answered"),
        column("result", sa.JSON, nullable=True), column("error", sa.Text, nullable=True),
        column("milliseconds", sa.Double, nullable=True),
        column("created_at", Time, index=True, default="now()"),
        sa.CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),
    )
    op.create_table("predictions",
        uuid_key(), column("model_id", sa.Uuid, foreign_key("models.id", "CASCADE"), index=True),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        column("state", sa.String(16)), column("options", JSONB),
        column("batch", sa.Uuid, nullable=True, comment="images and models that were asked together"),
        column("position", sa.Integer, default="0", comment="which image of the batch"),
        column("keep", sa.Boolean, default="false",
            comment="the user wants thumbnail and digest in the history"),
        column("synthetic", sa.Boolean, default="false", comment="the image is generated"),
        column("upload", sa.Text, nullable=True,
            comment="key of the upload in the storage, until it is answered"),
        column("predicted", sa.Text, nullable=True), column("target", sa.Text, nullable=True),
        column("probabilities", sa.JSON, default="'{}'"),
        column("overlay", sa.LargeBinary, nullable=True, comment="PNG; until forgotten"),
        column("heat", sa.LargeBinary, nullable=True, comment="grey PNG; until forgotten"),
        column("region", ARRAY(sa.Double), nullable=True,
            comment="what the network saw: left, top, right, bottom in shares of the image"),
        column("picture", sa.LargeBinary, nullable=True,
            comment="upright JPEG without metadata, for the page; until forgotten"),
        column("thumbnail", sa.LargeBinary, nullable=True, comment="small JPEG, where kept"),
        column("sha256", sa.Text, nullable=True, comment="of the upload, where kept"),
        column("error", sa.Text, nullable=True), column("milliseconds", sa.Double, nullable=True),
        insert_time("created_at"),
        column("claimed_at", Time, nullable=True, comment="when a worker claimed it, which happens once"),
        sa.CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),
    )
    op.create_index("ix_predictions_batch", "predictions", ["batch"],
        postgresql_where=sa.text("batch IS NOT NULL"))
    op.create_index("ix_predictions_created_by_id", "predictions", ["created_by", "id"])
    op.create_index("ix_predictions_pictured", "predictions", ["created_at"],
        postgresql_where=sa.text("overlay IS NOT NULL"))
    op.create_index("ix_predictions_queued", "predictions", ["created_at"],
        postgresql_where=sa.text("state = 'queued'"))
    op.create_table("feedback",
        uuid_key(),
        column("prediction_id", sa.Uuid, foreign_key("predictions.id", "SET NULL"), nullable=True,
            unique=True),
        column("task", sa.Text), column("label", sa.Text), column("predicted", sa.Text),
        column("model", sa.Text, comment="its name then"),
        column("picture", sa.LargeBinary, comment="upright JPEG without metadata"),
        column("sha256", sa.Text, comment="of the picture: the same image twice is one"),
        column("synthetic", sa.Boolean),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        insert_time("created_at"),
    )
    op.create_index("ix_feedback_task_id", "feedback", ["task", "id"])
    for table, images in IMAGES.items():
        for image in images:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {image} SET STORAGE EXTERNAL")


def create_reports() -> None:
    op.create_table("ablations",
        uuid_key(), column("name", sa.Text, unique=True), column("kind", sa.String(32)),
        column("baseline_id", sa.Uuid, foreign_key("runs.id", "CASCADE"), index=True),
        column("changes", sa.JSON),
        column("created_by", sa.Uuid, foreign_key("users.id", "SET NULL"), nullable=True),
        insert_time("created_at"),
    )
# fmt: on
