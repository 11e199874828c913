"""What the migration to versions makes of the data sets and runs that there are already."""

import json
from uuid import UUID

import pytest
from sqlalchemy import text

from alembic import command
from backend.store.database import alembic_config, connect

A, B = "a" * 64, "b" * 64
EVALUATE = {"seed": 0, "epochs": 3}


class Old:
    """A database as it was before versions."""

    def __init__(self, db) -> None:
        self.db = db

    def run(
        self, stage: str, spec: dict, inputs: dict, digests: dict | None, group: str = "old", **more
    ) -> UUID:
        """A run; it has succeeded where there are ``digests`` of what it read."""
        result = None if digests is None else {"provenance": {"inputs": digests}, **more}
        values = {
            "stage": stage,
            "state": "queued" if digests is None else "succeeded",
            "spec": json.dumps(spec),
            "inputs": json.dumps(inputs),
            "result": None if result is None else json.dumps(result),
            "depends": [ref["run"] for ref in inputs.values() if "run" in ref],
            "group": group,
        }
        return self.db.execute(
            text(
                "INSERT INTO runs (kind, stage, name, state, queue, spec, inputs, result, depends_on, group_key, "
                "replicate, finished_at) VALUES ('stage', :stage, 'old', :state, 'cpu', :spec, :inputs, :result, "
                "CAST(:depends AS uuid[]), :group, :group, '2026-05-01') RETURNING id"
            ),
            values,
        ).scalar_one()

    def dataset(
        self, name: str, *, folder: str | None = None, survey: UUID | None = None, fetch: UUID | None = None
    ) -> str:
        statement = text(
            "INSERT INTO datasets (name, kind, folder, survey_id, run_id) "
            "VALUES (:name, 'images', :folder, :survey, :fetch) RETURNING id"
        )
        values = {"name": name, "folder": folder, "survey": survey, "fetch": fetch}
        return str(self.db.execute(statement, values).scalar_one())


@pytest.fixture
def old(empty_database_url: str):
    command.upgrade(alembic_config(empty_database_url), "0012")
    engine = connect(empty_database_url)
    with engine.connect() as db:
        yield Old(db)
    engine.dispose()


def migrate(old: Old, empty_database_url: str, revision: str = "0013") -> None:
    old.db.commit()
    step = command.upgrade if revision == "0013" else command.downgrade
    step(alembic_config(empty_database_url), revision)


def rows(old: Old, query: str) -> list[tuple]:
    return [tuple(row) for row in old.db.execute(text(query))]


def test_a_surveyed_folder_becomes_version_1_without_a_digest(old: Old, empty_database_url: str) -> None:
    found = {"kind": "images", "images": 7, "files": 8, "bytes": 900}
    survey = old.run("survey", {}, {}, {"dataset": A}, **found)
    surveyed = old.dataset("surveyed", folder="x", survey=survey)
    old.dataset("new", folder="y", survey=old.run("survey", {}, {}, None))
    old.dataset("bare", folder="z")
    evaluation = old.run("evaluate", EVALUATE, {"dataset": {"dataset": surveyed}}, {"dataset": A})
    queued = old.run("evaluate", EVALUATE, {"dataset": {"dataset": surveyed}}, None)
    removed = old.run("evaluate", EVALUATE, {"dataset": {"dataset": str(survey)}}, {"dataset": B})
    migrate(old, empty_database_url)
    versions = rows(
        old,
        "SELECT dataset_id::text, number, sha256, files, size, found, run_id, created_at::date::text FROM dataset_versions",
    )
    assert versions == [(surveyed, 1, None, 8, 900, found, survey, "2026-05-01")]
    assert rows(
        old, "SELECT run_id, role, name, sha256, version, newest FROM dataset_reads ORDER BY run_id"
    ) == [
        (evaluation, "dataset", "surveyed", A, None, 1),
        (queued, "dataset", "surveyed", None, None, 1),
        (removed, "dataset", "a data set that was removed", B, None, None),
    ]


def test_an_archive_becomes_version_1_with_its_artifact_s_digest(old: Old, empty_database_url: str) -> None:
    fetch = old.run("fetch", {}, {}, {}, kind="images", files=2, bytes=10)
    dataset = old.dataset("sent", fetch=fetch)
    old.db.execute(
        text(
            "INSERT INTO artifacts (run_id, name, sha256, size, files, folder, manifest) "
            "VALUES (:run, 'data', :sha256, 11, 3, true, '[]')"
        ),
        {"run": fetch, "sha256": A},
    )
    evaluation = old.run("evaluate", EVALUATE, {"dataset": {"dataset": dataset}}, {"dataset": A})
    migrate(old, empty_database_url)
    assert rows(old, "SELECT number, sha256, files, size FROM dataset_versions") == [(1, A, 3, 11)]
    assert rows(old, "SELECT run_id, version FROM dataset_reads") == [(evaluation, 1)]


def test_old_runs_on_other_contents_are_other_experiments_and_so_is_what_read_from_them(
    old: Old, empty_database_url: str
) -> None:
    dataset = old.dataset("folder", folder="x")

    def chain(seed: int, digest: str) -> UUID:
        ingest = old.run("ingest", {"seed": 5}, {"source": {"dataset": dataset}}, {"source": digest})
        inputs = {"posts": {"run": str(ingest), "artifact": "posts"}}
        return old.run("cluster", {"seed": seed}, inputs, {})

    ends = [chain(0, A), chain(1, A), chain(2, B)]
    beside = old.run("cluster", {"seed": 0}, {}, {}, group="beside")
    migrate(old, empty_database_url)
    key = dict(rows(old, "SELECT id, group_key FROM runs"))
    assert key[ends[0]] == key[ends[1]] != key[ends[2]]
    assert key[beside] == "beside", "who read no data set stays as it was"
    migrate(old, empty_database_url, "0012")
    key = dict(rows(old, "SELECT id, group_key FROM runs"))
    assert len({key[end] for end in ends}) == 1
