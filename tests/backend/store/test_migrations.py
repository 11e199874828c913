"""The migrations make the tables that the code declares, and can be undone."""

from sqlalchemy import inspect, text

from alembic import command
from backend.store.database import alembic_config, connect, migrate
from backend.store.tables import Base


def test_migrations_and_models_agree(empty_database_url: str) -> None:
    migrate(empty_database_url)
    migrate(empty_database_url)
    # Raises where autogenerate would add anything.
    command.check(alembic_config(empty_database_url))
    tables = set(inspect(connect(empty_database_url)).get_table_names())
    assert tables == {*Base.metadata.tables, "alembic_version"}


def test_down_to_nothing_and_up_again(empty_database_url: str) -> None:
    migrate(empty_database_url)
    command.downgrade(alembic_config(empty_database_url), "base")
    assert inspect(connect(empty_database_url)).get_table_names() == ["alembic_version"]
    migrate(empty_database_url)


QUESTIONS = """
WITH run AS (
    INSERT INTO runs (kind, name, state, queue, spec) VALUES ('stage', 'r', 'succeeded', 'cpu', '{}') RETURNING id
), artifact AS (
    INSERT INTO artifacts (run_id, name, sha256, size, files, folder, manifest)
    SELECT id, 'a', '', 0, 0, true, '[]' FROM run RETURNING id, run_id
), model AS (
    INSERT INTO models (name, run_id, artifact_id, method, task, backbone, classes, headline, synthetic)
    SELECT 'm', run_id, id, '', '', '', '{}', '{}', true FROM artifact RETURNING id
), engaged AS (
    INSERT INTO engagement (checkpoint_id, state, options, image) SELECT id, 'queued', '{}', 'image' FROM artifact
)
INSERT INTO predictions (model_id, state, options, image)
SELECT id, unnest(ARRAY['queued', 'succeeded']), '{}', 'image' FROM model
"""
FAILED = """
SELECT state, coalesce(error, '') LIKE '%send the image again'
FROM (SELECT state, error FROM predictions UNION ALL SELECT state, error FROM engagement) AS asked ORDER BY state
"""


def test_what_is_queued_while_uploads_move_into_the_storage_is_to_be_asked_again(
    empty_database_url: str,
) -> None:
    config = alembic_config(empty_database_url)
    command.upgrade(config, "0009")
    engine = connect(empty_database_url)
    with engine.begin() as db:
        db.execute(text(QUESTIONS))
    command.upgrade(config, "0010")
    with engine.begin() as db:
        assert db.execute(text(FAILED)).all() == [("failed", True), ("failed", True), ("succeeded", False)]
        db.execute(text("UPDATE predictions SET state = 'queued', error = NULL, upload = 'key'"))
        db.execute(text("UPDATE engagement SET state = 'queued', error = NULL, upload = 'key'"))
    command.downgrade(config, "0009")
    with engine.begin() as db:
        assert db.execute(text(FAILED)).all() == [("failed", True)] * 3
    engine.dispose()
