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

if TYPE_CHECKING:
    # Only who migrates waits for it.
    from alembic.config import Config

Sessions = sessionmaker[Session]

MIGRATIONS = Path(__file__).parents[2] / "alembic"
FRESH_SECONDS = 0.1
"""A connection that was used so short a time ago is taken as it is: no database restarts as fast."""


def plain_url(url: str) -> str:
    """A SQLAlchemy URL of PostgreSQL as psycopg itself reads it."""
    return re.sub(r"^postgresql\+\w+:", "postgresql:", url)


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """An engine that checks a connection that was not used just now, so that a restarted database is no error.

    Every statement is planned for its own values: which metric, or which field of a spec, a search asks for makes one
    plan good or another, and a plan that is kept for all of them several times as slow.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        # The one that was used last is the first to be used again.
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": 10,
            "application_name": "vise",
            "options": "-c plan_cache_mode=force_custom_plan",
        },
    )

    # SQLAlchemy's own pool_pre_ping asks each time: a request of a few short transactions would pay as many more.
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
            # It is gone, and with it all that are as old: the pool connects anew.
            raise InvalidatePoolError from error

    return engine


def reading(sessions: Sessions) -> Sessions:
    """The same for single statements that need no transaction around them, which would cost two more messages."""
    engine: Engine = sessions.kw["bind"]
    return session_factory(engine.execution_options(isolation_level="AUTOCOMMIT"))


def session_factory(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


def is_up(engine: Engine) -> bool:
    """Whether the database answers."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception:
        return False
    return True


def alembic_config(url: str) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the tables up to date. Two processes may call it at once: the second waits for the first."""
    from alembic import command

    engine = connect(url, pool_size=1)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(8_447_301)"))
        try:
            command.upgrade(alembic_config(url), "head")
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(8_447_301)"))
            connection.commit()
    engine.dispose()
