"""``vise login``, ``vise login-link`` and ``vise token``: sign in to a server or its pages, and create API tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import say

token_app = typer.Typer(help="API tokens for scripts.", no_args_is_help=True)


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
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires. Without: never.")] = None,
) -> None:
    """Create an API token and print it; it cannot be shown again."""
    from vise_client.login import connect
    from vise_client.schemas.accounts import TokenCreate

    with connect() as vise:
        say(vise.create_token(TokenCreate(name=name, expires_days=days)).token)
