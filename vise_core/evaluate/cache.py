"""The features cache: pooled features of images, shared by all runs of this account.

A file's name is a digest of everything that the features depend on, so that no file is ever out of date. Its last bytes
are a digest of the rest, so that a truncated or damaged file is never used. The folder may be deleted at any time, and
holds at most ``$VISE_FEATURES_CACHE_BYTES``: the least recently used files are evicted first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision

from vise_core.errors import BadInput
from vise_core.files.cache_folder import cache_subfolder
from vise_core.files.whole import whole_file
from vise_core.models.backbones import Backbone
from vise_core.models.checkpoint import resize_for
from vise_core.posts.images.decode import DECODING
from vise_core.settings import CoreSettings
from vise_core.specs.compute import NetworkCompute
from vise_core.training.precision import amp_dtype

FORMAT = f"features-2-{DECODING}"
"""Prefix of the file names. Raise its number when the evaluation crop or the pooling changes."""
SEAL = hashlib.sha256().digest_size
"""Bytes of the digest at the end of a file."""

MOST_BYTES = 50 * 2**30
ABANDONED_SECONDS = 24 * 3600
"""Age from which a ``.part`` file is what a killed process left."""


@dataclass(frozen=True)
class FeaturesCache:
    """A folder of features and its size limit. ``most_bytes``: of all files; files that runs use are never evicted."""

    folder: Path
    most_bytes: int = MOST_BYTES


def features_cache() -> FeaturesCache | None:
    """Return the cache in ``$VISE_CACHE/features`` or ``~/.cache/vise/features``; None if there is no cache.

    Its limit is ``$VISE_FEATURES_CACHE_BYTES``. Raises BadInput where that is not a number.
    """
    most_bytes = CoreSettings().features_cache_bytes
    if not most_bytes.isdecimal():
        raise BadInput(f"VISE_FEATURES_CACHE_BYTES: {most_bytes!r} is not a number of bytes")
    folder = cache_subfolder("features")
    return None if folder is None else FeaturesCache(folder, int(most_bytes))


def features_key(
    backbone: Backbone,
    image_size: int,
    dtype: np.dtype,
    compute: NetworkCompute,
    device: torch.device,
    digests: Sequence[bytes],
) -> str:
    """Return the hex SHA-256 of everything that the pooled features of the evaluation crops depend on (Sec. 4.2).

    These are the weights with their buffers; the content of the image files in the task's order; the crop and the
    normalisation; the layer; the stored dtype; and, since the last bits depend on them, the libraries, the kind of
    device, its precision and the memory layout. Labels and splits are not included. ``digests``: the SHA-256 of the
    image files.
    """
    facts = {
        "backbone": backbone.name,
        "weights": weights_sha256(backbone),
        "images": hashlib.sha256(b"".join(digests)).hexdigest(),
        "transform": [image_size, resize_for(backbone, image_size), backbone.mean, backbone.std],
        "layer": "pooled",
        "dtype": dtype.name,
        "libraries": [torch.__version__, torchvision.__version__, PIL.__version__],
        "device": [device.type, str(amp_dtype(compute.amp, device)), compute.channels_last],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def weights_sha256(backbone: Backbone) -> str:
    """Return the hex SHA-256 of all parameters and buffers with their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def get_features(cache: FeaturesCache, key: str, shape: tuple[int, int], dtype: np.dtype, path: Path) -> bool:
    """Link or copy the cached ``.npy`` of ``key`` to ``path``, which must not exist; return False on a miss.

    A damaged file, or one of another shape or dtype, is a miss and is removed. Raises OSError if the cache or ``path``
    cannot be read or written.
    """
    cached = _file(cache, key)
    try:
        # Before reading: a file with a second hard link is in use, and is not evicted.
        _link(cached, path)
    except FileNotFoundError:
        return False
    whole = False
    try:
        whole = _is_whole(path, shape, dtype)
    finally:
        if not whole:
            path.unlink()
    if not whole:
        cached.unlink(missing_ok=True)
        return False
    # Another account's cache can be read, but its times cannot be set.
    with suppress(OSError):
        os.utime(cached)
    return True


def put_features(cache: FeaturesCache, key: str, path: Path) -> None:
    """Store the finished ``.npy`` at ``path`` under ``key``; it must not be changed afterwards.

    Raises OSError if the cache cannot be written. A killed process leaves either no file under the key or a whole one:
    the file is on the disk before it is named.
    """
    cache.folder.mkdir(parents=True, exist_ok=True)
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        # NumPy ignores what follows the array.
        file.seek(0, os.SEEK_END)
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())
    with whole_file(_file(cache, key)) as part:
        _link(path, part)
    folder = os.open(cache.folder, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    _evict(cache)


def _evict(cache: FeaturesCache) -> None:
    """Remove the least recently used files until the rest fits the limit.

    Files that a run holds a second hard link to are kept: removing them would free no space.
    """
    files = []
    for path in cache.folder.iterdir():
        with suppress(FileNotFoundError):  # Another process may evict too.
            files.append((path.stat(), path))
    left = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda pair: pair[0].st_mtime_ns):
        if path.suffix == ".part":
            remove = status.st_mtime < time.time() - ABANDONED_SECONDS
        else:
            remove = left > cache.most_bytes and status.st_nlink == 1
        if remove:
            path.unlink(missing_ok=True)
            left -= status.st_size


def _file(cache: FeaturesCache, key: str) -> Path:
    return cache.folder / f"{FORMAT}-{key}.npy"


def _link(source: Path, target: Path) -> None:
    """Hard-link ``source`` to ``target``, or copy it where the folders are on two file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def _is_whole(path: Path, shape: tuple[int, int], dtype: np.dtype) -> bool:
    """Return whether the digest is right and the array has this shape and dtype."""
    size, digest = path.stat().st_size - SEAL, hashlib.sha256()
    with path.open("rb") as file:
        left = size
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        if left or file.read() != digest.digest():
            return False
    try:
        features = np.load(path, mmap_mode="r")
    except ValueError:
        return False
    return bool(features.shape == shape and features.dtype == dtype)
