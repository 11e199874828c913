"""A process of another version than the database's tables says which of the two to change."""

from importlib.metadata import version

import pytest
from sqlalchemy import text

from backend.store import database, schema
from backend.store.database import connect, too_old
from backend.store.schema import revisions, schema_problem


def problem_after(url: str, statement: str) -> str | None:
    engine = connect(url)
    with engine.connect() as db:
        db.execute(text(statement))
        problem = schema_problem(db)
    engine.dispose()
    return problem


def test_tables_of_this_version_are_no_problem(database_url: str) -> None:
    assert problem_after(database_url, "SELECT 1") is None


def test_an_empty_an_older_and_a_newer_database_are_told_apart(
    empty_database_url: str, database_url: str
) -> None:
    assert "run `vise migrate`" in str(problem_after(empty_database_url, "SELECT 1"))
    newest, before = revisions()[0], "0001"
    older = problem_after(database_url, "UPDATE alembic_version SET version_num = '0001'")
    assert older is not None
    assert older.startswith(
        f"the database has revision {before}, and this version needs {newest}: run `vise migrate`"
    )
    newer = problem_after(database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert newer is not None
    assert "revision 9999, which this version" in newer
    assert "Restart this process with that version" in newer


def test_a_server_without_uuidv7_is_too_old(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert too_old(180000, "18.0") is None
    assert too_old(170004, "17.4") == "PostgreSQL 17.4 is too old: VisE Studio needs PostgreSQL 18 or newer"
    monkeypatch.setattr(database, "OLDEST_SERVER", 990000)
    assert "is too old" in str(problem_after(database_url, "SELECT 1"))


def test_the_version_names_the_commit_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    for commit, end in (("0123456789abcdef", " (0123456)"), (None, "")):
        monkeypatch.setattr(schema, "git_commit", lambda commit=commit: commit)
        assert schema.program_version.__wrapped__() == version("vise-studio") + end
