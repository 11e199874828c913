from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from vise_core.errors import BadInput
from vise_core.explain import class_activation
from vise_core.explain.activation import FROM_IMAGES, FROM_MAPS, activation_from_maps
from vise_core.explain.from_maps import cam, gradcam
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head
from vise_core.specs.explain import CAM_METHODS, CLASS_FREE_METHODS, CamMethod
from vise_core.specs.models.backbones import BACKBONES


def test_cam_by_hand(classifier: ImageClassifier):
    """Two channels of 1 x 2 places, class weights 2 and -1: 2·(1, 3) - (4, 1) = (-2, 5)."""
    maps = torch.zeros(1, 512, 1, 2)
    maps[0, 0, 0], maps[0, 1, 0] = torch.tensor([1.0, 3.0]), torch.tensor([4.0, 1.0])
    head = nn.Linear(512, 3)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[1, :2] = torch.tensor([2.0, -1.0])
    tiny = ImageClassifier(classifier.backbone, head, classifier.classes)
    assert cam(tiny, maps, [1]).tolist() == [[[-2.0, 5.0]]]
    assert activation_from_maps(tiny, maps, "cam", [1], (1, 2)).tolist() == [[[0.0, 1.0]]]
    # Bilinear between (0, 5) at four places: 0, a quarter, three quarters, 1 of the way.
    wide = activation_from_maps(tiny, maps, "cam", [1], (1, 4))
    assert wide[0, 0].tolist() == pytest.approx([0, 0.25, 0.75, 1.0])
    assert activation_from_maps(tiny, maps, "cam", [2], (1, 2)).tolist() == [[[0.0, 0.0]]]


def test_the_mean_of_a_cam_and_the_bias_make_the_logit(classifier: ImageClassifier, pixels: torch.Tensor):
    with torch.no_grad():
        maps, logits = classifier.backbone.forward_features(pixels), classifier(pixels)
    for target in range(3):
        mean = cam(classifier, maps, [target] * 4).mean((1, 2))
        torch.testing.assert_close(
            mean + classifier.head.bias[target], logits[:, target], atol=1e-4, rtol=1e-4
        )


def test_grad_cam_is_cam_up_to_a_positive_factor(classifier: ImageClassifier, pixels: torch.Tensor):
    with torch.no_grad():
        maps = classifier.backbone.forward_features(pixels)
    targets = [0, 1, 2, 1]
    one, other = cam(classifier, maps, targets), gradcam(classifier, maps, targets)
    assert one.shape == other.shape == (4, 2, 3)
    for a, b in zip(one.flatten(1), other.flatten(1), strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.999
    # The factor is the number of places: the gradient of a mean.
    torch.testing.assert_close(one, other * 6, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(
        class_activation(classifier, pixels, "cam", targets),
        class_activation(classifier, pixels, "gradcam", targets),
        atol=1e-4,
    )


@pytest.mark.parametrize("method", FROM_MAPS)
def test_maps_have_the_images_size_and_lie_between_0_and_1(classifier, pixels, method):
    heat = class_activation(classifier, pixels[:2], method, [2, 0])
    assert heat.shape == (2, 64, 96)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert set(heat.max((1, 2)).tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("method", FROM_MAPS)
def test_no_method_leaves_a_gradient_behind(classifier: ImageClassifier, pixels: torch.Tensor, method):
    class_activation(classifier, pixels[:1], method, [1])
    assert all(parameter.grad is None for parameter in classifier.parameters())


@pytest.mark.parametrize(("method", "classes"), [("eigen", [0] * 4), ("cam", [0]), ("cam", [0, 0, 0, 3])])
def test_what_cannot_be_explained_is_refused(classifier, pixels, method, classes):
    with pytest.raises(BadInput):
        class_activation(classifier, pixels, method, classes)


def test_there_is_one_list_of_methods_and_each_is_made():
    assert get_args(CamMethod) == tuple(CAM_METHODS)
    assert {*FROM_MAPS, *FROM_IMAGES} == set(CAM_METHODS)
    assert all(name.isalnum() for name in CAM_METHODS), "names go into forms and addresses as they are"


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.slow
def test_every_backbone_can_be_explained_for_every_class(name: str):
    """For Score-CAM, which asks the network once a channel, all but eight channels are made empty."""
    classifier = _classifier(name)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = classifier.backbone.forward_features(images)
    few = maps.clone()
    few[:, 8:] = 0
    for method in CAM_METHODS:
        given = few if method in FROM_IMAGES else maps
        heats = [activation_from_maps(classifier, given, method, [k] * 2, (64, 64), images) for k in range(2)]
        assert all(heat.shape == (2, 64, 64) and np.isfinite(heat).all() for heat in heats)
        assert np.array_equal(*heats) == (method in CLASS_FREE_METHODS), method


def test_a_method_that_masks_images_must_have_them(classifier: ImageClassifier):
    with pytest.raises(BadInput, match="Score-CAM masks the images"):
        activation_from_maps(classifier, torch.rand(1, 512, 2, 2), "scorecam", [0], (64, 64))


def _classifier(name: str) -> ImageClassifier:
    backbone = build_backbone(name, seed=0)
    head = linear_head(backbone.feature_dim, 2, seed=1)
    made = ImageClassifier(backbone, head, ("calm", "wild"), image_size=64).eval().requires_grad_(False)
    # Untrained deep networks answer with very large numbers; bring the logits near 1.
    head.weight /= backbone(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))).norm()
    return made
