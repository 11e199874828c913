"""Read a CSV manifest with columns for path, label and optionally split and text, beside its images."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.files.names import printable_name
from vise_core.specs.tasks.kinds import CsvTask

from .files import list_file, other_label
from .records import Row
from .split_names import SPLIT_NAMES

MAX_COLUMNS = 1000
"""Columns of a file without a header; further ones are passed over."""

_SPACE = " \t\r\n"
"""Around a path; other spaces, such as U+3000, belong to the file's name."""


def read_csv_labels(spec: CsvTask, folder: Path) -> list[Row]:
    """Return the rows of the manifest, in its order.

    Raises BadInput, naming the file and line, for a missing column or value, an unknown split, or a repeated path.
    """
    manifest = list_file(folder, spec.manifest, f"task {spec.name}: manifest")
    rows: list[Row] = []
    first: dict[str, tuple[int, Row]] = {}
    encoding = "utf-8-sig" if spec.encoding.lower() in ("utf-8", "utf8") else spec.encoding
    line = 1
    try:
        with manifest.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=spec.delimiter, strict=True)
            columns = _columns(spec, reader)
            split_column = _check_columns(spec, columns)
            for values in reader:
                line = reader.line_num
                if not any(value.strip() for value in values):
                    continue
                if spec.header and any(value.strip() for value in values[len(columns) :]):
                    raise BadInput(
                        f"{spec.manifest} line {line}: the row has {len(values)} cells, the header names {len(columns)} "
                        "columns; put a cell that holds the delimiter into quotes"
                    )
                row = _row(
                    spec,
                    dict(zip(columns, values, strict=False)),
                    split_column,
                    f"{spec.manifest} line {line}",
                )
                if row.path in first:
                    before, other = first[row.path]
                    raise BadInput(
                        f"{row.where}: '{printable_name(row.path)}' was already named in line {before}"
                        f"{other_label(other, row)}"
                    )
                first[row.path] = line, row
                rows.append(row)
    except UnicodeError as error:
        raise BadInput(f"{spec.manifest}: not {spec.encoding} text: {error}; set task.encoding") from error
    except csv.Error as error:
        raise BadInput(f"{spec.manifest} line {line + 1}: {error}") from error
    if not rows:
        raise BadInput(f"{spec.manifest}: no rows{' below the header' if spec.header else ''}")
    return rows


def _columns(spec: CsvTask, reader: Iterator[list[str]]) -> list[str]:
    """Return the column names: the header's, or numbers from 1 without a header."""
    if spec.header:
        return [name.strip() for name in next(reader, [])]
    return [str(number) for number in range(1, MAX_COLUMNS + 1)]


def _check_columns(spec: CsvTask, names: list[str]) -> str | None:
    for column in filter(None, (spec.path_column, spec.label_column, spec.text_column)):
        if column not in names:
            raise BadInput(
                f"{spec.manifest}: no column {column!r}; it has {', '.join(map(repr, names[:20])) or 'none'} "
                f"(delimiter {spec.delimiter!r})"
            )
        if names.count(column) > 1:
            raise BadInput(f"{spec.manifest}: the header names the column {column!r} more than once")
    return spec.split_column if spec.split_column in names else None


def _row(spec: CsvTask, record: dict[str, str], split_column: str | None, where: str) -> Row:
    path = (record.get(spec.path_column) or "").strip(_SPACE).removeprefix("./")
    label = (record.get(spec.label_column) or "").strip()
    if not path or not label:
        raise BadInput(f"{where}: {spec.path_column if not path else spec.label_column} is empty")
    text = None if spec.text_column is None else record.get(spec.text_column) or ""
    if split_column is None:
        return Row(path, label, text=text, where=where)
    split = (record.get(split_column) or "").strip().lower()
    if split not in SPLIT_NAMES:
        raise BadInput(f"{where}: {split_column} is {split!r}; one of {', '.join(SPLIT_NAMES)}")
    return Row(path, label, SPLIT_NAMES[split], text, where)
