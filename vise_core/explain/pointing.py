"""The pointing game: does the peak of a map lie in the region of the class? (Zhang et al. 2018)"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from torchvision.transforms import InterpolationMode

from vise_core.errors import BadInput
from vise_core.models.transforms import resized_centre
from vise_core.posts.images.decode import open_image
from vise_core.tasks import LabelledImages
from vise_core.tasks.records import inside

Mask = npt.NDArray[np.bool_]


def mask_path(images: LabelledImages, index: int) -> Path | None:
    """Return ``<root>/masks/<path of the image>.png``, or None if there is no such file.

    Raises BadInput if the path leads out of the data set's folder.
    """
    relative = (
        PurePosixPath("masks", images.paths[index].relative_to(images.root)).with_suffix(".png").as_posix()
    )
    if not (images.root / relative).exists():
        return None
    return inside(images.root, relative, f"mask of {images.relative_path(index)}")


def read_mask(path: Path, image_size: tuple[int, int], resize: int, crop: int) -> Mask:
    """Return a mask transformed as the eval transform does with its image, (crop, crop) bool; white is True.

    The shorter side is scaled to ``resize``, then the central ``crop`` is cut out. Raises BadInput if mask and image
    differ in size.
    """
    mask = open_image(path).convert("L")
    if mask.size != image_size:
        raise BadInput(
            f"{path.name}: the mask is {mask.size}, its image {image_size}; both must have one size"
        )
    return np.asarray(resized_centre(mask, resize, crop, InterpolationMode.NEAREST)) > 127


def points_inside(heat: npt.NDArray[np.float32], mask: Mask) -> bool:
    """Return True if the first peak of the heat lies in the mask, both (h, w), without a margin; only zeros are a miss."""
    return bool(heat.max() > 0 and mask.reshape(-1)[heat.argmax()])
