"""Read CUB-200-2011: three lists, joined on the image id, and images/.

The published test part serves as val (Table 8).
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import join

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import CubTask
from vise_core.specs.tasks.splits import SplitName

from .files import list_file, unpacked_below
from .records import Row

SPECIES = TASKS["cub"].classes


def read_cub(spec: CubTask, folder: Path) -> list[Row]:
    """Return the rows in the order of images.txt; a nested CUB_200_2011 folder is entered.

    Raises BadInput, naming file and line, for a line without two fields, an id that is repeated or not in all three
    lists, and a label outside 1 to 200 or of another species than the image's folder.
    """
    below = unpacked_below(folder, "images.txt")
    lists = {
        name: _list(spec, folder, join(below, name))
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    }
    for table in lists.values():
        for name, other in lists.items():
            alone = table.keys() - other.keys()
            if alone:
                number = min(alone, key=int)
                raise BadInput(f"{table[number][1]}: image id {number} is not in {name}")
    images, labels, parts = lists.values()
    names = _class_names(folder, below)
    rows = []
    for number, (path, where) in images.items():
        label = _species(*labels[number])
        prefix = re.match(r"(\d{3})\.", path)
        if prefix and int(prefix[1]) != label:
            raise BadInput(
                f"{labels[number][1]}: label {label} for image {number}, which is {path!r} in {where}"
            )
        rows.append(
            Row(join(below, "images", path), names.get(label, str(label)), _part(*parts[number]), where=where)
        )
    return rows


def _list(spec: CubTask, folder: Path, name: str) -> dict[str, tuple[str, str]]:
    """Parse a file of "<id> <value>" lines to {id: (value, file and line)}."""
    path = list_file(folder, name, f"task {spec.name}")
    entries: dict[str, tuple[str, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: not UTF-8 text: {error}") from error
    for line_number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{name} line {line_number}"
        number, _, value = line.strip().partition(" ")
        if not number.isdecimal() or not value.strip():
            raise BadInput(f"{where}: {line[:100]!r} is not '<id> <value>'")
        if number in entries:
            raise BadInput(f"{where}: id {number} was already in {entries[number][1]}")
        entries[number] = value.strip(), where
    if not entries:
        raise BadInput(f"{name}: empty")
    return entries


def _class_names(folder: Path, below: str) -> dict[int, str]:
    """Return species by number from classes.txt; without this file, the numbers as names."""
    name = join(below, "classes.txt")
    if not (folder / name).is_file():
        return {}
    return {
        _species(number, where): value for number, (value, where) in _list(CubTask(), folder, name).items()
    }


def _species(value: str, where: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= SPECIES:
        raise BadInput(f"{where}: class {value!r}; a number from 1 to {SPECIES} is expected")
    return int(value)


def _part(value: str, where: str) -> SplitName:
    if value not in ("0", "1"):
        raise BadInput(f"{where}: {value!r}; 1 (train) or 0 is expected")
    return "train" if value == "1" else "val"
