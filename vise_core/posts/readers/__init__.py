"""Readers of the layouts that posts come in. Each yields raw rows with their location, and trusts no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .json_list import read_json
from .jsonl import read_jsonl
from .parquet import read_parquet
from .pictures import read_pictures
from .raw import Notes, RawPost
from .table import read_csv
from .webdataset import read_webdataset

__all__ = ["READERS", "Notes", "RawPost"]

READERS: dict[str, Callable[[Path, Any, Notes], Iterator[RawPost]]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
    "pictures": read_pictures,
}
"""Reader by ``source.kind``; sample data is not read but made."""
