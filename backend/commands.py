"""Commands of the server: ``vise up``, ``vise migrate`` and ``vise admin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

admin = typer.Typer(help="Admins of a server, made directly in its database.", no_args_is_help=True)


def up(
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of all local state. Default: $VISE_HOME, or .vise in this folder."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 8501,
    api_port: Annotated[int, typer.Option(help="Port of the API.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the sign-in link in the browser.")] = True,
) -> None:
    """Run the whole system on this machine until Ctrl-C: database, queue, API, workers and pages."""
    from backend.local.up import up as run_up
    from vise_client.login import home as default_home

    run_up(home=home or default_home(), port=port, api_port=api_port, browser=browser, tell=typer.echo)


def migrate() -> None:
    """Create the database's tables, or update them to this version."""
    from backend.settings import settings
    from backend.store.database import migrate as run_migrations

    run_migrations(settings().database_url)


def gc(
    apply: Annotated[bool, typer.Option("--apply", help="Remove it. Without: only list it.")] = False,
    names: Annotated[
        bool, typer.Option("--names", help="List each file, not only numbers and bytes.")
    ] = False,
) -> None:
    """List what nothing needs any more: objects, states, uploads, workspaces on this host. Remove it with --apply."""
    from backend.settings import settings
    from backend.store.database import connect, session_factory
    from backend.store.registry.storage import Storage
    from backend.store.upkeep import gc

    sessions = session_factory(connect(settings().database_url))
    storage = Storage(settings().storage_url)
    for found in gc.find_removable(sessions, storage, settings()):
        typer.echo(f"{len(found.things):>8,} {sum(found.things.values()):>18,} bytes  {found.kind}")
        for name, size in found.things.items() if names else ():
            typer.echo(f"{'':8} {size:>18,} bytes  {name}")
    if apply:
        gc.remove(sessions, storage, settings())
        typer.echo("removed")
    else:
        typer.echo("nothing was removed; `vise gc --apply` removes it")


@admin.callback()
def _admin() -> None:
    """Admins of a server, made directly in its database."""


@admin.command("create")
def create_admin(
    email: Annotated[str, typer.Option(prompt=True, help="E-mail address of the admin.")],
) -> None:
    """Create an admin. The password is taken from $VISE_ADMIN_PASSWORD, or asked for."""
    from backend.settings import settings
    from backend.store.accounts import users
    from backend.store.database import connect, session_factory
    from vise_client.schemas.accounts import Role, UserCreate

    password = settings().admin_password or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    body = UserCreate(email=email, password=password, role=Role.admin)
    with session_factory(connect(settings().database_url)).begin() as db:
        users.create_user(db, body.email, body.password, body.role)
    typer.echo(f"{body.email} is an admin now")
