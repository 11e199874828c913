"""The baseline migration creates the tables that the code declares, and can be undone."""

import pytest
from sqlalchemy import inspect, text

from alembic import command
from backend.store import database
from backend.store.database import ServerTooOld, UnknownRevision, alembic_config, connect, migrate
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


def test_a_database_of_an_unknown_revision_is_left_alone_and_the_message_says_what_to_do(
    database_url: str,
) -> None:
    engine = connect(database_url)
    with engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '0013'"))
    with pytest.raises(UnknownRevision, match=r"revision '0013', .* empty database") as error:
        migrate(database_url)
    assert (engine.url.password or ":@") not in str(error.value)
    with engine.connect() as db:
        assert db.scalar(text("SELECT version_num FROM alembic_version")) == "0013"
    engine.dispose()


def test_a_server_that_is_too_old_is_left_alone(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OLDEST_SERVER", 990000)
    with pytest.raises(ServerTooOld, match="needs PostgreSQL 18 or newer"):
        migrate(empty_database_url)
    engine = connect(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
