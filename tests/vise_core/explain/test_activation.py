import numpy as np
import pytest
import torch
from torch import nn

from vise_core.errors import BadInput
from vise_core.explain import class_activation
from vise_core.explain.activation import activation_from_maps, cam, gradcam
from vise_core.models.classifier import ImageClassifier


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


@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_maps_have_the_images_size_and_lie_between_0_and_1(classifier, pixels, method):
    heat = class_activation(classifier, pixels, method, [2, 2, 0, 0])
    assert heat.shape == (4, 64, 96)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert set(heat.max((1, 2)).tolist()) <= {0.0, 1.0}


def test_grad_cam_leaves_no_gradient_behind(classifier: ImageClassifier, pixels: torch.Tensor):
    class_activation(classifier, pixels, "gradcam", [0, 1, 2, 0])
    assert all(parameter.grad is None for parameter in classifier.parameters())


@pytest.mark.parametrize(("method", "classes"), [("eigen", [0] * 4), ("cam", [0]), ("cam", [0, 0, 0, 3])])
def test_what_cannot_be_explained_is_refused(classifier, pixels, method, classes):
    with pytest.raises(BadInput):
        class_activation(classifier, pixels, method, classes)
