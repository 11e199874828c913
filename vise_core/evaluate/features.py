"""Pooled features of images under a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vise_core.models.backbones import Backbone
from vise_core.specs.base import Compute
from vise_core.tasks import LabelledImages

from .device import autocast, memory_format
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
        features[batch] = out.float().cpu().numpy()
        done += len(batch)
        between(done)
    features.flush()
    return features
