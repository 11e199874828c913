"""Engine, sessions and migrations."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.errors import _WaitTimeout
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

import backend.store.tables  # noqa: F401 -- foreign keys need the tables of every room
from backend.store.locks import MIGRATION_LOCK
from vise_core.errors import ViseError

if TYPE_CHECKING:
    # Imported late: only a migration needs it.
    from alembic.config import Config

Sessions = sessionmaker[Session]

MIGRATIONS = Path(__file__).parents[2] / "alembic"
FRESH_SECONDS = 0.1
"""A connection that was used so short a time ago is not checked: no database restarts as fast."""


OLDEST_SERVER = 180000
"""PostgreSQL 18, the first with ``uuidv7()``."""


class ServerTooOld(ViseError):
    """The PostgreSQL server lacks what our tables need."""


class UnknownRevision(ViseError):
    """The database was made by another version, from which or to which there is no migration."""

    def __init__(self, revision: str, url: str) -> None:
        super().__init__(
            f"the database {url} has revision {revision!r}, which this version of VisE Studio does not know: it was "
            "made by a newer version or before the first release. Use the version that made it, or start with an "
            "empty database: name another home (vise up --home) or another VISE_DATABASE_URL"
        )


def plain_url(url: str) -> str:
    """Return a SQLAlchemy URL of PostgreSQL in the form that psycopg reads."""
    return re.sub(r"^postgresql\+\w+:", "postgresql:", url)


@dataclass(frozen=True)
class Limits:
    """Seconds after which a connection gives up: no process waits for ever, and none holds a lock for ever.

    The server enforces ``statement``, ``lock`` and ``idle_in_transaction`` (of a client that is frozen or gone), the
    kernel ``silent`` (of a host that is gone). ``ping`` and ``statement`` also bound the client's wait for a server
    that is frozen or behind a connection that was cut in silence. 0: no limit.
    """

    connect: int = 5
    pool: float = 5
    ping: float = 3
    statement: float = 30
    lock: float = 5
    idle_in_transaction: float = 15
    silent: float = 10

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``psycopg.connect`` for these limits."""
        server = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle_in_transaction,
            "tcp_user_timeout": self.silent,
        }
        options = " ".join(f"-c {name}={round(1000 * seconds)}" for name, seconds in server.items())
        return {
            "connect_timeout": self.connect,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": round(1000 * self.silent),
            "application_name": "vise",
            # Every statement is planned for its own values: the best plan depends on the metric or the field of a
            # spec that a search names, and a generic plan is several times as slow.
            "options": f"{options} -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
            " -c plan_cache_mode=force_custom_plan",
        }


LIMITS = Limits()
SHORT = replace(LIMITS, statement=10, idle_in_transaction=8)
"""For workers and dispatchers, which write little at a time: a connection that was cut in silence holds up no run for
longer, and neither does the lock of a transaction that it has left open."""
UNLIMITED = Limits(statement=0, lock=0, idle_in_transaction=0)
"""For migrations, which may take long and wait for each other."""
GRACE_SECONDS = 2.0
"""The client waits so much longer than the server may take, so that the server's message arrives."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not respond within ``response_seconds``; 0: no limit."""

    response_seconds: float = 0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for a response. Raises OperationalError if none arrives in time."""
        if timeout is not None or not self.response_seconds:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.response_seconds)
        except _WaitTimeout as error:
            self.pgconn.finish()
            message = f"the database sent no response within {self.response_seconds:g} s"
            raise psycopg.OperationalError(message) from error


def open_connection(limits: Limits, *positional: Any, **arguments: Any) -> BoundedConnection:
    """Return a connection of psycopg that is bounded by these limits."""
    connection = BoundedConnection.connect(*positional, **arguments)
    connection.response_seconds = limits.statement and limits.statement + GRACE_SECONDS
    return connection


def listen(url: str, channel: str) -> BoundedConnection:
    """Return an autocommit connection that listens to a channel."""
    connection = open_connection(SHORT, plain_url(url), autocommit=True, **SHORT.arguments())
    connection.response_seconds = SHORT.ping
    connection.execute(f"LISTEN {channel}".encode())
    return connection


def connect(url: str, *, pool_size: int = 5, limits: Limits = LIMITS) -> Engine:
    """Return an engine whose pool replaces connections that died, so that a restarted database causes no error."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        pool_timeout=limits.pool,
        pool_use_lifo=True,
        # Neither a parameter nor a row, such as one with a password's hash, is for error messages and logs.
        hide_parameters=True,
        connect_args=limits.arguments(),
    )

    @event.listens_for(engine, "do_connect")
    def open_bounded(_dialect: Any, _record: Any, positional: Any, arguments: Any) -> BoundedConnection:
        return open_connection(limits, *positional, **arguments)

    @event.listens_for(engine, "handle_error")
    def hide_rows(context: ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args and isinstance(error.args[0], str):
                error.args = (error.args[0].split("\nDETAIL:")[0], *error.args[1:])

    # SQLAlchemy's pool_pre_ping would add a round trip to each of a request's short transactions.
    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: Any, _proxy: Any) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < FRESH_SECONDS:
            return
        response_seconds, connection.response_seconds = connection.response_seconds, limits.ping
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            # All connections of the same age are gone too: the pool connects anew.
            raise InvalidatePoolError from error
        connection.response_seconds = response_seconds

    return engine


def reading(sessions: Sessions) -> Sessions:
    """Return a factory of autocommit sessions, for single statements: they save the two messages of a transaction."""
    engine: Engine = sessions.kw["bind"]
    return session_factory(engine.execution_options(isolation_level="AUTOCOMMIT"))


def session_factory(engine: Engine) -> Sessions:
    """Return a factory of sessions whose objects stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for the migrations of this repository and a database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def server_problem(connection: Connection) -> str | None:
    """Return a sentence if PostgreSQL is too old."""
    number, name = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
    ).one()
    return too_old(number, name)


def too_old(number: int, name: str) -> str | None:
    """Return a sentence if this version of PostgreSQL is too old."""
    if number >= OLDEST_SERVER:
        return None
    return f"PostgreSQL {name} is too old: VisE Studio needs PostgreSQL 18 or newer"


def known_revisions() -> set[str]:
    """Return the revisions of the tables that this version can migrate from and to."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config("postgresql://"))
    return {script.revision for script in scripts.walk_revisions()}


def migrate(url: str, revision: str = "head") -> None:
    """Bring the tables up to date, or up to an earlier revision. Two processes may call it at once: the second waits for the first.

    Raises UnknownRevision if the database has a revision that is not among the migrations, and ServerTooOld for a
    server of an older version than is supported; both before anything is changed.
    """
    from alembic.migration import MigrationContext

    from alembic import command

    config = alembic_config(url)
    known = known_revisions()
    engine = connect(url, pool_size=1, limits=UNLIMITED)
    with engine.connect() as connection:
        if problem := server_problem(connection):
            raise ServerTooOld(problem)
        connection.execute(select(func.pg_advisory_lock(MIGRATION_LOCK)))
        try:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in known:
                raise UnknownRevision(current, engine.url.render_as_string())
            command.upgrade(config, revision)
        finally:
            connection.execute(select(func.pg_advisory_unlock(MIGRATION_LOCK)))
            connection.commit()
    engine.dispose()
