"""Features made before, for whatever run wants the same: one file for each content, named by it.

The name is a digest of all that the numbers depend on, so that a file can never be out of date; its last bytes are a
digest of the rest, so that one that was cut off or damaged is never believed. The folder may be deleted at any time,
and holds at most ``$VISE_FEATURES_CACHE_BYTES``: the least recently used files go first.
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
from uuid import uuid4

import numpy as np
import PIL
import torch
import torchvision

from vise_core.errors import BadInput
from vise_core.files.cache_folder import cache_subfolder
from vise_core.files.hashing import file_digests
from vise_core.models.backbones import Backbone
from vise_core.models.checkpoint import resize_for
from vise_core.posts.images.decode import DECODING
from vise_core.settings import CoreSettings
from vise_core.specs.compute import NetworkCompute
from vise_core.tasks import LabelledImages
from vise_core.training.precision import amp_dtype

FORMAT = f"features-2-{DECODING}"
"""To be raised when the evaluation crop or the pooling changes."""
SEAL = hashlib.sha256().digest_size


MOST_BYTES = 50 * 2**30
ABANDONED_SECONDS = 24 * 3600
"""A part that nobody has written to for so long is what a killed process left."""


@dataclass(frozen=True)
class FeaturesCache:
    """``most_bytes``: of all files; those that runs hold at this moment may be more."""

    folder: Path
    most_bytes: int = MOST_BYTES


def features_cache() -> FeaturesCache | None:
    """``$VISE_CACHE/features``, or ``~/.cache/vise/features``, of ``$VISE_FEATURES_CACHE_BYTES``.

    None where the account has no home. Raises BadInput.
    """
    most_bytes = CoreSettings().features_cache_bytes
    if not most_bytes.isdecimal():
        raise BadInput(f"VISE_FEATURES_CACHE_BYTES: {most_bytes!r} is not a number of bytes")
    folder = cache_subfolder("features")
    return None if folder is None else FeaturesCache(folder, int(most_bytes))


def features_key(
    backbone: Backbone,
    images: LabelledImages,
    image_size: int,
    dtype: np.dtype,
    compute: NetworkCompute,
    device: torch.device,
    digests: Sequence[bytes] | None = None,
) -> str:
    """Hex SHA-256 of what the pooled features of the evaluation crops depend on (Sec. 4.2).

    These are the weights, buffers included, in whatever file they came; the content of the image files, in the task's
    order; the crop and the normalisation; the layer; the type that they are kept in; and, since the last bits depend
    on them, the libraries, the kind of device, its precision and the memory layout. Labels and splits have no part in it. ``digests`` are
    the SHA-256 of the image files where the caller has them already.
    """
    facts = {
        "backbone": backbone.name,
        "weights": weights_sha256(backbone),
        "images": hashlib.sha256(b"".join(digests or file_digests(images.paths))).hexdigest(),
        "transform": [image_size, resize_for(backbone, image_size), backbone.mean, backbone.std],
        "layer": "pooled",
        "dtype": dtype.name,
        "libraries": [torch.__version__, torchvision.__version__, PIL.__version__],
        "device": [device.type, str(amp_dtype(compute.amp, device)), compute.channels_last],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def weights_sha256(backbone: Backbone) -> str:
    """Of all parameters and buffers, their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def take(cache: FeaturesCache, key: str, shape: tuple[int, int], dtype: np.dtype, path: Path) -> bool:
    """Put the features under ``key`` at ``path``, where nothing may be yet, as ``.npy``; False where there are none that are whole.

    A damaged file is removed. Raises OSError.
    """
    kept = _file(cache, key)
    try:
        # Before it is read: what has a second name is in use, and stays.
        _link(kept, path)
    except FileNotFoundError:
        return False
    whole = False
    try:
        whole = _is_whole(path, shape, dtype)
    finally:
        if not whole:
            path.unlink()
    if not whole:
        kept.unlink(missing_ok=True)
        return False
    # A cache of another account can be read, not touched.
    with suppress(OSError):
        os.utime(kept)
    return True


def keep(cache: FeaturesCache, key: str, path: Path) -> None:
    """Let other runs have the finished ``.npy`` at ``path``, which must not be changed any more. Raises OSError.

    A process that is killed leaves no file under the key, or a whole one: it is on the disk before it gets its name.
    """
    cache.folder.mkdir(parents=True, exist_ok=True)
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        # NumPy reads as far as the array goes.
        file.seek(0, os.SEEK_END)
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())
    part = cache.folder / f"{FORMAT}-{key}.{uuid4().hex}.part"
    try:
        _link(path, part)
        part.replace(_file(cache, key))
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(cache.folder, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    _shrink(cache)


def _shrink(cache: FeaturesCache) -> None:
    """Remove the files that were taken or kept longest ago, until the rest is small enough.

    Not those that a run holds a second name of: that would free no byte, and the next run would miss them.
    """
    found = []
    for path in cache.folder.iterdir():
        with suppress(FileNotFoundError):  # Others shrink it too.
            found.append((path.stat(), path))
    left = sum(status.st_size for status, _ in found)
    for status, path in sorted(found, key=lambda pair: pair[0].st_mtime_ns):
        if path.suffix == ".part":
            gone = status.st_mtime < time.time() - ABANDONED_SECONDS
        else:
            gone = left > cache.most_bytes and status.st_nlink == 1
        if gone:
            path.unlink(missing_ok=True)
            left -= status.st_size


def _file(cache: FeaturesCache, key: str) -> Path:
    return cache.folder / f"{FORMAT}-{key}.npy"


def _link(source: Path, target: Path) -> None:
    """A second name, since neither is written to any more; a copy where the folders are on two file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def _is_whole(path: Path, shape: tuple[int, int], dtype: np.dtype) -> bool:
    size, digest = path.stat().st_size - SEAL, hashlib.sha256()
    with path.open("rb") as file:
        left = size
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        if left or file.read() != digest.digest():
            return False
    try:
        found = np.load(path, mmap_mode="r")
    except ValueError:
        return False
    return bool(found.shape == shape and found.dtype == dtype)
