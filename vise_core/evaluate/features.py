"""Pooled features of images under a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vise_core.errors import BadInput
from vise_core.models.backbones import Backbone
from vise_core.specs.base import Compute
from vise_core.tasks import LabelledImages
from vise_core.training.precision import autocast, memory_format

from .loading import Indices, Look, image_batches, in_batches

Features = npt.NDArray[np.float32] | npt.NDArray[np.float16]
EXTRACT_BATCH = 64


@torch.inference_mode()
def write_features(
    backbone: Backbone,
    images: LabelledImages,
    indices: Indices,
    look: Look,
    path: Path,
    compute: Compute,
    device: torch.device,
    *,
    dtype: npt.DTypeLike = np.float32,
    between: Callable[[int], None] = lambda _done: None,
) -> Features:
    """Features of the images at ``indices`` as rows of a memory-mapped (n, feature_dim) ``.npy`` file of ``dtype``.

    Rows of other images stay zero. ``between`` is told after each batch how many are done, and may raise.
    The backbone is put into evaluation mode: its batch-norm statistics must not move (method 7, trap 3).
    Raises BadInput, which names the image, where a feature is not finite, or too large for ``dtype``.
    """
    backbone.eval()
    features = np.lib.format.open_memmap(
        path, mode="w+", dtype=dtype, shape=(len(images), backbone.feature_dim)
    )
    done, layout = 0, memory_format(compute, device)
    for batch, pixels in image_batches(
        images, in_batches(indices, EXTRACT_BATCH), look, compute.loader_workers
    ):
        with autocast(compute, device):
            out = backbone(pixels.to(device, memory_format=layout))
        features[batch] = _checked(out.float().cpu().numpy(), np.dtype(dtype), backbone, images, batch)
        done += len(batch)
        between(done)
    features.flush()
    return features


def _checked(
    found: npt.NDArray[np.float32],
    dtype: np.dtype,
    backbone: Backbone,
    images: LabelledImages,
    batch: Indices,
) -> Features:
    """The features of a batch as ``dtype``. Nothing is trained on what is not finite: every head would diverge."""
    lost = np.flatnonzero(~np.isfinite(found).all(1))
    if len(lost):
        raise BadInput(
            f"{images.relative_path(int(batch[lost[0]]))}: its features under {backbone.name} are NaN or infinite "
            f"({len(lost)} of {len(batch)} images of this batch): the weights cannot be used. Check the checkpoint, or "
            "set compute.amp to off where the features overflow half precision"
        )
    with np.errstate(over="ignore"):
        stored: Features = found.astype(dtype)
    large = np.flatnonzero(~np.isfinite(stored).all(1))
    if len(large):
        raise BadInput(
            f"{images.relative_path(int(batch[large[0]]))}: a feature of {np.abs(found[large]).max():.4g} is too large "
            f"for {dtype.name}; set feature_dtype to float32"
        )
    return stored
