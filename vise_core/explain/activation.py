"""Class activation maps of classifiers with a linear head on a pooled map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vise_core.errors import BadInput
from vise_core.models.classifier import ImageClassifier, require_finite
from vise_core.specs.explain import CAM_METHODS, CamMethod

from .from_maps import cam, eigencam, gradcam, gradcampp
from .scorecam import scorecam

Heat = npt.NDArray[np.float32]

FROM_MAPS: dict[str, Callable[[ImageClassifier, Tensor, Sequence[int]], Tensor]] = {
    "cam": cam,
    "gradcam": gradcam,
    "gradcampp": gradcampp,
    "eigencam": eigencam,
}
"""Methods that need only the feature maps of one forward pass: (classifier, maps, classes) → (n, h, w)."""

FROM_IMAGES: dict[str, Callable[[ImageClassifier, Tensor, Tensor, Sequence[int]], Tensor]] = {
    "scorecam": scorecam,
}
"""Methods that need further forward passes on the images: (classifier, images, maps, classes) → (n, h, w).

To add a method, add its name to ``specs.explain.CAM_METHODS`` and ``CamMethod``, and its function to one of the two.
"""


def class_activation(
    classifier: ImageClassifier, images: Tensor, method: CamMethod, classes: Sequence[int]
) -> Heat:
    """Return heat maps of the evidence for a class at each position, (n, h, w) float32 in [0, 1].

    Parameters
    ----------
    images: (n, 3, h, w), normalised, on the device of the classifier, which should be in evaluation mode.
    classes: n class indices.

    A heat map is the positive part of the method's map, upsampled and divided by its peak; 0 where nothing is
    positive. Raises BadInput for an unknown method or class, and if activations or maps are not finite.
    """
    with torch.no_grad():
        maps = classifier.backbone.forward_features(images)
    size = (images.shape[-2], images.shape[-1])
    return activation_from_maps(classifier, maps, method, classes, size, images)


def activation_from_maps(
    classifier: ImageClassifier,
    maps: Tensor,
    method: CamMethod,
    classes: Sequence[int],
    size: tuple[int, int],
    images: Tensor | None = None,
) -> Heat:
    """Return the heat maps of ``class_activation`` from the backbone's feature maps, (n, c, h, w).

    Only the methods of ``FROM_IMAGES`` need ``images``. ``size`` is (h, w) of the heat maps. Raises BadInput for an
    unknown method or class, for a method that needs images without them, and if feature maps or heat maps are not
    finite.
    """
    if method not in CAM_METHODS:
        raise BadInput(f"method: unknown {method!r}; one of {', '.join(CAM_METHODS)}")
    if len(classes) != len(maps) or not all(0 <= c < len(classifier.classes) for c in classes):
        raise BadInput(
            f"classes: give one index below {len(classifier.classes)} for each of {len(maps)} images"
        )
    maps = maps.detach().float()
    require_finite(maps, "the network's last feature map")
    if method in FROM_MAPS:
        raw = FROM_MAPS[method](classifier, maps, classes)
    elif images is None:
        raise BadInput(
            f"method: {CAM_METHODS[method]} masks the images; give them as well as the feature maps"
        )
    else:
        raw = FROM_IMAGES[method](classifier, images, maps, classes)
    heat = scaled(raw, size)
    # Finite maps may still be so large that sums over them are not.
    require_finite(torch.from_numpy(heat), CAM_METHODS[method])
    return heat


def scaled(raw: Tensor, size: tuple[int, int]) -> Heat:
    """Return the positive part of signed (n, h, w) maps, upsampled and divided by its peak: (n, *size) in [0, 1].

    All NaN for a map that is not finite.
    """
    heat = interpolate(raw.clamp_min(0)[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    peak = heat.amax((1, 2), keepdim=True)
    # A peak of NaN or infinity must not pass for a map without positive values.
    finite = torch.isfinite(raw).all(2).all(1)[:, None, None] & torch.isfinite(peak)
    heat = torch.where(peak > 0, heat / peak.clamp_min(1e-30), 0)
    return torch.where(finite, heat, torch.nan).cpu().numpy()
