"""The first rows of a Parquet file from standard input, as JSON, in a process of its own with bounded memory.

The footer of a file may lie about what its rows unpack to: ``python -m frontend.views.run.parquet_rows BYTES``.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pyarrow.parquet as pq

from vise_core.errors import BadInput
from vise_core.limits import limited

MOST_ROWS, MOST_COLUMNS, MOST_CELL = 50, 60, 500
SECONDS = 5
TOO_LARGE = "its rows are too large when unpacked: download the artifact to see it"


def first_rows(data: bytes, most_unpacked: int) -> dict[str, Any]:
    """Return ``rows`` and a ``note``; ``rows`` is None where the note says why there are none."""
    with pq.ParquetFile(io.BytesIO(data)) as file:
        facts, rows = file.metadata, []
        names = file.schema_arrow.names[:MOST_COLUMNS]
        if facts.num_row_groups:
            if facts.row_group(0).total_byte_size > most_unpacked:
                return {"rows": None, "note": TOO_LARGE}
            batches = file.iter_batches(MOST_ROWS, row_groups=[0], columns=names, use_threads=False)
            batch = next(batches, None)
            if batch is not None:
                rows = [{k: _cell(v) for k, v in row.items()} for row in batch.to_pylist()]
        note = f"{len(rows)} of {facts.num_rows:,} rows"
        if len(names) < facts.num_columns:
            note += f", {len(names)} of {facts.num_columns} columns"
        return {"rows": rows, "note": note}


def _cell(value: Any) -> Any:
    """Numbers unchanged; other values as text of limited length."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value[:MOST_CELL] if isinstance(value, (str, bytes, list)) else value)
    return text if len(text) <= MOST_CELL else text[:MOST_CELL] + "…"


def main() -> None:
    """Write the rows of the file, or why there are none."""
    most, data = int(sys.argv[1]), sys.stdin.buffer.read()
    try:
        with limited("the file", memory=2 * most + 2**27, seconds=SECONDS, file_bytes=0):
            found = first_rows(data, most)
    except BadInput:
        found = {"rows": None, "note": TOO_LARGE}
    except Exception as error:
        found = {"rows": None, "note": f"it cannot be read as Parquet: {str(error)[:200]}"}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
