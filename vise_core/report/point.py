"""A bar or point of a figure: our mean over splits and the paper's value."""

from __future__ import annotations

from vise_core.specs.base import Record

from .text import backbone_title


class Point(Record):
    """A bar or point of a figure. ``mean`` is None where not run, ``published`` where the paper's value is lost."""

    method: str
    backbone: str | None
    data_size: float | None
    mean: float | None
    std: float | None = None
    n: int = 0
    runs: tuple[str, ...] = ()
    synthetic: bool = False
    cached: bool = False
    published: float | None = None
    published_std: float | None = None

    @property
    def label(self) -> str:
        """Return method and backbone, or the method alone where it has no backbone."""
        return f"{self.method}, {backbone_title(self.backbone)}" if self.backbone else self.method

    def shows(self, published: bool) -> bool:
        """Return whether there is a value to show: our mean or, if ``published``, the paper's."""
        return self.mean is not None or (published and self.published is not None)
