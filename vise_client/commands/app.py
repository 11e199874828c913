"""The form of all groups of commands: help in plain text, each command with its whole first sentence."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup


class CommandGroup(TyperGroup):
    """A group whose help wraps the commands' descriptions, where click would cut them off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one entry for each command, with its first paragraph."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, _first_paragraph(command.help)) for name, command in commands.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


command_group = partial(typer.Typer, cls=CommandGroup, rich_markup_mode=None, pretty_exceptions_enable=False)
"""A ``typer.Typer`` whose help is plain text: rich takes longer to load than all else that ``vise --help`` needs."""
