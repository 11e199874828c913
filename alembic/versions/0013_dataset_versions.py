"""data sets have versions, and runs say what they read

A data set that was surveyed becomes its version 1. The digest of a folder's stays unknown until a rescan: what older
surveys read was hashed after they had read it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from backend.store.runs.identity import Identity, identity

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_VERSIONS = sa.text(
    """
    INSERT INTO dataset_versions
        (dataset_id, number, sha256, files, size, found, run_id, survey_id, created_at, checked_at)
    SELECT d.id, 1, a.sha256, coalesce(a.files, (r.result->>'files')::int, 0),
           coalesce(a.size, (r.result->>'bytes')::bigint, 0), (r.result::jsonb - 'provenance')::json, r.id, r.id,
           coalesce(r.finished_at, r.created_at), coalesce(r.finished_at, r.created_at)
    FROM datasets d
    JOIN runs r ON r.id = coalesce(d.run_id, d.survey_id)
    LEFT JOIN artifacts a ON a.run_id = d.run_id AND a.name = 'data'
    WHERE r.state = 'succeeded' AND r.result IS NOT NULL
    """
)
# Results say which digests were read; the digest of an artifact is known for certain.
_READS = sa.text(
    """
    INSERT INTO dataset_reads (run_id, role, dataset_id, name, sha256, version, newest)
    SELECT r.id, i.role, (i.ref->>'dataset')::uuid, coalesce(d.name, 'a data set that was removed'),
           r.result->'provenance'->'inputs'->>i.role, v.number, newest.number
    FROM runs r
    CROSS JOIN LATERAL jsonb_each(r.inputs) AS i (role, ref)
    LEFT JOIN datasets d ON d.id = (i.ref->>'dataset')::uuid
    LEFT JOIN dataset_versions newest ON newest.dataset_id = d.id
    LEFT JOIN dataset_versions v
        ON v.dataset_id = d.id AND v.sha256 = r.result->'provenance'->'inputs'->>i.role
    WHERE r.kind = 'stage' AND i.ref->>'dataset' IS NOT NULL
    """
)


def upgrade() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=True,
            comment="digest of the manifest; null: from before it was kept",
        ),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of all files"),
        sa.Column(
            "found",
            postgresql.JSON(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="SurveyResult of the newest survey of this content",
        ),
        sa.Column("run_id", sa.Uuid(), nullable=True, comment="the run that first found this content"),
        sa.Column("survey_id", sa.Uuid(), nullable=True, comment="the newest run that found this content"),
        sa.Column(
            "listing",
            sa.LargeBinary(),
            nullable=True,
            comment="paths with size and times (vise_core.files.listing); null: not known",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when the newest survey found this content",
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_dataset_versions_dataset_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_dataset_versions_run_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["runs.id"], name=op.f("fk_dataset_versions_survey_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_dataset_versions_dataset_id_number")),
    )
    op.create_table(
        "dataset_reads",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "dataset_id",
            sa.Uuid(),
            nullable=False,
            comment="no foreign key: the data set may be removed",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="of the data set, when the run was created"),
        sa.Column("sha256", sa.Text(), nullable=True, comment="digest of what was read; null: not read yet"),
        sa.Column("version", sa.Integer(), nullable=True, comment="the version with this digest"),
        sa.Column("newest", sa.Integer(), nullable=True, comment="the newest version when it was read"),
        sa.Column(
            "listing",
            sa.LargeBinary(),
            nullable=True,
            comment="of a survey under way: the folder as it was before it was hashed",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_dataset_reads_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "role", name=op.f("pk_dataset_reads")),
    )
    op.create_index(op.f("ix_dataset_reads_dataset_id_run_id"), "dataset_reads", ["dataset_id", "run_id"])
    op.execute(_VERSIONS)
    op.execute(_READS)
    _identities(with_digests=True)


def downgrade() -> None:
    _identities(with_digests=False)
    op.drop_table("dataset_reads")
    op.drop_table("dataset_versions")


def _identities(*, with_digests: bool) -> None:
    """Rewrite the identity of each run that read a data set, and of the runs that read from such a run."""
    connection = op.get_bind()
    digests: dict[Any, dict[str, str]] = {}
    for run_id, role, sha256 in connection.execute(sa.text("SELECT run_id, role, sha256 FROM dataset_reads")):
        digests.setdefault(run_id, {})
        if sha256 is not None and with_digests:
            digests[run_id][role] = sha256
    if not digests:
        return
    known: dict[str, tuple[str, Identity]] = {}
    changed: set[str] = set()
    rows = connection.execute(
        sa.text(
            "SELECT id, stage, spec, inputs, group_key, replicate FROM runs WHERE kind = 'stage' ORDER BY id"
        )
    ).all()
    for row in rows:
        found = Identity(row.group_key, row.replicate)
        if row.id in digests or _reads_any(row.inputs, changed):
            found = identity(row.stage, row.spec, row.inputs, known, digests.get(row.id))
        if found != Identity(row.group_key, row.replicate):
            changed.add(str(row.id))
            connection.execute(
                sa.text("UPDATE runs SET group_key = :key, replicate = :replicate WHERE id = :id"),
                {"key": found.group_key, "replicate": found.replicate, "id": row.id},
            )
        if found.group_key is not None:
            known[str(row.id)] = (row.stage, found)


def _reads_any(inputs: Mapping[str, Any], run_ids: set[str]) -> bool:
    return any(ref.get("run") in run_ids for ref in inputs.values())
