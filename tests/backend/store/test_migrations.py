"""The migrations make the tables that the code declares, and can be undone."""

from sqlalchemy import inspect

from alembic import command
from backend.store.database import alembic_config, connect, migrate
from backend.store.tables import Base


def test_migrations_and_models_agree(database_url: str) -> None:
    migrate(database_url)
    migrate(database_url)
    # Raises where autogenerate would add anything.
    command.check(alembic_config(database_url))
    tables = set(inspect(connect(database_url)).get_table_names())
    assert tables == {*Base.metadata.tables, "alembic_version"}


def test_down_to_nothing_and_up_again(database_url: str) -> None:
    migrate(database_url)
    command.downgrade(alembic_config(database_url), "base")
    assert inspect(connect(database_url)).get_table_names() == ["alembic_version"]
    migrate(database_url)
