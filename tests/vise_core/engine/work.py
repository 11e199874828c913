"""Functions that engines apply in other processes."""

import os
import signal
import time
from pathlib import Path

from vise_core.errors import BadInput


def double(item: int) -> int:
    return 2 * item


def name(item: int) -> str:
    return f"item {item}"


def process_of(item: int) -> int:
    """Which process did it; slow enough for several to take part."""
    time.sleep(0.05)
    return os.getpid()


def listed(item: int) -> list[int]:
    return [item]


def chained(parts: list[list[int]]) -> list[int]:
    return [item for part in parts for item in part]


def kill_at(deadly: frozenset[int], item: int) -> int:
    """Kills its process at some items."""
    if item in deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def kill_once(marks: Path, item: int) -> list[int]:
    """Kills its process at item 3, the first time."""
    mark = marks / "killed"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [item]


def refuse_at(refused: int, item: int) -> int:
    if item == refused:
        raise BadInput(f"row {item}: no such word")
    return item


def sleep(seconds: float) -> None:
    time.sleep(seconds)
