"""Posts as Parquet: flat columns, structs, or the folder that the datasets library writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.posts import ParquetSource

from ..mapping import Mapping
from .images import ImageFinder
from .raw import Notes, RawPost
from .text import files_of, shown

BATCH = 16
"""Rows in memory at once: each may hold an image."""


def read_parquet(folder: Path, source: ParquetSource, notes: Notes) -> Iterator[RawPost]:
    """A row a post, file by file in order of name. The image is bytes, a struct of bytes and path, or a file name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = ImageFinder(folder, source.images, Mapping(source.fields))
    for path in files_of(folder, source.posts, notes):
        name = shown(folder, path)
        try:
            with pq.ParquetFile(path) as file:
                number = 0
                for batch in file.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield images.post(f"{name}: row {number}", row, path)
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{name}: cannot be read as Parquet ({error})") from error
