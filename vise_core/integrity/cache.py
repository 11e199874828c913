"""Fingerprint cache: one file per shard or list of files, named by the SHA-256 of its content, so never out of date.

It lies in a folder of the machine, since the inputs of a stage are read-only and its workspace belongs to one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import PIL

from vise_core.engine import Engine, Inline
from vise_core.files.cache_folder import cache_subfolder
from vise_core.files.hashing import file_digests, tree_sha256
from vise_core.files.whole import whole_file
from vise_core.formats.posts import ShardIndex
from vise_core.posts.images.decode import DECODING

from .fingerprints import Fingerprints, OnProgress, fingerprint_files, fingerprint_shard

FORMAT = f"fingerprints-1-{DECODING}"
"""Increase the number when thumbnails or hashes change."""


def default_cache() -> Path | None:
    """Return ``fingerprints`` in the cache folder, or None if there is no cache."""
    return cache_subfolder("fingerprints")


def files_fingerprints(
    paths: Sequence[Path],
    cache: Path | None,
    *,
    engine: Engine = Inline(),
    threads: int = 1,
    on_progress: OnProgress | None = None,
    digests: Sequence[bytes] | None = None,
) -> Fingerprints:
    """Return the fingerprints of image files, in order, from the cache if it has files of the same bytes in this order.

    ``threads`` read the files, and ``digests`` are the SHA-256 of the files if the caller has already computed them.
    """
    if cache is None:
        return fingerprint_files(paths, engine=engine, on_progress=on_progress)
    if digests is None:
        digests = file_digests(paths, threads=threads)
    key = hashlib.sha256(b"".join(digests)).hexdigest()
    return _cached(cache, key, lambda: fingerprint_files(paths, engine=engine, on_progress=on_progress))


def shard_fingerprints(
    posts: Path,
    shard: int,
    cache: Path | None,
    *,
    engine: Engine = Inline(),
    on_progress: OnProgress | None = None,
) -> Fingerprints:
    """Return the fingerprints of a shard's images, in order, from the cache if it has a shard of the same content."""
    if cache is None:
        return fingerprint_shard(posts, shard, engine=engine, on_progress=on_progress)
    # Hash the file itself: the SHA-256 in the index may be out of date.
    key = tree_sha256(posts / ShardIndex.open(posts).shards[shard].name)
    return _cached(
        cache, key, lambda: fingerprint_shard(posts, shard, engine=engine, on_progress=on_progress)
    )


def _cached(cache: Path, key: str, make: Callable[[], Fingerprints]) -> Fingerprints:
    # Another version of Pillow may decode to other pixels.
    path = cache / f"{FORMAT}-{PIL.__version__}-{key}.npz"
    prints = _read(path)
    if prints is None:
        prints = make()
        # A cache that cannot be written to, such as a read-only folder, is no reason to fail.
        with suppress(OSError):
            _write(path, prints)
    return prints


def _write(path: Path, prints: Fingerprints) -> None:
    # The cache may be deleted at any time.
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **{field.name: getattr(prints, field.name) for field in fields(Fingerprints)})


def _read(path: Path) -> Fingerprints | None:
    """Return the fingerprints in a file, or None if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Fingerprints(*(arrays[field.name] for field in fields(Fingerprints)))
    except (OSError, ValueError, KeyError, BadZipFile, EOFError):
        return None
