"""A bar or point of a figure: our mean over splits, and the paper's value beside it."""

from __future__ import annotations

from vise_core.specs.base import Record

from .text import backbone_title


class Point(Record):
    """A bar or point. ``mean`` None: not run. ``published`` is the paper's value, None where it is lost."""

    method: str
    backbone: str | None
    data_size: float | None
    mean: float | None
    std: float | None = None
    n: int = 0
    runs: tuple[str, ...] = ()
    synthetic: bool = False
    cached: bool = False
    recorded: bool = True
    published: float | None = None
    published_std: float | None = None

    @property
    def label(self) -> str:
        """Method and backbone; the method alone where it has no backbone."""
        return f"{self.method}, {backbone_title(self.backbone)}" if self.backbone else self.method

    def shows(self, published: bool) -> bool:
        """Return whether there is anything to show: our mean, or the paper's value where it is asked for."""
        return self.mean is not None or (published and self.published is not None)
