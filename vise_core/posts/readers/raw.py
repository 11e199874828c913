"""Records that the readers of posts yield."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vise_core.posts.rejected import RejectedPost

MAX_TEXT = 64 * 2**20
"""Longest line, element of a list, or cell of a table: bytes of a line, else characters."""

MAX_MEMBER_BYTES = 256 * 2**20


@dataclass(frozen=True)
class RawPost:
    """A row before it is checked. ``where`` is its file and line, row or archive member, for messages."""

    where: str
    row: Any
    image: bytes | Path | None = None
    rejected: RejectedPost | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Notes:
    """Warnings about a source, and the files that hold its posts.

    ``is_data`` recognises by name the files that ``files`` would be too long to list.
    """

    warnings: list[str] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)
    is_data: Callable[[str], bool] = lambda _: False

    def warn(self, sentence: str) -> None:
        """Add a warning, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
