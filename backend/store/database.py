"""Engine, sessions and migrations."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

import backend.store.tables  # noqa: F401 -- foreign keys need the tables of every room
from vise_core.errors import ViseError

if TYPE_CHECKING:
    # Imported late: only a migration needs it.
    from alembic.config import Config

Sessions = sessionmaker[Session]

MIGRATIONS = Path(__file__).parents[2] / "alembic"
FRESH_SECONDS = 0.1
"""A connection that was used so short a time ago is not checked: no database restarts as fast."""


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


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine whose pool replaces connections that died, so that a restarted database causes no error.

    Every statement is planned for its own values: the best plan depends on the metric or the field of a spec that a
    search names, and a generic plan is several times as slow.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": 10,
            "application_name": "vise",
            "options": "-c plan_cache_mode=force_custom_plan",
        },
    )

    # SQLAlchemy's pool_pre_ping would add a round trip to each of a request's short transactions.
    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: Any, _proxy: Any) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            # All connections of the same age are gone too: the pool connects anew.
            raise InvalidatePoolError from error

    return engine


def reading(sessions: Sessions) -> Sessions:
    """Return a factory of autocommit sessions, for single statements: they save the two messages of a transaction."""
    engine: Engine = sessions.kw["bind"]
    return session_factory(engine.execution_options(isolation_level="AUTOCOMMIT"))


def session_factory(engine: Engine) -> Sessions:
    """Return a factory of sessions whose objects stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


def is_up(engine: Engine) -> bool:
    """Return whether the database responds."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception:
        return False
    return True


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for the migrations of this repository and a database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the tables up to date. Two processes may call it at once: the second waits for the first.

    Raises UnknownRevision, and changes nothing, if the database has a revision that is not among the migrations.
    """
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from alembic import command

    config = alembic_config(url)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    engine = connect(url, pool_size=1)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(8_447_301)"))
        try:
            revision = MigrationContext.configure(connection).get_current_revision()
            if revision is not None and revision not in known:
                raise UnknownRevision(revision, engine.url.render_as_string())
            command.upgrade(config, "head")
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(8_447_301)"))
            connection.commit()
    engine.dispose()
