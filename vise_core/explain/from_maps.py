"""Class activation from the last feature map alone: no second pass through the backbone.

Each function takes maps (n, c, h, w) float32 and n class indices, and returns (n, h, w), signed, not scaled.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vise_core.errors import BadInput
from vise_core.models.classifier import ImageClassifier


def cam(classifier: ImageClassifier, maps: Tensor, classes: Sequence[int]) -> Tensor:
    """CAM (Zhou et al. 2016): the class's head weights over the channels.

    Exact for a linear head on the mean over positions: the map's mean plus the bias is the logit.

    Takes (n, c, h, w) float32 maps and n class indices; returns (n, h, w) float32.
    """
    weights = classifier.head.weight.detach().float()[list(classes)]
    return torch.einsum("nc,nchw->nhw", weights, maps)


def gradcam(classifier: ImageClassifier, maps: Tensor, classes: Sequence[int]) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017), through the ``grad-cam`` package. It holds for any pooling.

    Only the layers after the map are differentiated, in a copy: no gradient is left in the classifier, and threads
    share no state.

    Takes (n, c, h, w) float32 maps and n class indices; returns (n, h, w) float32.
    """
    # Imported here, since it takes 3.5 s.
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class RawGradCAM(GradCAM):  # type: ignore[misc]
        """The package's map before scaling, which ``activation.scaled`` does for all methods."""

        def compute_cam_per_layer(
            self, input_tensor: Tensor, targets: list[Any], eigen_smooth: bool
        ) -> list[Any]:
            kept = self.activations_and_grads
            activations, gradients = kept.activations[0].numpy(), kept.gradients[0].numpy()
            layer = self.target_layers[0]
            return [self.get_cam_image(input_tensor, layer, targets, activations, gradients, eigen_smooth)]

        def aggregate_multi_layers(
            self, cam_per_target_layer: list[npt.NDArray[np.float32]]
        ) -> npt.NDArray[np.float32]:
            return cam_per_target_layer[0]

    tail = _Tail(classifier.backbone.pool, copy.deepcopy(classifier.head).float())
    with torch.enable_grad(), RawGradCAM(tail, [tail.map]) as package:
        targets = [ClassifierOutputTarget(c) for c in classes]
        raw = package(maps.clone().requires_grad_(True), targets)
    return torch.from_numpy(np.asarray(raw, dtype=np.float32))


class _Tail(nn.Module):
    """The layers from the map to the logits, with the map as a layer that the package can hook."""

    def __init__(self, pool: Callable[[Tensor], Tensor], head: nn.Linear) -> None:
        super().__init__()
        self.map, self.head = nn.Identity(), head
        self._pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.head(self._pool(self.map(maps)))
        return logits


def gradcampp(classifier: ImageClassifier, maps: Tensor, classes: Sequence[int]) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, Eq. 19), with exp(logit) as the score and the last map rectified.

    There g² / (2g² + g³ ΣA) is 1 / (2 + g ΣA), and the score's own positive factor goes when the map is scaled.
    Not through the package: it adds 1e-6 to a denominator that is smaller than this where g is the gradient of
    a mean over the map, so its map depends on how large the head's weights are.
    """
    kept = maps.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = classifier.head(classifier.backbone.pool(kept).to(classifier.head.weight.dtype))
        chosen = logits[
            torch.arange(len(maps), device=maps.device), torch.tensor(classes, device=maps.device)
        ]
        (gradient,) = torch.autograd.grad(chosen.sum(), kept)
    positive = gradient.clamp_min(0)
    sums = maps.clamp_min(0).sum((2, 3), keepdim=True)
    weights = (positive / (2 + positive * sums)).sum((2, 3))
    return torch.einsum("nc,nchw->nhw", weights, maps)


def eigencam(_: ImageClassifier, maps: Tensor, __: Sequence[int]) -> Tensor:
    """Eigen-CAM (Muhammad & Yeasin 2020): the map projected on its first right singular vector.

    It is the same for every class. As published, the map is not centred, so that for a rectified map the vector has one
    sign, which we take as positive. The package centres the map, which makes the sign arbitrary.

    Takes (n, c, h, w) float32 maps; returns (n, h, w) float32. Raises BadInput if the singular value decomposition of a
    map does not converge.
    """
    places = maps.flatten(2).transpose(1, 2)
    try:
        left, sizes, _right = torch.linalg.svd(places, full_matrices=False)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise BadInput(f"Eigen-CAM: the feature map has no singular vectors ({error})") from error
    first = left[..., 0] * sizes[..., :1]
    sign = torch.where(first.sum(1, keepdim=True) < 0, -1.0, 1.0)
    signed: Tensor = (first * sign).unflatten(1, maps.shape[2:])
    return signed
