"""The settings of commands that speak to the database and the storage directly: the server's, or those of a home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from backend.settings import Settings, settings
from vise_client.errors import ClientError
from vise_client.login import home as default_home


@contextmanager
def server_settings(*, create: bool = False) -> Iterator[Settings]:
    """Yield the settings of the environment; without VISE_DATABASE_URL, those of ``vise up`` in ``$VISE_HOME``.

    PostgreSQL is started where ``vise up`` does not run. Raises ClientError without a home, unless it is to be created.
    """
    try:
        named = settings()
    except ValidationError as error:
        if not any(p["loc"] == ("database_url",) and p["type"] == "missing" for p in error.errors()):
            raise
    else:
        yield named
        return
    home = default_home().resolve()
    if not create and not (home / "postgres").is_dir():
        raise ClientError(
            f"there is no server's state in {home}: set VISE_HOME to the home of `vise up`, or VISE_DATABASE_URL and "
            "VISE_STORAGE_URL to those of the server"
        )
    from .servers import ServerError, start_postgres

    try:
        server = start_postgres(home / "postgres")
    except ServerError:
        sockets = home / "postgres" / "socket"
        if not sockets.is_dir():
            raise
        yield _of_home(home, f"postgresql+psycopg://postgres@/vise?host={quote(str(sockets), safe='/')}")
        return
    try:
        yield _of_home(home, server.url)
    finally:
        server.stop()


def _of_home(home: Path, database_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        broker_url="redis://127.0.0.1",
        storage_url=f"file://{home / 'storage'}",
        home=home,
        data_root=home / "data",
    )
