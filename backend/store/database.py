"""Engine, sessions and migrations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:
    # Only who migrates waits for it.
    from alembic.config import Config

Sessions = sessionmaker[Session]

MIGRATIONS = Path(__file__).parents[2] / "alembic"


def plain_url(url: str) -> str:
    """A SQLAlchemy URL of PostgreSQL as psycopg itself reads it."""
    return re.sub(r"^postgresql\+\w+:", "postgresql:", url)


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """An engine that checks a connection before it uses it, so that a restarted database is no error.

    Every statement is planned for its own values: which metric, or which field of a spec, a search asks for makes one
    plan good or another, and a plan that is kept for all of them several times as slow.
    """
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=20,
        connect_args={
            "connect_timeout": 10,
            "application_name": "vise",
            "options": "-c plan_cache_mode=force_custom_plan",
        },
    )


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
