"""Fingerprints made before: one file for each content, named by it, so that it can never be out of date.

They are kept in a folder of the machine, since the inputs of a stage are read-only and its workspace is for one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import PIL

from vise_core.files.cache_folder import cache_subfolder
from vise_core.files.hashing import file_digests, tree_sha256
from vise_core.formats.posts import ShardIndex
from vise_core.posts.images.decode import DECODING

from .fingerprints import Fingerprints, Told, fingerprint_files, fingerprint_shard

FORMAT = f"fingerprints-1-{DECODING}"
"""To be raised when small pictures or hashes change."""


def default_cache() -> Path | None:
    """``fingerprints`` in the cache folder. None where the account has no home."""
    return cache_subfolder("fingerprints")


def files_fingerprints(
    paths: Sequence[Path],
    cache: Path | None,
    *,
    processes: int = 1,
    told: Told | None = None,
    digests: Sequence[bytes] | None = None,
) -> Fingerprints:
    """Fingerprints of image files, in their order; from the cache where it has files of these bytes in this order.

    ``digests`` are the SHA-256 of the files where the caller has them already.
    """
    if cache is None:
        return fingerprint_files(paths, processes=processes, told=told)
    if digests is None:
        digests = file_digests(paths, threads=processes)
    key = hashlib.sha256(b"".join(digests)).hexdigest()
    return _kept(cache, key, lambda: fingerprint_files(paths, processes=processes, told=told))


def shard_fingerprints(
    posts: Path, shard: int, cache: Path | None, *, processes: int = 1, told: Told | None = None
) -> Fingerprints:
    """Fingerprints of one shard's images, in its order; from the cache where it has a shard of this content."""
    if cache is None:
        return fingerprint_shard(posts, shard, processes=processes, told=told)
    # Of the file itself: what the index says of it need not be true any more.
    key = tree_sha256(posts / ShardIndex.open(posts).shards[shard].name)
    return _kept(cache, key, lambda: fingerprint_shard(posts, shard, processes=processes, told=told))


def _kept(cache: Path, key: str, make: Callable[[], Fingerprints]) -> Fingerprints:
    # Another Pillow may decode to other pixels.
    path = cache / f"{FORMAT}-{PIL.__version__}-{key}.npz"
    found = _read(path)
    if found is None:
        found = make()
        # A cache that cannot be written to, such as a read-only folder, is no reason to fail.
        with suppress(OSError):
            _keep(path, found)
    return found


def _keep(path: Path, found: Fingerprints) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **{field.name: getattr(found, field.name) for field in fields(Fingerprints)})
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _read(path: Path) -> Fingerprints | None:
    """None where there is no whole file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Fingerprints(*(arrays[field.name] for field in fields(Fingerprints)))
    except (OSError, ValueError, KeyError, BadZipFile, EOFError):
        return None
