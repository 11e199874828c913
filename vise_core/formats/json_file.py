"""Read and write versioned JSON files: one record of a Pydantic model with a field ``format``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.main import IncEx

from vise_core.errors import BadInput
from vise_core.specs.base import Record

MAX_BYTES = 16 * 2**20

R = TypeVar("R", bound=Record)


def format_of(kind: type[Record]) -> str:
    """Return the name and version of a model's format: the default of its field ``format``."""
    return str(kind.model_fields["format"].default)


def write_json(path: Path, record: Record, *, exclude: IncEx | None = None) -> None:
    """Write a record, indented, in the order of its fields. Equal records give equal bytes."""
    path.write_text(record.model_dump_json(indent=1, exclude=exclude) + "\n", encoding="utf-8")


def read_json(
    path: Path, kind: type[R], *, remedy: str, error: type[BadInput] = BadInput, max_bytes: int = MAX_BYTES
) -> R:
    """Read a record that ``write_json`` wrote.

    Raises ``error`` for a file that is missing, larger than ``max_bytes``, not JSON, of another format or version, or
    with invalid fields. The message names the file, the field and ``remedy``, such as "label again".
    """
    try:
        if path.stat().st_size > max_bytes:
            raise error(f"{path}: larger than {max_bytes:,} bytes, so {remedy}")
        data = path.read_bytes()
    except FileNotFoundError as missing:
        raise error(f"{path.parent}: no {path.name}; copy the folder whole, or {remedy}") from missing
    except OSError as unreadable:
        raise error(f"{path}: cannot be read ({unreadable}): {remedy}") from unreadable
    return parse_json(data, kind, str(path), remedy=remedy, error=error)


def parse_json(data: bytes, kind: type[R], name: str, *, remedy: str, error: type[BadInput] = BadInput) -> R:
    """Parse the bytes of a file called ``name``. Raises ``error`` as ``read_json`` does."""
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError) as broken:
        raise error(f"{name}: not JSON ({broken}): {remedy}") from broken
    version = content.get("format") if isinstance(content, dict) else type(content).__name__
    if version != format_of(kind):
        raise error(f"{name}: format is {version!r}, expected {format_of(kind)!r}: {remedy}")
    try:
        return kind.model_validate(content)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise error(f"{name}: {field}: {first['msg']}: {remedy}") from invalid
