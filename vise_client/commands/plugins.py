"""Commands that other packages register with the entry points ``vise.commands``, such as ``vise worker``.

An entry point names a function, or a ``typer.Typer`` with commands of its own.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from vise_client.commands.extras import is_installed, require

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "vise.commands"
SERVER_COMMANDS = {
    "up": "local",
    "ui": "ui",
    "worker": "worker",
    "dispatch": "worker",
    "migrate": "store",
    "admin": "store",
    "gc": "store",
    "backup": "store",
    "restore": "store",
}
"""Commands of the server's packages → the extra that each needs."""


class PluginGroup(TyperGroup):
    """Commands of the client and of other packages. Only the called command is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those of other packages last."""
        return list(dict.fromkeys([*super().list_commands(ctx), *SERVER_COMMANDS, *sorted(_registered())]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name; None where there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        extra = SERVER_COMMANDS.get(cmd_name)
        registered = _registered().get(cmd_name)
        if extra and not (registered and is_installed(extra)):
            return _missing(cmd_name, extra)
        return _command(cmd_name, registered.load()) if registered else None


@cache
def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _command(name: str, target: typer.Typer | Callable[..., Any]) -> Any:
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


def _missing(name: str, extra: str) -> Any:
    """Return a command that fails with the install command of its extra, whatever its arguments."""

    def missing() -> None:
        require(extra, f"vise {name}")

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    anything = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command(
        name, help=f"Not installed: needs the extra '{extra}' of vise-studio.", context_settings=anything
    )(missing)
    return typer.main.get_command(app)
