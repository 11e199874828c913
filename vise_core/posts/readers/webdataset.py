"""Read posts from WebDataset tars: adjacent members with the same name up to its first dot form a sample.

A member name that occurs twice in a tar is rejected, as its sample would be a guess. Nothing is unpacked to disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput
from vise_core.files.compressed import TooLarge
from vise_core.files.names import printable_name
from vise_core.files.tars import DAMAGED, Tar, open_tar
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.posts.sources import WebDatasetSource

from ..paths import as_text, is_system_file
from .raw import MAX_MEMBER_BYTES, Notes, RawPost
from .sidecars import JSON, TEXT, row_of
from .text import matching, shown

PATTERNS = ("**/*.[tT][aA][rR]", "**/*.[tT][aA][rR].[gG][zZ]", "**/*.[tT][gG][zZ]")


@dataclass
class _Sample:
    """The members of a sample: suffix → content."""

    key: str
    parts: dict[str, bytes] = field(default_factory=dict)
    rejected: RejectedPost | None = None
    extra: int = 0
    size: int = 0


def read_webdataset(folder: Path, source: WebDatasetSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each sample of ``<key>.json`` (or ``.txt``) and ``<key>.jpg``, tars sorted by name.

    The key includes folders and ends at the first dot of the file name, as in WebDataset. Raises BadInput if a tar is
    damaged, ends early or unpacks to more than ``most_unpacked``.
    """
    files = (
        [path for pattern in PATTERNS for path in matching(folder, pattern)] if folder.is_dir() else [folder]
    )
    if not files:
        raise BadInput("the folder holds no .tar (or .tar.gz)")
    for path in sorted(files):
        notes.files.add(path.resolve())
        name = shown(folder, path)
        try:
            with open_tar(path) as tar:
                yield from _posts(name, tar, source)
                if not tar.has_end():
                    notes.warn(
                        f"{name} has no end mark: it may break off. Compare its size with the original's."
                    )
        except TooLarge as error:
            raise BadInput(
                f"{name}: cannot be read as tar ({error}). If it is as it should be, unpack it"
            ) from error
        except DAMAGED as error:
            raise BadInput(f"{name}: cannot be read as tar ({error})") from error


def _posts(name: str, tar: Tar, source: WebDatasetSource) -> Iterator[RawPost]:
    sample: _Sample | None = None
    # Digests, not names: a tar may hold millions.
    seen: set[bytes] = set()
    for member in tar.members():
        if member.isdir() or is_system_file(member.name):
            continue
        folder, _, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        key, suffix = (f"{folder}/{stem}" if folder else stem).removeprefix("./"), suffix.lower()
        if sample is None or sample.key != key or suffix in sample.parts:
            if sample is not None:
                yield _post(name, sample, source)
            sample = _Sample(key)
        digest = hashlib.blake2b(
            f"{key}.{suffix}".encode("utf-8", "surrogateescape"), digest_size=12
        ).digest()
        if digest in seen:
            sample.rejected = sample.rejected or RejectedPost(
                "duplicate_member",
                f"the member '{printable_name(member.name)}' comes more than once in the tar",
            )
        seen.add(digest)
        if not member.isreg():
            sample.rejected = sample.rejected or RejectedPost(
                "not_a_file", f"the member '{printable_name(member.name)}' is a link or a device"
            )
        elif sample.size + member.size > MAX_MEMBER_BYTES:
            sample.rejected = sample.rejected or RejectedPost("long_line", "a sample is larger than 256 MiB")
        elif suffix in (JSON, TEXT) or suffix.endswith(f".{JSON}") or is_image_name(f".{suffix}"):
            content = tar.tar.extractfile(member)
            sample.parts[suffix] = content.read() if content else b""
            sample.size += member.size
            if len(sample.parts[suffix]) < member.size:
                raise EOFError("breaks off inside a member")
            continue
        sample.parts[suffix] = b""
        sample.extra += member.isreg()
    if sample is not None:
        yield _post(name, sample, source)


def _post(name: str, sample: _Sample, source: WebDatasetSource) -> RawPost:
    where = f"{name}: {printable_name(sample.key)}"
    row: Any = None
    try:
        if sample.rejected is not None:
            raise sample.rejected
        image = _image(sample.parts, source.image)
        row = row_of(as_text(sample.key), _with_json(sample.parts))
    except RejectedPost as error:
        return RawPost(where, row, rejected=error)
    others = sum(suffix.endswith(f".{JSON}") for suffix in sample.parts) + (
        TEXT in sample.parts and JSON in sample.parts
    )
    extra = sample.extra + others
    return RawPost(where, row, image, dropped={"extra_members": extra} if extra else {})


def _image(parts: dict[str, bytes], member: str | None) -> bytes:
    images = [suffix for suffix in parts if is_image_name(f".{suffix}")]
    if member is not None:
        images = [suffix for suffix in parts if suffix == member.lower().lstrip(".")]
    if not images:
        description = "image" if member is None else f"member .{member}"
        raise RejectedPost(
            "missing_image",
            f"there is no {description} beside the .json; the members of a sample must be adjacent",
        )
    if len(images) > 1:
        raise RejectedPost(
            "several_images",
            f"the sample holds {len(images)} images ({', '.join(images)}); set source.image to one",
        )
    return parts[images[0]]


def _with_json(parts: dict[str, bytes]) -> dict[str, bytes]:
    """Return the parts with the only JSON as "json": ``a.meta.json`` is read where there is no ``a.json``."""
    if JSON in parts:
        return parts
    others = [suffix for suffix in parts if suffix.endswith(f".{JSON}")]
    if len(others) > 1:
        raise RejectedPost(
            "not_json", f"the sample holds {len(others)} JSON members ({', '.join(others)}) and no .json"
        )
    return parts | {JSON: parts[others[0]]} if others else parts
