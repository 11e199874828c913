"""What a hostile weights file holds."""

from collections.abc import Callable
from pathlib import Path


class Payload:
    """Runs code when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.path,)
