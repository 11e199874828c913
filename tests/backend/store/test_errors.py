"""Failed statements by their kind, and what their messages must not hold."""

import traceback
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.database import connect
from backend.store.errors import status_of

HASH = "$argon2id$v=19$secret"


@pytest.fixture(scope="module")
def engine(module_database_url: str) -> Iterator[Engine]:
    engine = connect(module_database_url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE parents (id int PRIMARY KEY, small smallint, name text UNIQUE)")
        )
        connection.execute(text("CREATE TABLE children (parent int REFERENCES parents, at date NOT NULL)"))
        connection.execute(text("INSERT INTO parents VALUES (1, 1, 'one')"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "value", "status"),
    [
        ("INSERT INTO parents VALUES (2, 2, :value)", "one", 409),
        ("INSERT INTO children VALUES (:value, now())", 7, 409),
        ("DELETE FROM parents WHERE id = :value", 1, 200),
        ("INSERT INTO children VALUES (1, :value)", None, 422),
        ("INSERT INTO parents VALUES (3, :value)", 70_000, 422),
        ("INSERT INTO parents VALUES (:value)", 10**30, 422),
        ("INSERT INTO parents VALUES (4, 4, :value)", "a\0b", 422),
        ("INSERT INTO parents VALUES (4, 4, :value)", "a\ud800b", 422),
        # An entry of an index has at most 2,712 bytes, compressed.
        (
            "INSERT INTO parents SELECT 5, 5, :value || string_agg(md5(n::text), '') FROM generate_series(1, 1000) n",
            "long",
            422,
        ),
        ("SELECT CAST(:value AS jsonb)", '{"a": NaN}', 422),
        ("SELECT CAST(:value AS timestamptz)", "9999999-01-01", 422),
        ("SELECT pg_terminate_backend(pg_backend_pid()) WHERE :value", True, 503),
        ("SELECT no_such_column WHERE :value", True, 500),
    ],
)
def test_a_failed_statement_has_a_status_by_its_kind(
    engine: Engine, statement: str, value: object, status: int
) -> None:
    with engine.connect() as connection:
        if status == 200:
            connection.execute(text(statement), {"value": value})
            return
        with pytest.raises((StatementError, UnicodeEncodeError)) as raised:
            connection.execute(text(statement), {"value": value})
    assert isinstance(raised.value, UnicodeEncodeError) or status_of(raised.value) == status


@pytest.mark.parametrize("fault", ["unique", "null", "too long"])
def test_neither_a_traceback_nor_a_message_holds_a_row_or_a_parameter(engine: Engine, fault: str) -> None:
    """A password's hash was in the log, as a parameter; PostgreSQL's DETAIL holds the whole row."""
    email = f"{uuid4()}@example.org"
    long = "".join(uuid4().hex for _ in range(1000))
    other = User(email=email, password_hash=HASH, role=None if fault == "null" else "viewer")
    if fault == "too long":
        other.email = long
    with Session(engine) as db:
        if fault == "unique":
            db.add(User(email=email, password_hash=HASH, role="viewer"))
            db.flush()
        db.add(other)
        with pytest.raises(StatementError) as raised:
            db.flush()
    told = "".join(traceback.format_exception(raised.value))
    assert HASH not in told
    assert email not in told
    assert long not in told
