"""``vise login``, ``vise login-link`` and ``vise token``: sign in to a server or its pages, and create API tokens."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from .app import command_group
from .output import say, show_table

token_app = command_group(help="API tokens for scripts.", no_args_is_help=True)


def login(
    url: Annotated[str, typer.Argument(help="Address of the API, such as https://vise.example.org.")],
    email: Annotated[str, typer.Option(prompt=True, help="E-mail address of the user.")],
) -> None:
    """Sign in to a server; later commands use it until another login."""
    from vise_client.client import ViseClient
    from vise_client.login import login_file, write_private
    from vise_client.schemas.accounts import Login

    with ViseClient(url) as vise:
        session = vise.login(Login(email=email, password=typer.prompt("Password", hide_input=True)))
    write_private(login_file(), {"url": url, "token": session.token})
    say(f"signed in as {session.user.email} ({session.user.role})")


def login_link() -> None:
    """Print a new link that signs a browser in, once, within ten minutes."""
    from vise_client.login import connect

    with connect() as vise:
        say(vise.create_login_link().link)


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: read, run, predict or admin; may be repeated. Without: all you may."
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Days until it expires. Without: when your session ends.")
    ] = None,
    ask_password: Annotated[
        bool,
        typer.Option("--password", help="Ask for your password, for a token that outlives your session."),
    ] = False,
) -> None:
    """Create an API token and print it; it cannot be shown again. Needs a session: `vise login` or `vise up`."""
    from vise_client.login import connect
    from vise_client.schemas.accounts import TokenCreate

    password = typer.prompt("Password", hide_input=True, err=True) if ask_password else None
    body = TokenCreate.model_validate(
        {"name": name, "scopes": scope or None, "expires_days": days, "password": password}
    )
    with connect() as vise:
        say(vise.create_token(body).token)


@token_app.command("list")
def list_tokens() -> None:
    """List your API tokens with their scopes, newest first."""
    from vise_client.login import connect

    with connect() as vise:
        rows = [
            (
                str(token.id),
                token.name,
                " ".join(token.scopes),
                f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
                f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never",
            )
            for token in vise.tokens()
        ]
    show_table(("id", "name", "scopes", "expires", "last used"), rows)


@token_app.command("revoke")
def revoke_token(token_id: Annotated[UUID, typer.Argument(help="Id of the token, as listed.")]) -> None:
    """Revoke an API token: it is no longer accepted."""
    from vise_client.login import connect

    with connect() as vise:
        vise.revoke_token(token_id)
    say(f"revoked {token_id}")
