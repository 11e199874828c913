"""Read Parquet files of a fixed schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vise_core.errors import BadInput


def read_table(
    path: Path, schema: pa.Schema, *, remedy: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read the columns of a file: all of the schema's, or ``columns`` in this order, in the schema's types.

    Raises BadInput, which names the file and ends with ``remedy``, if it is missing, damaged or of another schema.
    """
    names = list(columns or schema.names)
    try:
        table = pq.ParquetFile(path).read(names).select(names)
        return table.cast(pa.schema([schema.field(name) for name in names]))
    except FileNotFoundError as error:
        raise BadInput(f"{path}: missing; copy the folder whole, or {remedy}") from error
    except (pa.ArrowException, OSError, KeyError) as error:
        raise BadInput(f"{path}: not a Parquet file of {', '.join(names)} ({error}): {remedy}") from error


def read_batches(path: Path, schema: pa.Schema, *, remedy: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, at most ``rows`` at a time, with the schema's columns.

    Raises BadInput as ``read_table`` does.
    """
    try:
        for batch in pq.ParquetFile(path).iter_batches(rows, columns=schema.names):
            yield batch.select(schema.names).cast(schema)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: missing; copy the folder whole, or {remedy}") from error
    except (pa.ArrowException, OSError, KeyError) as error:
        raise BadInput(
            f"{path}: not a Parquet file of {', '.join(schema.names)} ({error}): {remedy}"
        ) from error
