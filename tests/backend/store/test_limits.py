"""No connection to the database waits for ever, and none holds a lock for ever."""

import asyncio
import os
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.api.monitor import BRIEF
from backend.store import database
from backend.store.database import LIMITS, Limits, connect, listen, listen_async
from backend.store.errors import in_words, is_transient
from tests.proxy import before

ROOT = Path(__file__).parents[3]
SHORT = replace(LIMITS, connect=2, ping=0.5, statement=1, lock=0.5, idle_in_transaction=1, pool=0.5)


@pytest.fixture
def engine(database_url: str):
    engine = connect(database_url, limits=SHORT)
    yield engine
    engine.dispose()


def seconds(since: float) -> float:
    return time.monotonic() - since


SERVER_LIMITS = {
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "tcp_user_timeout"),
    *("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"),
}
SET = "SELECT name FROM pg_settings WHERE reset_val NOT IN ('', '0')"
"""What a client has asked for: the value itself is 0 on a Unix socket, for settings of TCP."""


def kernel_limits(connection: psycopg.Connection | psycopg.AsyncConnection) -> list[int]:
    """The options by which the client's kernel notices that the server's host is gone."""
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as client:
        alive = client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return [alive, *(client.getsockopt(socket.IPPROTO_TCP, name) for name in names)]


@pytest.mark.parametrize("kind", [LIMITS, database.SHORT, BRIEF])
def test_every_connection_of_a_pool_has_every_limit(database_url: str, kind: Limits) -> None:
    with before(database_url) as (through, _):
        engine = connect(through, limits=kind)
        with engine.connect() as connection:
            assert set(connection.scalars(text(SET))) >= SERVER_LIMITS
            assert kernel_limits(connection.connection.driver_connection) == [1, 5, 2, 3, 10_000]
        engine.dispose()


def test_connections_that_listen_have_every_limit(database_url: str) -> None:
    async def listened(url: str) -> None:
        async with await listen_async(url, "x") as connection:
            settings = await (await connection.execute(SET)).fetchall()
            assert {name for (name,) in settings} >= SERVER_LIMITS
            assert kernel_limits(connection) == [1, 5, 2, 3, 10_000]

    with before(database_url) as (through, _):
        with listen(through, "x") as connection:
            assert {name for (name,) in connection.execute(SET).fetchall()} >= SERVER_LIMITS
            assert kernel_limits(connection) == [1, 5, 2, 3, 10_000]
        asyncio.run(listened(through))


UNBOUNDED = {
    *("backend/store/database.py", "backend/store/upkeep/rows.py", "backend/store/upkeep/backup.py"),
    *("backend/commands.py", "alembic/env.py"),
}
"""Migrations, backups, restores and what a restore removes again: they may take long, and hold up no run."""


def test_no_other_module_opens_connections_or_lifts_the_limits() -> None:
    opened, lifted = set(), set()
    for folder in ("backend", "worker", "alembic", "vise_client", "frontend"):
        for path in (ROOT / folder).rglob("*.py"):
            name, source = path.relative_to(ROOT).as_posix(), path.read_text()
            if re.search(r"psycopg\.(Async)?(C|c)onnect(ion\.connect)?\(|create_(async_)?engine\(", source):
                opened.add(name)
            if "UNLIMITED" in source:
                lifted.add(name)
    # The embedded server is asked whether it has started, through its own socket.
    assert opened == {"backend/store/database.py", "backend/local/postgres.py"}
    assert lifted == UNBOUNDED


def test_a_statement_or_a_lock_that_takes_too_long_fails_and_may_be_tried_again(engine) -> None:
    with pytest.raises(OperationalError) as slow, engine.begin() as db:
        db.execute(text("SELECT pg_sleep(10)"))
    with engine.begin() as holder:
        holder.execute(text("LOCK TABLE runs"))
        with pytest.raises(OperationalError) as locked, engine.begin() as db:
            db.execute(text("SELECT 1 FROM runs"))
    assert is_transient(slow.value)
    assert is_transient(locked.value)


def test_a_client_that_rests_in_a_transaction_loses_its_locks(engine) -> None:
    holder = engine.connect()
    holder.execute(text("LOCK TABLE runs"))
    time.sleep(1.5)
    with engine.begin() as other:
        other.execute(text("LOCK TABLE runs"))
    with pytest.raises((InternalError, OperationalError)) as rested:
        holder.execute(text("SELECT 1"))
    holder.close()
    assert is_transient(rested.value)


def test_a_pool_that_is_empty_says_so_soon(database_url: str) -> None:
    engine = connect(database_url, pool_size=1, limits=SHORT)
    held = [engine.connect() for _ in range(21)]
    began = time.monotonic()
    with pytest.raises(PoolTimeout) as empty:
        engine.connect()
    assert seconds(began) < 3
    assert is_transient(empty.value)
    for connection in held:
        connection.close()
    engine.dispose()


def test_a_server_that_stalls_fails_the_statement_and_a_new_connection_soon(database_url: str) -> None:
    with before(database_url) as (through, proxy):
        engine = connect(through, limits=SHORT)
        db = engine.connect()
        db.execute(text("SELECT 1"))
        proxy.set("stall")
        began = time.monotonic()
        with pytest.raises(OperationalError, match="no response within 3 s") as stalled:
            db.execute(text("SELECT 1"))
        db.close()
        assert is_transient(stalled.value)
        with pytest.raises(OperationalError) as connecting:
            engine.connect()
        assert is_transient(connecting.value)
        assert seconds(began) < 10
        proxy.set("pass")
        with engine.begin() as db:
            assert db.scalar(text("SELECT 1")) == 1
        engine.dispose()


def test_a_connection_cut_in_silence_while_idle_is_replaced(database_url: str) -> None:
    with before(database_url) as (through, proxy):
        engine = connect(through, limits=SHORT)
        with engine.begin() as db:
            db.execute(text("SELECT 1"))
        time.sleep(0.2)
        proxy.half_open()
        began = time.monotonic()
        with engine.begin() as db:
            assert db.scalar(text("SELECT 1")) == 1
        assert seconds(began) < 3
        engine.dispose()


def test_a_listener_does_not_wait_for_ever(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SHORT", SHORT)
    with before(database_url) as (through, proxy):
        proxy.on_request = lambda data: b"LISTEN" in data and proxy.set("half-open") is not None
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match=r"no response within 0\.5 s"):
            listen(through, "x")
        assert seconds(began) < 3


def test_an_error_that_would_come_again_is_no_reason_to_wait(engine) -> None:
    statements = [
        "SELECT 1 / 0",
        "SELECT * FROM no_such_table",
        # Longer than an index may hold, as a metric's name of 9 kB would be.
        "INSERT INTO tokens (id, user_id) VALUES (1, 2)",
        "CREATE TEMP TABLE t (a text PRIMARY KEY); INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) n",
    ]
    for statement in statements:
        with pytest.raises(DBAPIError) as wrong, engine.begin() as db:
            db.execute(text(statement))
        assert not is_transient(wrong.value), statement
    assert "index row" in in_words(wrong.value)
    assert not is_transient(ValueError())


def test_a_database_that_is_not_there_may_come_back() -> None:
    engine = connect("postgresql+psycopg://postgres@127.0.0.1:1/x")
    with pytest.raises(OperationalError) as away:
        engine.connect()
    assert is_transient(away.value)
    assert isinstance(away.value.orig, psycopg.OperationalError)
