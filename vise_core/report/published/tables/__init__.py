"""The paper's Tables 1–16, read from one YAML file each in this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput

from ..cells import ILLEGIBLE, read_number, read_words
from ..records import Facts, PublishedCell, PublishedColumn, PublishedRow, PublishedTable

TABLES = tuple(f"table{number}" for number in range(1, 17))
"""Names of the paper's tables; 1 and 8 are facts about methods and data sets, the others results."""


@cache
def published(table: str) -> PublishedTable:
    """Return the paper's own table, such as ``published("table6")``. Raises BadInput for a name not in ``TABLES``."""
    if table not in TABLES:
        raise BadInput(f"the paper has no {table!r}; one of {', '.join(TABLES)}")
    content = read_yaml(Path(__file__).with_name(f"{table}.yaml"))
    everywhere = Facts.model_validate(content.pop("facts", {}))
    columns = tuple(map(PublishedColumn.model_validate, content.pop("columns")))
    rows = tuple(_row(row, everywhere) for row in content.pop("rows"))
    cells = tuple(cell for row in rows for cell in _cells(table, row, columns, everywhere))
    return PublishedTable(name=table, columns=columns, rows=rows, cells=cells, **content)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML data file of this package."""
    # Imported here: the API imports this module, and reads the files only for a report.
    import yaml

    # PyYAML's compiled loader where it is installed.
    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _row(content: dict[str, Any], everywhere: Facts) -> PublishedRow:
    row = PublishedRow.model_validate(content)
    # The label is mostly the method's name; a data file says where it is not.
    label = None if row.label == ILLEGIBLE else row.label or row.method
    return row.model_copy(update={"label": label, "backbone": row.backbone or everywhere.backbone})


def _cells(
    table: str, row: PublishedRow, columns: tuple[PublishedColumn, ...], everywhere: Facts
) -> list[PublishedCell]:
    if len(row.cells) != len(columns):
        raise BadInput(f"{table}, {row.key}: {len(row.cells)} cells for {len(columns)} columns")
    cells = []
    for column, cell in zip(columns, row.cells, strict=True):
        facts = {}
        for name in Facts.model_fields:
            facts[name] = getattr(row, name) or getattr(column, name) or getattr(everywhere, name)
        printed = (read_words if column.words else read_number)(cell)
        cells.append(
            PublishedCell(table=table, row=row.key, column=column.key, **facts, **printed.model_dump())
        )
    return cells
