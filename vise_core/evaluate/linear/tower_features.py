"""Features of all images and texts under the frozen towers, for the linear protocol (Sec. 4.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vise_core.evaluate.cache import features_key, get_features, put_features
from vise_core.evaluate.features import write_features
from vise_core.evaluate.job import Job
from vise_core.evaluate.loading import Indices, Transform
from vise_core.evaluate.texts import TEXTS
from vise_core.models.backbones import Backbone

IMAGES = "features.npy"
"""Name in the saved state of the image features."""

TowerFeatures = list[Tensor]
"""The (n, features) float32 or float16 features of all images under each tower, memory-mapped."""


def kept_features(job: Job) -> TowerFeatures:
    """Return the features of all evaluation crops and texts, which are computed once and kept in the saved state."""
    names = [name for name, read in ((IMAGES, job.backbone), (TEXTS, job.texts)) if read is not None]
    if not job.state.facts:
        if job.backbone is not None:
            _image_features(job, job.backbone, job.workspace / IMAGES)
        if job.texts is not None:
            job.embed_texts(job.workspace / TEXTS)
        job.state.save({"epoch": 0}, files={name: job.workspace / name for name in names})
    # Copy on write: torch needs writable memory, and the file must not change.
    return [torch.from_numpy(np.load(job.state.file(name), mmap_mode="c")) for name in names]


def _image_features(job: Job, backbone: Backbone, path: Path) -> None:
    """Write the features of all evaluation crops as ``.npy``, from the cache where another run computed them."""
    all_images, transform = np.arange(len(job.images)), job.eval_transform(backbone)
    # A killed run may have left a hard link to a cached file here, which must not be written to.
    path.unlink(missing_ok=True)
    if job.cache is None:
        _extract(job, backbone, all_images, transform, path, "features")
        return
    dtype = np.dtype(job.spec.feature_dtype)
    key = features_key(backbone, job.image_size, dtype, job.spec.compute, job.device, job.digests)
    # A cache that cannot be used, such as on a full disk, does not fail the run.
    try:
        if get_features(job.cache, key, (len(job.images), backbone.feature_dim), dtype, path):
            job.reporter.log("features of these images under these weights are read from the features cache")
            return
    except OSError as error:
        job.reporter.log(f"the features cache cannot be read: {error}", level="warning")
    _extract(job, backbone, all_images, transform, path, "features")
    try:
        put_features(job.cache, key, path)
    except OSError as error:
        job.reporter.log(f"the features cannot be cached: {error}", level="warning")


def augmented_features(job: Job, epoch: int, needed: Indices, kept: TowerFeatures) -> TowerFeatures:
    """Return the features of an epoch's random crops of the images at ``needed``, and the text features of ``kept``."""
    if job.backbone is None:
        return kept
    transform = job.train_transform(job.backbone, epoch)
    path, phase = job.workspace / "augmented.npy", f"epoch {epoch + 1}"
    return [_extract(job, job.backbone, needed, transform, path, phase), *kept[1:]]


def _extract(
    job: Job, backbone: Backbone, indices: Indices, transform: Transform, path: Path, phase: str
) -> Tensor:
    between = job.between(len(indices), "images", phase)
    return torch.from_numpy(
        write_features(
            backbone,
            job.images,
            indices,
            transform,
            path,
            job.spec.compute,
            job.device,
            dtype=job.spec.feature_dtype,
            between=between,
        )
    )


def rows_of(job: Job, towers: TowerFeatures, indices: Indices, buffer: Tensor | None = None) -> Tensor:
    """Return (…, features) float32 on the device for indices of any shape: all towers' features, concatenated.

    On a CPU the result is a view of ``buffer`` where given, which has at least as many rows.
    """
    at, dims = torch.from_numpy(indices.reshape(-1)), [features.shape[1] for features in towers]
    rows = torch.empty(len(at), sum(dims)) if buffer is None else buffer[: len(at)]
    for features, part in zip(towers, rows.split(dims, 1), strict=True):
        if features.dtype == part.dtype:
            torch.index_select(features, 0, at, out=part)
        else:
            part.copy_(features[at])
    return rows.to(job.device).view(*indices.shape, -1)
