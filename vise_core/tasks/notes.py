"""Notes on how a labelled set was read, for the readers of its results."""

from __future__ import annotations

from collections import Counter

from vise_core.files.names import lookalikes
from vise_core.specs.tasks.kinds import Task
from vise_core.specs.tasks.splits import SplitName

from .folder_labels import folder_notes
from .records import LabelledImages

SHOWN = 5
PARTS: tuple[SplitName, ...] = ("train", "val", "test")


def notes_on(spec: Task, images: LabelledImages) -> list[str]:
    """Return notes on ambiguous folders, similar class names, and classes missing in a split."""
    notes = folder_notes(images.root) if spec.kind == "folder" else []
    for group in lookalikes(images.classes)[:SHOWN]:
        names = " and ".join(ascii(name) if name.isascii() is False else repr(name) for name in group)
        notes.append(
            f"The classes {names} differ by case or Unicode normalisation only; they are kept apart. If they are one "
            "class, give them one name."
        )
    return notes + _missing_in_parts(images)


def _missing_in_parts(images: LabelledImages) -> list[str]:
    if images.published is None:
        return []
    held = Counter(zip(images.published, images.labels.tolist(), strict=True))
    notes = []
    for part in PARTS:
        absent = [name for number, name in enumerate(images.classes) if not held[part, number]]
        if absent and len(absent) < len(images.classes):
            more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
            notes.append(f"{part} has no image of {', '.join(absent[:SHOWN])}{more}.")
    return notes
