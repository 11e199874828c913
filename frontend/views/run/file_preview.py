"""Previews of files that users or runs wrote: bounded in size, and nothing in them is executed."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow.parquet as pq
from PIL import Image

from frontend.components.image_preview import image_preview
from vise_core.specs.posts.images import image_kind

MOST_BYTES = 8 * 2**20
"""Largest file that is read as a whole: images, Parquet, JSON."""
TEXT_BYTES = 64 * 2**10
MOST_PIXELS = 50_000_000
MOST_ROWS, MOST_COLUMNS, MOST_CELL = 50, 60, 500
MOST_UNPACKED = 256 * 2**20
"""Largest first row group of a Parquet file, in bytes, by its footer."""

IMAGES = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **{".webp": "WebP", ".gif": "GIF", ".avif": "AVIF"},
}
SHOWN_UNCHANGED = ("PNG", "JPEG", "WEBP")
"""Pillow's names of the formats that browsers and Streamlit show, in modes of 8 bits."""
TEXTS = {
    f".{s}"
    for s in ["txt", "log", "md", "csv", "yaml", "yml", "toml", "html", "htm", "svg", "xml", "py", "jsonl"]
}


@dataclass(frozen=True)
class FilePreview:
    """The content to show. For the kind ``none``, ``note`` is the reason; for others, what was cut."""

    kind: Literal["json", "table", "image", "text", "markdown", "none"]
    note: str = ""
    text: str = ""
    value: Any = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def bytes_needed(name: str, size: int) -> int:
    """Return the number of bytes of the file that its preview needs; 0 where there is no preview."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in IMAGES or suffix == ".parquet":
        return size if size <= MOST_BYTES else 0
    if suffix == ".json":
        return size if size <= MOST_BYTES else TEXT_BYTES
    return min(size, TEXT_BYTES) if suffix in TEXTS else 0


def file_preview(name: str, size: int, data: bytes) -> FilePreview:
    """Preview a file from its name, size and first ``bytes_needed`` bytes. Never raises."""
    suffix = PurePosixPath(name).suffix.lower()
    if size and not bytes_needed(name, size):
        if suffix in IMAGES or suffix == ".parquet":
            return FilePreview(
                "none", f"larger than {MOST_BYTES // 2**20} MiB: download the artifact to see it"
            )
        return FilePreview("none", "no preview of this kind of file: download the artifact to see it")
    if suffix in IMAGES:
        return _image(data, IMAGES[suffix])
    if suffix == ".parquet":
        return _parquet(data)
    if suffix == ".json" and size <= len(data):
        return _json(data)
    cut = f"the first {len(data) // 1024} KiB of {size / 2**20:.1f} MiB" if len(data) < size else ""
    text = data.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if suffix == ".md":
        return FilePreview("markdown", cut, text=_without_images(text))
    return FilePreview("text", cut, text=text)


def _image(data: bytes, expected: str) -> FilePreview:
    """The bytes unchanged, or as a JPEG where browsers do not show them; large images are not decoded."""
    if image_kind(data) != expected:
        return FilePreview("none", f"its content is not a {expected} image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=SHOWN_UNCHANGED) as image:
                (width, height), plain = image.size, image.mode in ("1", "L", "LA", "P", "RGB", "RGBA")
                plain = plain and image.format in SHOWN_UNCHANGED
    except Image.DecompressionBombError:
        return FilePreview("none", "too many pixels: download the artifact to see it")
    except Exception:
        if expected.upper() in SHOWN_UNCHANGED:
            return FilePreview("none", f"its content is not a {expected} image")
        width, height, plain = 0, 0, False
    if width * height > MOST_PIXELS:
        return FilePreview("none", f"{width} × {height} are too many pixels: download the artifact to see it")
    if plain:
        return FilePreview("image", f"{width} × {height} pixels", value=data)
    shown = image_preview(data)
    if shown.jpeg is None:
        return FilePreview("none", f"it cannot be decoded: {shown.reason}")
    return FilePreview("image", "converted for display", value=shown.jpeg)


def _parquet(data: bytes) -> FilePreview:
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            facts = file.metadata
            names = file.schema_arrow.names[:MOST_COLUMNS]
            if facts.num_row_groups and facts.row_group(0).total_byte_size > MOST_UNPACKED:
                return FilePreview(
                    "none", "its rows are too large when unpacked: download the artifact to see it"
                )
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
            return FilePreview("table", note, rows=rows)
    except Exception as error:
        return FilePreview("none", f"it cannot be read as Parquet: {str(error)[:200]}")


def _json(data: bytes) -> FilePreview:
    text = data.decode("utf-8", errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return FilePreview("text", f"not valid JSON: {str(error)[:200]}", text=text[:TEXT_BYTES])
    if len(text) > 256 * 2**10 or not isinstance(value, (dict, list)):
        return FilePreview(
            "text", "" if len(text) <= TEXT_BYTES else "the first part", text=text[:TEXT_BYTES]
        )
    return FilePreview("json", value=value)


def _cell(value: Any) -> Any:
    """Numbers unchanged; other values as text of limited length."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value[:MOST_CELL] if isinstance(value, (str, bytes, list)) else value)
    return text if len(text) <= MOST_CELL else text[:MOST_CELL] + "…"


def _without_images(text: str) -> str:
    """Disable images in Markdown: the server of a remote image would learn who reads it."""
    return text.replace("![", "!\\[")
