"""The records that the readers of tasks fill in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vise_core.errors import BadInput

SplitName = Literal["train", "val", "test"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


class Row(NamedTuple):
    """One labelled image as a reader found it; ``path`` is relative to the task's folder."""

    path: str
    label: str
    split: SplitName | None = None


@dataclass(frozen=True)
class LabelledImages:
    """A downstream task.

    Attributes
    ----------
    paths: n image files, all inside ``root``, in the reader's order (by path for folders).
    labels: (n,) int64, indices into ``classes``.
    published: n names of splits where the task comes with its own, else None.
    synthetic: True where ``dataset.json`` says that the images are generated.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    published: tuple[SplitName, ...] | None = None
    synthetic: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def relative_path(self, index: int) -> str:
        """The image's path below the root, with forward slashes: its name in tables."""
        return self.paths[index].relative_to(self.root).as_posix()


def inside(root: Path, relative: str, where: str) -> Path:
    """``root / relative``, where that is a file below ``root`` even after every link is followed.

    Raises BadInput, beginning with ``where``, for an absolute path, a way out of the folder or a missing file.
    """
    path = root / relative
    try:
        resolved = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # such as a null byte, or a loop of links
        raise BadInput(f"{where}: {relative!r} is not a path: {error}") from error
    if Path(relative).is_absolute() or not resolved.is_relative_to(root.resolve()):
        raise BadInput(f"{where}: {relative!r} leads out of the data set's folder; copy the file into it")
    if not resolved.is_file():
        raise BadInput(f"{where}: no file {relative!r} in the data set's folder")
    return path
