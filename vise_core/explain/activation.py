"""Class activation maps of classifiers with a linear head on a pooled map."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vise_core.errors import BadInput
from vise_core.models.classifier import ImageClassifier
from vise_core.specs.explain import CAM_METHODS, CamMethod

Heat = npt.NDArray[np.float32]


def class_activation(
    classifier: ImageClassifier, images: Tensor, method: CamMethod, classes: Sequence[int]
) -> Heat:
    """How much each place speaks for a class.

    ``images`` (n, 3, h, w), normalised, on the classifier's device; ``classes`` n class indices. Returns
    (n, h, w) float32 in [0, 1]: the map's positive part, upsampled, divided by its peak. A map with nothing
    positive is 0 everywhere. The classifier should be in evaluation mode.
    Raises BadInput for an unknown method or class.
    """
    with torch.no_grad():
        maps = classifier.backbone.forward_features(images)
    return activation_from_maps(classifier, maps, method, classes, (images.shape[-2], images.shape[-1]))


def activation_from_maps(
    classifier: ImageClassifier,
    maps: Tensor,
    method: CamMethod,
    classes: Sequence[int],
    size: tuple[int, int],
) -> Heat:
    """The same from the backbone's feature maps (n, c, h, w), where a forward pass has them already."""
    if method not in RAW_MAPS:
        raise BadInput(f"method: unknown {method!r}; one of {', '.join(CAM_METHODS)}")
    if len(classes) != len(maps) or not all(0 <= c < len(classifier.classes) for c in classes):
        raise BadInput(
            f"classes: give one index below {len(classifier.classes)} for each of {len(maps)} images"
        )
    raw = RAW_MAPS[method](classifier, maps.detach().float(), classes)
    heat = interpolate(raw.clamp_min(0)[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    peak = heat.amax((1, 2), keepdim=True)
    return torch.where(peak > 0, heat / peak.clamp_min(1e-30), 0).cpu().numpy()


def cam(classifier: ImageClassifier, maps: Tensor, classes: Sequence[int]) -> Tensor:
    """CAM (Zhou et al. 2016): the class's head weights over the channels. (n, c, h, w) → (n, h, w), signed.

    Exact for a linear head on the mean over positions: the map's mean plus the bias is the logit.
    """
    weights = classifier.head.weight.detach().float()[list(classes)]
    return torch.einsum("nc,nchw->nhw", weights, maps)


def gradcam(classifier: ImageClassifier, maps: Tensor, classes: Sequence[int]) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) at the last map, through the ``grad-cam`` package; signed.

    It holds for any pooling. Only what comes after the map is differentiated, in a copy of its own: no
    gradient is left in the classifier, and threads do not meet.
    """
    # 3.5 s to import, so only where it is used.
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class RawGradCAM(GradCAM):
        """The package's map before it is scaled, which we do in one place for all methods."""

        def compute_cam_per_layer(self, input_tensor: Tensor, targets: list, eigen_smooth: bool) -> list:
            kept = self.activations_and_grads
            activations, gradients = kept.activations[0].numpy(), kept.gradients[0].numpy()
            layer = self.target_layers[0]
            return [self.get_cam_image(input_tensor, layer, targets, activations, gradients, eigen_smooth)]

        def aggregate_multi_layers(self, cam_per_target_layer: list) -> npt.NDArray[np.float32]:
            return cam_per_target_layer[0]

    tail = _Tail(classifier.backbone.pool, copy.deepcopy(classifier.head).float())
    with torch.enable_grad(), RawGradCAM(tail, [tail.map]) as package:
        targets = [ClassifierOutputTarget(c) for c in classes]
        raw = package(maps.clone().requires_grad_(True), targets)
    return torch.from_numpy(np.asarray(raw, dtype=np.float32))


class _Tail(nn.Module):
    """From the map to the logits, with the map as a layer that the package can hook."""

    def __init__(self, pool: Callable[[Tensor], Tensor], head: nn.Linear) -> None:
        super().__init__()
        self.map, self.head = nn.Identity(), head
        self._pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        return self.head(self._pool(self.map(maps)))


RAW_MAPS: dict[str, Callable[[ImageClassifier, Tensor, Sequence[int]], Tensor]] = {
    "cam": cam,
    "gradcam": gradcam,
}
"""Adding a method: its name in ``specs.evaluate.CAM_METHODS``, its function here."""
