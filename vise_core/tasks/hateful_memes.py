"""Read Hateful Memes: img/*.png and a JSON-lines file per split (phase 1: train, dev, test; phase 2: dev_seen, …)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from posixpath import join
from typing import Any

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import HatefulMemesTask
from vise_core.specs.tasks.splits import SplitName

from .files import list_file, unpacked_below
from .records import Row

CLASSES = TASKS["hateful_memes"].class_names or ()


def read_hateful_memes(spec: HatefulMemesTask, folder: Path) -> list[Row]:
    """Return the rows of the files that the spec names, in their order: train, val, then test.

    A test row without a label has the label None. Raises BadInput, naming file and line, for invalid JSON, a missing
    or invalid field, a missing label in train or val, and a repeated meme or image. Phase 2's dev_unseen repeats
    memes of dev_seen, so they cannot serve as val and test together.
    """
    below = unpacked_below(folder, f"{spec.train}.jsonl")
    rows: list[Row] = []
    ids: dict[str, str] = {}
    images: dict[str, str] = {}
    parts: list[tuple[SplitName, str]] = [("train", spec.train), ("val", spec.val)]
    if spec.test is not None:
        parts.append(("test", spec.test))
    for split, name in parts:
        for where, record in _records(spec, folder, join(below, f"{name}.jsonl")):
            number, row = _row(record, split, below, where)
            for seen, key, column in ((ids, number, "id"), (images, row.path, "image")):
                if key in seen:
                    raise BadInput(f"{where}: {column} {key!r} was already named in {seen[key]}")
                seen[key] = where
            rows.append(row)
    return rows


def _records(spec: HatefulMemesTask, folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = list_file(folder, name, f"task {spec.name} (train {spec.train}, val {spec.val}, test {spec.test})")
    try:
        with path.open(encoding="utf-8-sig") as file:
            number = 0
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                where = f"{name} line {number}"
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise BadInput(f"{where}: not JSON: {error}") from error
                if not isinstance(record, dict):
                    raise BadInput(f"{where}: a JSON object is expected, not {type(record).__name__}")
                yield where, record
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: not UTF-8 text: {error}") from error
    if not number:
        raise BadInput(f"{name}: empty")


def _row(record: dict[str, Any], split: SplitName, below: str, where: str) -> tuple[str, Row]:
    number, image, text = record.get("id"), record.get("img"), record.get("text")
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise BadInput(f"{where}: id must be a number, not {number!r}")
    if not isinstance(image, str) or not image:
        raise BadInput(f"{where}: img must be a path such as img/02345.png, not {image!r}")
    if not isinstance(text, str):
        raise BadInput(f"{where}: text must be a string, not {text!r}")
    return str(number), Row(join(below, image), _label(record, split, where), split, text, where)


def _label(record: dict[str, Any], split: SplitName, where: str) -> str | None:
    label = record.get("label")
    if label is None:
        if split == "test":
            return None
        raise BadInput(f"{where}: no label; an unlabelled file can be test only")
    if isinstance(label, bool) or label not in (0, 1):
        raise BadInput(f"{where}: label must be 0 (not hateful) or 1 (hateful), not {label!r}")
    return CLASSES[int(label)]
