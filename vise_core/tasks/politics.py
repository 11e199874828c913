"""Politics: a manifest of paths, the labels left and right, and the published splits train and test."""

from __future__ import annotations

from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.tasks import TASKS, CsvTask, PoliticsTask

from .csv_labels import read_csv_labels
from .files import list_file
from .records import Row

SIDES = TASKS["politics"].class_names or ()
PATH_COLUMNS = ("path", "local_path")
"""The second is that of the re-export, which also has a column topic and other delimiters."""

DELIMITERS = (",", ";", "|", "\t")
MAX_HEADER = 10_000


def read_politics(spec: PoliticsTask, folder: Path) -> list[Row]:
    """The rows of the manifest, in its order; further columns, such as topic, are passed over.

    Raises BadInput that names file and line, as ``read_csv_labels`` does, and for a label that is not left or right.
    """
    manifest = spec.manifest or _only_manifest(spec, folder)
    path_column, delimiter = _dialect(spec, folder, manifest)
    table = CsvTask(name=spec.name, manifest=manifest, path_column=path_column, delimiter=delimiter)
    return [row._replace(label=_side(row)) for row in read_csv_labels(table, folder)]


def _only_manifest(spec: PoliticsTask, folder: Path) -> str:
    found = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in (".csv", ".tsv", ".txt") and not entry.name.startswith(".")
    )
    if len(found) != 1:
        raise BadInput(
            f"task {spec.name}: {folder} holds {', '.join(found) or 'no .csv, .tsv or .txt file'}; exactly one manifest "
            "with the columns path, label, split is expected; name it with task.manifest"
        )
    return found[0]


def _dialect(spec: PoliticsTask, folder: Path, manifest: str) -> tuple[str, str]:
    """(column of paths, delimiter), told by the header."""
    path = list_file(folder, manifest, f"task {spec.name}: manifest")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(MAX_HEADER).strip()
    for delimiter in DELIMITERS:
        columns = [column.strip('"') for column in header.split(delimiter)]
        paths = [name for name in PATH_COLUMNS if name in columns]
        if paths and {"label", "split"} <= set(columns):
            return paths[0], delimiter
    raise BadInput(
        f"{manifest}: the header is {header[:200]!r}; it must name path (or local_path), label and split, divided by "
        "a comma, semicolon, bar or tab"
    )


def _side(row: Row) -> str:
    label = (row.label or "").lower()
    if label not in SIDES:
        raise BadInput(f"{row.where}: label is {row.label!r}; one of {', '.join(SIDES)}")
    return label
