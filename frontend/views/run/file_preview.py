"""A look into a file that somebody else wrote: bounded in size, and nothing in it is ever executed."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow.parquet as pq
from PIL import Image

from frontend.components.image_preview import drawn
from vise_core.specs.posts.images import image_kind

MOST_BYTES = 8 * 2**20
"""Of a file that must be whole to be read: images, Parquet, JSON."""
TEXT_BYTES = 64 * 2**10
MOST_PIXELS = 50_000_000
MOST_ROWS, MOST_COLUMNS, MOST_CELL = 50, 60, 500
MOST_UNPACKED = 256 * 2**20
"""Of the first row group of a Parquet file, as its own footer declares it."""

IMAGES = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **{".webp": "WebP", ".gif": "GIF", ".avif": "AVIF"},
}
AS_THEY_ARE = ("PNG", "JPEG", "WEBP")
"""Pillow's names of what browsers and Streamlit show without another encoding, of modes of 8 bits."""
TEXTS = {
    ".txt",
    ".log",
    ".md",
    ".csv",
    ".yaml",
    ".yml",
    ".toml",
    ".html",
    ".htm",
    ".svg",
    ".xml",
    ".py",
    ".jsonl",
}


@dataclass(frozen=True)
class Preview:
    """What can be shown. ``none`` says why not in ``note``; a note beside something else says what was cut."""

    kind: Literal["json", "table", "image", "text", "markdown", "none"]
    note: str = ""
    text: str = ""
    value: Any = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def bytes_wanted(name: str, size: int) -> int:
    """How many bytes of the file the preview needs; 0 where it will not be shown."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in IMAGES or suffix == ".parquet":
        return size if size <= MOST_BYTES else 0
    if suffix == ".json":
        return size if size <= MOST_BYTES else TEXT_BYTES
    return min(size, TEXT_BYTES) if suffix in TEXTS else 0


def preview(name: str, size: int, data: bytes) -> Preview:
    """A look at a file by its name, whole size and the bytes that ``bytes_wanted`` asked for. Never raises."""
    suffix = PurePosixPath(name).suffix.lower()
    if size and not bytes_wanted(name, size):
        if suffix in IMAGES or suffix == ".parquet":
            return Preview("none", f"larger than {MOST_BYTES // 2**20} MiB; download it")
        return Preview("none", "no preview of this kind of file; download it")
    if suffix in IMAGES:
        return _image(data, IMAGES[suffix])
    if suffix == ".parquet":
        return _parquet(data)
    if suffix == ".json" and size <= len(data):
        return _json(data)
    cut = f"the first {len(data) // 1024} KiB of {size / 2**20:.1f} MiB" if len(data) < size else ""
    text = data.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if suffix == ".md":
        return Preview("markdown", cut, text=_without_images(text))
    return Preview("text", cut, text=text)


def _image(data: bytes, expected: str) -> Preview:
    """The bytes as they are, or as a JPEG where browsers do not show them; decoded only where the header allows it."""
    if image_kind(data) != expected:
        return Preview("none", f"its content is not a {expected} picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=AS_THEY_ARE) as image:
                (width, height), plain = image.size, image.mode in ("1", "L", "LA", "P", "RGB", "RGBA")
                plain = plain and image.format in AS_THEY_ARE
    except Image.DecompressionBombError:
        return Preview("none", "it has too many pixels to show; download it")
    except Exception:
        if expected.upper() in AS_THEY_ARE:
            return Preview("none", f"its content is not a {expected} picture")
        width, height, plain = 0, 0, False
    if width * height > MOST_PIXELS:
        return Preview("none", f"{width} × {height} are too many pixels to show; download it")
    if plain:
        return Preview("image", f"{width} × {height} pixels", value=data)
    found = drawn(data)
    if found.picture is None:
        return Preview("none", f"it cannot be shown: {found.reason}")
    return Preview("image", "converted for display", value=found.picture)


def _parquet(data: bytes) -> Preview:
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            facts = file.metadata
            names = file.schema_arrow.names[:MOST_COLUMNS]
            if facts.num_row_groups and facts.row_group(0).total_byte_size > MOST_UNPACKED:
                return Preview("none", "its rows are too large when unpacked; download it")
            batch = (
                next(file.iter_batches(MOST_ROWS, row_groups=[0], columns=names), None)
                if facts.num_row_groups
                else None
            )
            rows = (
                [{k: _cell(v) for k, v in row.items()} for row in batch.to_pylist()]
                if batch is not None
                else []
            )
            note = f"{len(rows)} of {facts.num_rows:,} rows"
            if len(names) < facts.num_columns:
                note += f", {len(names)} of {facts.num_columns} columns"
            return Preview("table", note, rows=rows)
    except Exception as error:
        return Preview("none", f"it cannot be read as Parquet: {str(error)[:200]}")


def _json(data: bytes) -> Preview:
    text = data.decode("utf-8", errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Preview("text", f"not valid JSON: {str(error)[:200]}", text=text[:TEXT_BYTES])
    if len(text) > 256 * 2**10 or not isinstance(value, (dict, list)):
        return Preview("text", "" if len(text) <= TEXT_BYTES else "its first part", text=text[:TEXT_BYTES])
    return Preview("json", value=value)


def _cell(value: Any) -> Any:
    """Numbers as they are; anything else as text that is not too long."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value[:MOST_CELL] if isinstance(value, (str, bytes, list)) else value)
    return text if len(text) <= MOST_CELL else text[:MOST_CELL] + "…"


def _without_images(text: str) -> str:
    """Markdown whose pictures are left as written: a picture from elsewhere would tell others who reads this."""
    return text.replace("![", "!\\[")
