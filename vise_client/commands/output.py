"""Output of the commands: tables and numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 200  # columns, where the output is no terminal


def console(pipe_width: int = PIPE_WIDTH) -> Console:
    """Return a rich console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else pipe_width)


def table(*columns: str) -> Table:
    """Return an empty table with these columns and no borders."""
    from rich.table import Table

    return Table(*columns, box=None)


def numbers(values: Mapping[str, float]) -> str:
    """Format named numbers on one line, with four digits: ``accuracy 71.25, loss 0.8``."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
