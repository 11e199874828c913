"""Readers of the published layouts. Each yields one raw row a post, with where it stands; none trusts a file."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput
from vise_core.specs.images import is_image_name
from vise_core.specs.posts import JsonlSource, ParquetSource, WebDatasetSource

from .rows import Refused

MAX_LINE_BYTES = 64 * 2**20
MAX_MEMBER_BYTES = 256 * 2**20


@dataclass(frozen=True)
class RawPost:
    """A row as it was found. ``where`` is the file and line, row or member, for messages."""

    where: str
    row: Any
    image: bytes | Path | None = None
    refused: Refused | None = None


def read_jsonl(folder: Path, source: JsonlSource) -> Iterator[RawPost]:
    """One JSON object a line; ``image`` is a path below the image folder. Blank lines are passed over."""
    path, images = folder / source.posts, (folder / source.images).resolve()
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file; set source.posts")
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            where = f"{path.name}:{number}"
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                yield RawPost(where, None, refused=Refused("long_line", "the line is longer than 64 MiB"))
            elif line.strip():
                yield _json_row(where, line, images)


def _json_row(where: str, line: bytes, images: Path) -> RawPost:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return RawPost(where, None, refused=Refused("not_json", f"the line is not JSON ({error})"))
    name = row.get("image") if isinstance(row, dict) else None
    if not isinstance(name, str) or not name or "\0" in name:
        return RawPost(where, row, refused=Refused("missing_image", "the field image names no file"))
    try:
        image = (images / name).resolve()
        inside = image.is_relative_to(images)
    except (OSError, ValueError, RuntimeError) as error:
        return RawPost(
            where, row, refused=Refused("missing_image", f"image {name!r} cannot be found ({error})")
        )
    if not inside:
        return RawPost(
            where, row, refused=Refused("outside_folder", f"image {name!r} leaves the image folder")
        )
    return RawPost(where, row, image)


def read_parquet(folder: Path, _: ParquetSource) -> Iterator[RawPost]:
    """Every ``*.parquet`` in order of name: id, image (bytes, or a struct with bytes), comments, reactions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in _files(folder, "*.parquet"):
        try:
            file = pq.ParquetFile(path)
            missing = {"id", "image"} - set(file.schema_arrow.names)
            if missing:
                raise BadInput(f"{path.name}: has no column {', '.join(sorted(missing))}")
            number = 0
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path.name}: row {number}"
                    image = row.pop("image")
                    if isinstance(image, dict):  # The layout of Hugging Face data sets.
                        image = image.get("bytes")
                    if isinstance(row.get("reactions"), list):  # A map column comes as pairs.
                        row["reactions"] = dict(row["reactions"])
                    if not isinstance(image, bytes) or not image:
                        yield RawPost(
                            where, row, refused=Refused("missing_image", "the column image is empty")
                        )
                    else:
                        yield RawPost(where, row, image)
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{path.name}: cannot be read as Parquet ({error})") from error


def read_webdataset(folder: Path, _: WebDatasetSource) -> Iterator[RawPost]:
    """Every ``*.tar`` in order of name: members of one key, ``<key>.json`` and ``<key>.jpg``, next to each other.

    Nothing is unpacked to disk; links, devices and folders are passed over.
    """
    for path in _files(folder, "*.tar"):
        try:
            with tarfile.open(path, "r|") as tar:
                yield from _samples(path.name, tar)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise BadInput(f"{path.name}: cannot be read as tar ({error})") from error


def _samples(name: str, tar: tarfile.TarFile) -> Iterator[RawPost]:
    key = ""
    parts: dict[str, bytes] = {}
    for member in tar:
        if not member.isreg():
            continue
        stem, _, suffix = member.name.rpartition("/")[2].partition(".")
        member_key = f"{member.name.rpartition('/')[0]}/{stem}"
        if member_key != key and parts:
            yield _sample(name, key, parts)
            parts = {}
        key = member_key
        if member.size > MAX_MEMBER_BYTES:
            parts["too_large"] = b""
            continue
        data = tar.extractfile(member)
        parts[suffix.lower()] = data.read() if data else b""
    if parts:
        yield _sample(name, key, parts)


def _sample(name: str, key: str, parts: dict[str, bytes]) -> RawPost:
    where = f"{name}: {key.lstrip('/')}"
    if "too_large" in parts:
        return RawPost(where, None, refused=Refused("long_line", "a member is larger than 256 MiB"))
    try:
        row = json.loads(parts["json"])
    except KeyError:
        return RawPost(where, None, refused=Refused("not_json", "there is no .json beside the image"))
    except (ValueError, RecursionError) as error:
        return RawPost(where, None, refused=Refused("not_json", f"the .json is not JSON ({error})"))
    image = next((data for suffix, data in parts.items() if is_image_name(f".{suffix}")), None)
    if image is None:
        return RawPost(where, row, refused=Refused("missing_image", "there is no image beside the .json"))
    return RawPost(where, row, image)


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern)) if folder.is_dir() else [folder]
    if not files:
        raise BadInput(f"{folder}: holds no {pattern}")
    return files


READERS: dict[str, Callable[[Path, Any], Iterator[RawPost]]] = {
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
}
"""Reader by ``source.kind``; sample data is not read but made."""
