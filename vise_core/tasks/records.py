"""Records that the readers of tasks return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vise_core.errors import BadInput
from vise_core.files.names import contained, is_file, printable_name
from vise_core.specs.tasks.splits import SplitName


class Row(NamedTuple):
    """An image of a task as its list or folder names it.

    Attributes
    ----------
    path: relative to the task's folder, with forward slashes. Whether it is there is looked up later, for all rows.
    label: name of the class; None in a published test set without labels.
    split: where the task comes with its own.
    text: the sentence that belongs to the image, where the task has them.
    where: the list and line that name it, for messages.
    """

    path: str
    label: str | None
    split: SplitName | None = None
    text: str | None = None
    where: str = ""


@dataclass(frozen=True)
class LabelledImages:
    """The labelled images of a downstream task.

    Attributes
    ----------
    paths: n image files, all inside ``root``, in the reader's order (by path for folders).
    labels: (n,) int64, indices into ``classes``.
    published: n names of splits where the task comes with its own, else None.
    synthetic: True where ``dataset.json`` says that the images are generated.
    texts: n sentences, one for each image, where the task has them (Hateful Memes).
    unlabelled: how many images of the published test set were left out for want of a label.
    notes: what a reader of the results should know of how the folder was read, in sentences.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    published: tuple[SplitName, ...] | None = None
    synthetic: bool = False
    texts: tuple[str, ...] | None = None
    unlabelled: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def relative_path(self, index: int) -> str:
        """Return the image's path below the root, with forward slashes, as printable text for tables."""
        return printable_name(self.paths[index].relative_to(self.root))


def inside(root: Path, relative: str, where: str) -> Path:
    """Return ``root / relative`` if it is a file below ``root``, also with links resolved.

    Raises BadInput, beginning with ``where``, for a path that leads out of the folder, or a missing file.
    """
    if not is_file(contained(root, relative, where)):
        raise BadInput(f"{where}: no file '{printable_name(relative)}' in the data set's folder")
    return root / relative
