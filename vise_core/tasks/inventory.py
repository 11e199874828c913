"""Count every file below a data set's folder, whether or not a reader reads it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from vise_core.files.names import lookalikes, printable_name
from vise_core.specs.posts.images import HEAD_BYTES, image_kind, is_image_name

from .files import is_hidden
from .folder_labels import NOT_CLASSES
from .records import LabelledImages

EXAMPLES = 10
COMPANIONS = frozenset(
    {
        *(
            "",
            ".csv",
            ".tsv",
            ".txt",
            ".json",
            ".jsonl",
            ".md",
            ".rst",
            ".yaml",
            ".yml",
            ".xml",
            ".html",
            ".pdf",
        ),
        *(".pickle", ".pkl", ".mat", ".ann", ".npy", ".py", ".sh", ".bib", ".parquet"),
    }
)
"""Endings of lists and notes that belong beside images; they are counted and give no warning."""


@dataclass
class Inventory:
    """Numbers of files of a labelled set by kind. ``files`` is the sum of all others.

    Attributes
    ----------
    labelled: images of the task. unlabelled: image files that no label names. masks: image files in ``masks/``.
    other: ending → files that are not images by their name. hidden: what systems add, and all in hidden folders.
    endless: those of ``other`` without an ending that begin as an image does.
    linked: folders that are links, which are not entered; no part of ``files``.
    alike: groups of files in one folder whose names differ by case or Unicode normalisation only.
    """

    files: int = 0
    labelled: int = 0
    unlabelled: int = 0
    masks: int = 0
    hidden: int = 0
    other: dict[str, int] = field(default_factory=dict)
    unlabelled_first: list[str] = field(default_factory=list)
    other_first: list[str] = field(default_factory=list)
    endless: int = 0
    endless_first: str = ""
    linked: int = 0
    linked_first: str = ""
    alike: list[tuple[str, ...]] = field(default_factory=list)

    def warnings(self) -> list[str]:
        """Return warnings about files that are not read but look as if they should be, one sentence each."""
        strange = {ending: count for ending, count in self.other.items() if ending not in COMPANIONS}
        sentences = []
        if strange:
            counted = ", ".join(f"{ending} {count:,}" for ending, count in Counter(strange).most_common(5))
            first = next(name for name in self.other_first if _ending(name) in strange)
            sentences.append(
                f"{sum(strange.values()):,} of {self.files:,} files are not read, as their names are not an image's: "
                f"{counted}; such as {first}."
            )
        if self.endless:
            sentences.append(
                f"{self.endless:,} of {self.files:,} files are images whose names have no ending, and are not read, such as "
                f"{self.endless_first}; rename them, to .jpg or what they are."
            )
        if self.linked:
            sentences.append(
                f"{self.linked:,} folders are links, which are not followed, so what lies in them is not read, such as "
                f"{self.linked_first}; put the folders themselves there."
            )
        if self.unlabelled:
            sentences.append(
                f"{self.unlabelled:,} of {self.files:,} files are images without a label and are not read, such as "
                f"{self.unlabelled_first[0]}."
            )
        if self.alike:
            group = " and ".join(map(ascii, self.alike[0]))
            sentences.append(
                f"{len(self.alike):,} groups of files differ by case or Unicode normalisation only, such as {group}; they "
                "are kept apart here, and not on every file system."
            )
        return sentences


def take_inventory(folder: Path, images: LabelledImages | None) -> Inventory:
    """Count every file below the folder; links to folders are not entered."""
    inventory = Inventory()
    labelled = {str(path) for path in images.paths} if images is not None else set()
    other: Counter[str] = Counter()
    shown: set[str] = set()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        relative = Path(parent).relative_to(folder)
        hidden = any(is_hidden(part) for part in relative.parts)
        inventory.alike += [
            tuple(printable_name(relative / name) for name in group)
            for group in lookalikes([*files, *folders])
        ]
        for name in folders:
            if not hidden and not is_hidden(name) and Path(parent, name).is_symlink():
                inventory.linked += 1
                inventory.linked_first = inventory.linked_first or printable_name(relative / name)
        for name in sorted(files):
            inventory.files += 1
            path = os.path.join(parent, name)  # noqa: PTH118 - a million of them
            if path in labelled:
                inventory.labelled += 1
            elif hidden or is_hidden(name):
                inventory.hidden += 1
            elif not is_image_name(name):
                ending = _ending(name)
                other[ending] += 1
                if not ending and _begins_as_image(path):
                    inventory.endless += 1
                    inventory.endless_first = inventory.endless_first or printable_name(relative / name)
                if ending not in shown or len(inventory.other_first) < EXAMPLES:
                    shown.add(ending)
                    inventory.other_first.append(printable_name(relative / name))
            elif relative.parts and relative.parts[0] in NOT_CLASSES:
                inventory.masks += 1
            else:
                inventory.unlabelled += 1
                if len(inventory.unlabelled_first) < EXAMPLES:
                    inventory.unlabelled_first.append(printable_name(relative / name))
    inventory.other = dict(other.most_common())
    return inventory


def _ending(name: str) -> str:
    return printable_name(Path(name).suffix.lower())[:20]


def _begins_as_image(path: str) -> bool:
    try:
        # A pipe or a device would wait for a writer.
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return image_kind(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False
