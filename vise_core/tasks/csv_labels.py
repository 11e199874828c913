"""A CSV file of path, label and perhaps split and text, beside the images that it names."""

from __future__ import annotations

import csv
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.tasks import CsvTask, SplitName

from .files import list_file
from .records import Row

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def read_csv_labels(spec: CsvTask, folder: Path) -> list[Row]:
    """The rows of the manifest, in its order.

    Raises BadInput that names the file and line: a missing column or value, an unknown split, a path named twice.
    """
    manifest = list_file(folder, spec.manifest, f"task {spec.name}: manifest")
    rows: list[Row] = []
    first_line: dict[str, int] = {}
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=spec.delimiter, strict=True)
            split_column = _check_columns(spec, reader.fieldnames or [])
            for record in reader:
                where = f"{spec.manifest} line {reader.line_num}"
                row = _row(spec, record, split_column, where)
                if row.path in first_line:
                    raise BadInput(f"{where}: {row.path!r} was already named in line {first_line[row.path]}")
                first_line[row.path] = reader.line_num
                rows.append(row)
    except UnicodeDecodeError as error:
        raise BadInput(f"{spec.manifest}: not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise BadInput(f"{spec.manifest} line {reader.line_num}: {error}") from error
    if not rows:
        raise BadInput(f"{spec.manifest}: no rows below the header")
    return rows


def _check_columns(spec: CsvTask, columns: object) -> str | None:
    names = list(columns) if isinstance(columns, list | tuple) else []
    for wanted in filter(None, (spec.path_column, spec.label_column, spec.text_column)):
        if wanted not in names:
            raise BadInput(
                f"{spec.manifest}: no column {wanted!r}; it has {', '.join(map(repr, names)) or 'none'} "
                f"(delimiter {spec.delimiter!r})"
            )
    return spec.split_column if spec.split_column in names else None


def _row(spec: CsvTask, record: dict[str | None, str | None], split_column: str | None, where: str) -> Row:
    path = (record.get(spec.path_column) or "").strip().removeprefix("./")
    label = (record.get(spec.label_column) or "").strip()
    if not path or not label:
        raise BadInput(f"{where}: {spec.path_column if not path else spec.label_column} is empty")
    text = None if spec.text_column is None else record.get(spec.text_column) or ""
    if split_column is None:
        return Row(path, label, text=text, where=where)
    told = (record.get(split_column) or "").strip().lower()
    if told not in SPLIT_NAMES:
        raise BadInput(f"{where}: {split_column} is {told!r}; one of {', '.join(SPLIT_NAMES)}")
    return Row(path, label, SPLIT_NAMES[told], text, where)
