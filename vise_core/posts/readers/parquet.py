"""Read posts from Parquet: flat columns, structs, or the folder that the datasets library writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vise_core.errors import BadInput
from vise_core.files.compressed import TooLarge, most_unpacked, too_large
from vise_core.files.names import printable_name
from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.sources import ParquetSource

from .images import ImageFinder
from .raw import Notes, RawPost
from .text import files_of, shown

if TYPE_CHECKING:
    import pyarrow

BATCH = 16
"""Rows in memory at once: each may hold an image."""
ROW_BYTES = 1024
"""What the smallest row counts for in what a file unpacks to: a few bytes may stand for a million equal rows."""


def read_parquet(folder: Path, source: ParquetSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each row, file by file in order of name.

    The image is bytes, a struct of bytes and path, or a file name. Raises BadInput, naming the file, if it cannot be
    read as Parquet, or unpacks to more than ``most_unpacked``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = ImageFinder(folder, source.images, Mapping(source.fields))
    for path in files_of(folder, source.posts, notes):
        name = shown(folder, path)
        try:
            with pq.ParquetFile(path) as file:
                number, left, most = 0, most_unpacked(path), most_unpacked(path)
                for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
                    for row in _rows(batch):
                        number += 1
                        left -= max(ROW_BYTES, _size(row))
                        if left < 0:
                            raise too_large(most)
                        where = f"{name}: row {number}"
                        if isinstance(row, RejectedPost):
                            yield RawPost(where, None, rejected=row)
                        else:
                            yield images.post(where, row, path)
        except MemoryError:
            raise  # of the limits, not of the file; also an ArrowException
        except TooLarge as error:
            raise BadInput(
                f"{name}: {error}. If it is as it should be, write it without compression"
            ) from error
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{name}: cannot be read as Parquet ({error})") from error


def _rows(batch: pyarrow.RecordBatch) -> list[Any]:
    """Yield rows; yield a RejectedPost for a row that cannot be read."""
    try:
        return batch.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError):  # text that is not UTF-8, a date beyond the year 9999
        return [_row(batch, number) for number in range(batch.num_rows)]


def _size(value: Any) -> int:
    """Return about how many bytes a value takes; those of a column of few values are not the batch's."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 8
    return sum(map(_size, value))


def _row(batch: pyarrow.RecordBatch, number: int) -> dict[str, Any] | RejectedPost:
    import pyarrow as pa

    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[number].as_py()
        except (ValueError, OverflowError) as error:
            if pa.types.is_temporal(column.type):  # no part of a post is a time
                row[name] = None
                continue
            reason = "bad_encoding" if isinstance(error, UnicodeError) else "bad_row"
            return RejectedPost(reason, f"the column '{printable_name(name)}' cannot be read ({error})"[:300])
    return row
