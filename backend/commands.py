"""Commands of the server: ``vise up``, ``migrate``, ``gc``, ``backup``, ``restore`` and ``admin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vise_client.commands.app import command_group
from vise_client.commands.output import say

admin = command_group(help="Admins of a server, made directly in its database.", no_args_is_help=True)


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

    run_up(home=home or default_home(), port=port, api_port=api_port, browser=browser, tell=say)


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
    from backend.local.offline import server_settings
    from backend.store.database import connect, session_factory
    from backend.store.registry.storage import Storage
    from backend.store.upkeep import gc

    with server_settings() as settings:
        engine = connect(settings.database_url)
        sessions, storage = session_factory(engine), Storage(settings.storage_url)
        for found in gc.find_removable(sessions, storage, settings):
            say(f"{len(found.things):>8,} {sum(found.things.values()):>18,} bytes  {found.kind}")
            for name, size in found.things.items() if names else ():
                say(f"{'':8} {size:>18,} bytes  {name}")
        if apply:
            gc.remove(sessions, storage, settings)
        engine.dispose()
    say("removed" if apply else "nothing was removed; `vise gc --apply` removes it")


def backup(folder: Annotated[Path, typer.Argument(help="A new folder for the backup.")]) -> None:
    """Back up the database and the storage into a folder, while the server runs.

    Exits with 3 if files of the storage were missing or damaged.
    """
    from backend.local.offline import server_settings
    from backend.store.registry.storage import Storage
    from backend.store.upkeep.backup import back_up

    with server_settings() as settings:
        manifest = back_up(settings.database_url, Storage(settings.storage_url), folder)
    rows = sum(table.rows for table in manifest.tables)
    say(f"{rows:,} rows and {len(manifest.files):,} files, {manifest.size:,} bytes, are in {folder}")
    if manifest.missing:
        say(f"{len(manifest.missing):,} files were missing or damaged in the storage, and are not in it:")
        for path in manifest.missing:
            say(f"  {path}")
        raise typer.Exit(3)


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    removals: Annotated[
        Path | None,
        typer.Option(
            help="Folder removals of the lost storage: posts that were removed since the backup are removed again."
        ),
    ] = None,
) -> None:
    """Check a backup, and restore it into an empty database and storage, without the posts that were removed since.

    Exits with 3 if anything still holds a removed post.
    """
    from backend.local.offline import server_settings
    from backend.store.database import UNLIMITED, connect, session_factory
    from backend.store.registry.storage import Storage
    from backend.store.upkeep import removal_work, removals_kept
    from backend.store.upkeep.backup import restore

    with server_settings(create=True) as settings:
        storage = Storage(settings.storage_url)
        manifest = restore(folder, settings.database_url, storage, removals)
        engine = connect(settings.database_url, limits=UNLIMITED)
        problems = removal_work.remove_again(session_factory(engine), storage, settings.data_root)
        engine.dispose()
        known = removals_kept.kept(storage)
    if not known:
        say(
            "no removals of posts are known: if posts were removed since the backup, they are back. Restore again with "
            "--removals and the folder removals of the lost storage",
            err=True,
        )
    rows = sum(table.rows for table in manifest.tables)
    say(
        f"restored and compared: {rows:,} rows, {len(manifest.files):,} files of {manifest.created_at:%Y-%m-%d %H:%M} UTC"
    )
    for problem in problems:
        say(problem, err=True)
    if problems:
        raise typer.Exit(3)


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
    say(f"{body.email} is an admin now")


@admin.command("password")
def set_password(email: Annotated[str, typer.Argument(help="E-mail address of the user.")]) -> None:
    """Set the password of a user, and end all sessions and sign-in links of the user. API tokens stay valid.

    The password is taken from $VISE_ADMIN_PASSWORD, or asked for.
    """
    from backend.local.offline import server_settings
    from backend.store.accounts import users
    from backend.store.database import connect, session_factory
    from vise_client.schemas.accounts import PasswordChange
    from vise_core.errors import BadInput

    with server_settings() as settings:
        password = settings.admin_password or typer.prompt(
            "Password", hide_input=True, confirmation_prompt=True
        )
        body = PasswordChange(current="", new=password)
        engine = connect(settings.database_url)
        with session_factory(engine).begin() as db:
            user = users.find_user(db, email)
            if user is None:
                raise BadInput(f"there is no user {email}")
            users.set_password(db, user, body.new)
        engine.dispose()
    say(f"{email} has a new password")


@admin.command("delete")
def delete_user(
    email: Annotated[str, typer.Argument(help="E-mail address of the user.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """List what a user has made, ask, and delete the user with tokens, predictions and feedback. Runs, models and data sets stay, without an owner."""
    from backend.local.offline import server_settings
    from backend.store.accounts import users
    from backend.store.accounts.deletion import delete_user as delete
    from backend.store.database import connect, session_factory
    from backend.store.upkeep.derived import derived
    from vise_client.commands.deletion import NAMED, confirm
    from vise_core.errors import BadInput

    with server_settings() as settings:
        engine = connect(settings.database_url)
        sessions = session_factory(engine)
        with sessions() as db:
            user = users.find_user(db, email)
            if user is None:
                raise BadInput(f"there is no user {email}")
            address, listed = user.email, derived(db, "user", user.id, None, limit=NAMED)
        # No transaction is open while the question waits.
        confirm(f"Delete {address} for good?", listed, yes=yes)
        with sessions.begin() as db:
            delete(db, address)
        engine.dispose()
    say(f"{address} is deleted")
