"""Previews of files that users or runs wrote: bounded in size, and nothing in them is executed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from PIL import Image

from frontend.components.image_preview import image_preview
from vise_core.specs.posts.images import image_kind

MOST_BYTES = 8 * 2**20
"""Largest file that is read as a whole: images, Parquet, JSON."""
TEXT_BYTES = 64 * 2**10
MOST_PIXELS = 50_000_000
MOST_UNPACKED = 256 * 2**20
"""Largest first row group of a Parquet file, in bytes."""
PARQUET_SECONDS = 30
ROOT = Path(__file__).parents[3]

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
    """Read in another process: what the rows take when unpacked is known only afterwards."""
    command = [sys.executable, "-m", "frontend.views.run.parquet_rows", str(MOST_UNPACKED)]
    # This pool takes memory as it is needed, so that its limit can be low.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, env=environment, timeout=PARQUET_SECONDS, check=True
        )
        found = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return FilePreview("none", "it cannot be read as Parquet: reading it took too much time or memory")
    if found["rows"] is None:
        return FilePreview("none", found["note"])
    return FilePreview("table", found["note"], rows=found["rows"])


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


def _without_images(text: str) -> str:
    """Disable images in Markdown: the server of a remote image would learn who reads it."""
    return text.replace("![", "!\\[")
