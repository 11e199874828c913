"""Data model of a published format: how to recognise it, map its keys, and state its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from vise_core.models.backbones import RGB
from vise_core.specs.models.backbones import IMAGENET_MEAN, IMAGENET_STD

from .contents import Contents, Kind, Tensors

Names = Callable[[Iterable[str]], dict[str, str]]
"""Names of a file → {those of the trunk among them: the trunk's own name}."""


def under(prefix: str) -> Names:
    """Map all names below a prefix to the trunk's, without the prefix."""
    return lambda names: {name: name.removeprefix(prefix) for name in names if name.startswith(prefix)}


WHOLE = under("")


@dataclass(frozen=True, slots=True)
class Drop:
    """A rule for entries that are dropped on purpose.

    Attributes
    ----------
    name: the whole name, or with ``.*`` at its end all below it.
    description: a phrase for messages.
    required: whether a file without it is not of this format.
    rows: what its first dimension must be; 0 for any.
    """

    name: str
    description: str
    required: bool = False
    rows: int = 0

    def covers(self, name: str) -> bool:
        """Return True if the rule drops the entry of this name."""
        below = self.name.removesuffix("*")
        return name.startswith(below) if below != self.name else name == self.name


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that its authors publish.

    Attributes
    ----------
    name: as it is downloaded. url: from where; empty where it is not known.
    sha256, md5: the digest or, where only that is published, how it begins; empty where none is published.
    row, trained_on: where they differ from the format's.
    """

    name: str
    url: str = ""
    sha256: str = ""
    md5: str = ""
    row: str = ""
    trained_on: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which weights are published.

    Attributes
    ----------
    name: key of ``CHECKPOINT_FORMATS``. title: for people.
    row: name of the row in the paper's tables (Table 1).
    fits: whether a file of one of ``kinds`` looks like this format, by its keys.
    backbone: trunk's own tensors → name in ``BACKBONES``. Raises BadCheckpoint where it is none of ours.
    names: which keys are the trunk's and what they are there.
    drops: the exact rules of what is left out. A key that is neither mapped nor dropped makes the file invalid.
    wrapper: the entry that holds the tensors; None where they are the file's own entries.
    beside: rules of what may lie beside the wrapper.
    counters: whether batch-norm's ``num_batches_tracked`` is in the file. Where it is not it starts at 0: with a
        momentum set it has no part in any output. ``either``: all of them or none.
    convert: (trunk's tensors, dropped ones by the file's names) → trunk's, once every key is accounted for.
    mean, std: what images in [0, 1] RGB are normalised with once the weights are ours; our own checkpoints' card
        says it for itself, and its own backbone.
    source: the authors' code that the keys were read from.
    torchvision: whether the trunk is in torchvision's names, wherever it lies. So are many others': such a file is of
        this format only where its digest or the user says so.
    heads_beside: whether keys outside the trunk are dropped by the same rules, and other networks with them.
    row_unknown: whether the keys do not tell which of the files' rows it is; ``row`` is then the format's name alone.
    verified: False where no file or code of the authors' was at hand to hold the keys against.
    """

    name: str
    title: str
    row: str
    fits: Callable[[Contents], bool]
    backbone: Callable[[Tensors], str]
    licence: str
    trained_on: str
    source: str
    names: Names = WHOLE
    drops: tuple[Drop, ...] = ()
    mean: RGB = IMAGENET_MEAN
    std: RGB = IMAGENET_STD
    kinds: tuple[Kind, ...] = ("torch",)
    wrapper: str | None = None
    beside: tuple[Drop, ...] = ()
    counters: Literal["never", "either"] = "either"
    convert: Callable[[Tensors, Tensors], Mapping[str, Tensor]] = lambda trunk, _dropped: trunk
    files: tuple[KnownFile, ...] = ()
    notes: tuple[str, ...] = ()
    verified: bool = True
    torchvision: bool = False
    heads_beside: bool = False
    row_unknown: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """Return the rows of the paper's tables that files of this format may be."""
        named = dict.fromkeys(file.row for file in self.files if file.row)
        return tuple(named) if not self.row or self.row_unknown else (self.row, *named)
