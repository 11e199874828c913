"""Pooled features of images under a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vise_core.errors import BadInput
from vise_core.models.backbones import Backbone
from vise_core.specs.compute import NetworkCompute
from vise_core.tasks import LabelledImages
from vise_core.training.precision import autocast, memory_format

from .loading import Indices, Transform, image_batches, in_batches

Features = npt.NDArray[np.float32] | npt.NDArray[np.float16]
EXTRACT_BATCH = 64


@torch.inference_mode()
def write_features(
    backbone: Backbone,
    images: LabelledImages,
    indices: Indices,
    transform: Transform,
    path: Path,
    compute: NetworkCompute,
    device: torch.device,
    *,
    dtype: npt.DTypeLike = np.float32,
    between: Callable[[int], None] = lambda _done: None,
) -> Features:
    """Write the features of the images at ``indices`` into a memory-mapped (n, feature_dim) ``.npy`` file of ``dtype``.

    Rows of other images are zero. ``between`` is called after each batch with the number of images done so far, and may
    raise. The backbone is put into evaluation mode: its batch-norm statistics must not move (method 7, trap 3).
    ``indices``: (k,) int64. Raises BadInput, which names the image, if it does not decode, or where a feature is not
    finite, or too large for ``dtype``.
    """
    done, layout = 0, memory_format(compute.channels_last)
    backbone.eval().to(memory_format=layout)  # type: ignore[call-overload]
    features = np.lib.format.open_memmap(
        path, mode="w+", dtype=dtype, shape=(len(images), backbone.feature_dim)
    )
    for batch, pixels in image_batches(
        images, in_batches(indices, EXTRACT_BATCH), transform, compute.loader_workers
    ):
        with autocast(compute.amp, device):
            out = backbone(pixels.to(device, memory_format=layout))
        features[batch] = _checked(out.float().cpu().numpy(), np.dtype(dtype), backbone, images, batch)
        done += len(batch)
        between(done)
    features.flush()
    return features


def _checked(
    values: npt.NDArray[np.float32],
    dtype: np.dtype,
    backbone: Backbone,
    images: LabelledImages,
    batch: Indices,
) -> Features:
    """Return the features of a batch as ``dtype``. Raises BadInput where a feature is not finite in it."""
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise BadInput(
            f"{images.relative_path(int(batch[bad[0]]))}: its features under {backbone.name} are NaN or infinite "
            f"({len(bad)} of {len(batch)} images of this batch): the weights cannot be used. Check the checkpoint, or "
            "set compute.amp to off where the features overflow half precision"
        )
    with np.errstate(over="ignore"):
        stored: Features = values.astype(dtype)
    large = np.flatnonzero(~np.isfinite(stored).all(1))
    if len(large):
        raise BadInput(
            f"{images.relative_path(int(batch[large[0]]))}: a feature of {np.abs(values[large]).max():.4g} is too large "
            f"for {dtype.name}; set feature_dtype to float32"
        )
    return stored
