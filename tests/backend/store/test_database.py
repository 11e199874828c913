"""Connections of the pool: checked where they lay idle, and without a transaction where a statement needs none."""

import time

import psycopg
import pytest
from sqlalchemy import text

from backend.store.database import FRESH_SECONDS, connect, plain_url, reading, session_factory


@pytest.fixture
def engine(database_url: str):
    engine = connect(database_url)
    yield engine
    engine.dispose()


def backend_of(engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT pg_backend_pid()"))


def end(database_url: str, pid: int) -> None:
    with psycopg.connect(plain_url(database_url), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))


def two_backends(engine) -> set[int]:
    with engine.connect() as one, engine.connect() as other:
        return {connection.scalar(text("SELECT pg_backend_pid()")) for connection in (one, other)}


def test_connections_that_broke_while_idle_are_replaced(engine, database_url: str) -> None:
    before = two_backends(engine)
    for pid in before:
        end(database_url, pid)
    time.sleep(2 * FRESH_SECONDS)
    assert not two_backends(engine) & before


def test_a_connection_that_was_used_just_now_is_not_asked(engine, monkeypatch) -> None:
    asked = []
    ping = engine.dialect.do_ping
    monkeypatch.setattr(engine.dialect, "do_ping", lambda connection: asked.append(1) or ping(connection))
    first = backend_of(engine)
    for _ in range(3):
        assert backend_of(engine) == first
    assert not asked
    time.sleep(2 * FRESH_SECONDS)
    assert backend_of(engine) == first
    assert asked == [1]


def test_reading_has_no_transaction_around_its_statements(engine) -> None:
    sessions = session_factory(engine)

    def moments(maker) -> set:
        with maker() as db:
            return {db.scalar(text("SELECT now()")) for _ in range(2)}

    assert len(moments(sessions)) == 1
    assert len(moments(reading(sessions))) == 2
    # A connection goes back as it was.
    assert len(moments(sessions)) == 1
