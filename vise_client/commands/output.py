"""Output of the commands: lines, tables and numbers, with the control characters of users' texts escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from vise_core.escaping import terminal_escape

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200  # columns, where the output is no terminal


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or a text of several lines."""
    typer.echo(terminal_escape(text), err=err)


def console(pipe_width: int = PIPE_WIDTH) -> Console:
    """Return a rich console on standard output that reads no markup in texts."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else pipe_width, markup=False, emoji=False)


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, pipe_width: int = PIPE_WIDTH
) -> None:
    """Print a table without borders."""
    from rich.table import Table

    table = Table(*columns, box=None)
    for row in rows:
        # Some tables have lists in their cells, made of our own names.
        table.add_row(*("\n".join(terminal_escape(line) for line in cell.split("\n")) for cell in row))
    console(pipe_width).print(table)


def numbers(values: Mapping[str, float]) -> str:
    """Format named numbers on one line, with four digits: ``accuracy 71.25, loss 0.8``."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
