"""Grad-CAM++, Score-CAM and Eigen-CAM against computations that share no line with ours."""

import numpy as np
import pytest
import torch
from torch import nn

from vise_core.explain import class_activation
from vise_core.explain.from_maps import cam, eigencam, gradcam, gradcampp
from vise_core.explain.scorecam import scorecam
from vise_core.models.backbones import Backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head


class Thin(nn.Module):
    """A trunk whose map is as large as the image: there is nothing to enlarge."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 512, 3, padding=1)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


@pytest.fixture(scope="module")
def thin() -> ImageClassifier:
    torch.manual_seed(3)
    head = linear_head(512, 3, seed=2)
    with torch.no_grad():
        head.weight.mul_(40)  # so that scores differ by more than a little
    return ImageClassifier(Backbone("resnet18", Thin()), head, ("a", "b", "c"), image_size=8).eval()


@pytest.fixture
def maps(classifier: ImageClassifier, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return classifier.backbone.forward_features(pixels)


def test_grad_cam_plus_plus_by_the_derivatives_of_its_paper(classifier: ImageClassifier):
    """Eq. 19 from the first three derivatives of exp(logit) at each place, one after the other."""
    rng = np.random.default_rng(0)
    weights = torch.tensor([[0.8, -0.5, 0.3]], dtype=torch.float64)
    values = torch.tensor(rng.uniform(0, 2, (3, 2, 2)))
    alphas = torch.zeros(3, 2, 2, dtype=torch.float64)
    slopes = torch.zeros_like(alphas)
    for k in range(3):
        for place in [(i, j) for i in range(2) for j in range(2)]:
            at = values[k][place].clone().requires_grad_(True)
            moved = values.clone()
            moved[k][place] = at
            score = torch.exp(weights[0] @ moved.mean((1, 2)))
            first = torch.autograd.grad(score, at, create_graph=True)[0]
            second = torch.autograd.grad(first, at, create_graph=True)[0]
            third = torch.autograd.grad(second, at)[0]
            alphas[k][place] = second / (2 * second + values[k].sum() * third)
            slopes[k][place] = first
    expected = (((alphas * slopes.clamp_min(0)).sum((1, 2)))[:, None, None] * values).sum(0).detach()

    head = nn.Linear(512, 3)
    full = torch.zeros(1, 512, 2, 2)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[1, :3] = weights[0].float()
    full[0, :3] = values.float()
    ours = gradcampp(ImageClassifier(classifier.backbone, head, classifier.classes), full, [1])[0]
    ratio = ours.double() / expected
    # The score's own factor exp(logit) is left out.
    assert float(ratio.max() / ratio.min()) == pytest.approx(1, abs=1e-5)


def test_grad_cam_plus_plus_is_the_package_s_where_its_epsilon_is_small(classifier, maps):
    from pytorch_grad_cam import GradCAMPlusPlus

    # In other units: the same logits from a map 1e4 times smaller, whose gradient is 1e4 times larger.
    unit, targets = 1e4, [0, 1, 2, 1]
    small = maps / unit
    logits_of = (classifier.head.weight * unit)[targets]
    slopes = (logits_of[:, :, None, None] / maps.shape[2] / maps.shape[3]).expand_as(small).detach().numpy()
    theirs = object.__new__(GradCAMPlusPlus)
    theirs.activations_and_grads = _Nothing()
    expected = theirs.get_cam_image(None, None, None, small.numpy(), slopes, False)
    ours = gradcampp(classifier, maps, targets).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-6 * ours.max())


class _Nothing:
    def release(self) -> None:
        pass


def test_grad_cam_plus_plus_does_not_depend_on_the_units_of_the_map(classifier, maps):
    head = nn.Linear(512, 3)
    with torch.no_grad():
        head.weight.copy_(classifier.head.weight * 0.01)
        head.bias.copy_(classifier.head.bias)
    other = ImageClassifier(classifier.backbone, head, classifier.classes).eval()
    torch.testing.assert_close(gradcampp(other, maps * 100, [0] * 4), gradcampp(classifier, maps, [0] * 4))


def test_score_cam_is_the_package_s(thin: ImageClassifier):
    """Called as it is, on maps that nobody has to enlarge."""
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.map, self.head = thin.backbone, nn.Identity(), thin.head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.trunk.pool(self.map(self.trunk.forward_features(x))))

    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    network = Network().eval()
    with ScoreCAM(network, [network.map]) as package:
        theirs = package(images, [ClassifierOutputTarget(2), ClassifierOutputTarget(0)])
    ours = class_activation(thin, images, "scorecam", [2, 0])
    # The package subtracts the least and divides by the most; ours keeps 0 where nothing speaks.
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose((our - our.min()) / np.ptp(our), their, atol=2e-4)


def test_score_cam_by_one_mask_after_another(classifier: ImageClassifier, pixels: torch.Tensor, maps):
    """On forty channels of the real network; the others are made empty, to save time."""
    image, channels, target = pixels[0], maps[0].clone(), 2
    channels[40:] = 0

    def score(mask: np.ndarray) -> float:
        with torch.no_grad():
            return float(classifier(image[None] * torch.tensor(mask, dtype=torch.float32))[0, target])

    scores = np.full(512, score(np.zeros((64, 96))))
    for k, channel in enumerate(channels[:40].numpy()):
        mask = _enlarged(channel, 64, 96)
        scores[k] = score((mask - mask.min()) / np.ptp(mask))
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    expected = np.tensordot(weights, channels.numpy(), 1)
    ours = scorecam(classifier, pixels[:1], channels[None], [target])[0]
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-3)
    assert np.ptp(scores[:40]) > 0.01, "else any weights would do"


def test_score_cam_never_holds_more_masked_images_than_its_batch(thin: ImageClassifier):
    """Whatever the number of channels and images; and the batch changes no answer."""
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        maps = thin.backbone.forward_features(images)
    seen: list[int] = []
    hook = thin.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    one = scorecam(thin, images, maps, [0, 1, 2], batch=7)
    hook.remove()
    assert max(seen) == 7
    assert sum(seen) == 3 * 512, "a pass a channel"
    torch.testing.assert_close(one, scorecam(thin, images, maps, [0, 1, 2], batch=600), rtol=1e-3, atol=1e-6)


def test_a_score_cam_is_scaled_as_others_and_leaves_nothing_behind(thin: ImageClassifier):
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(7))
    heat = class_activation(thin, images, "scorecam", [1, 0])
    assert (heat.shape, heat.dtype) == ((2, 8, 8), np.float32)
    assert heat.min() >= 0
    assert heat.max((1, 2)).tolist() == [1.0, 1.0]
    assert all(parameter.grad is None for parameter in thin.parameters())


def test_channels_without_any_difference_are_asked_about_once(classifier, pixels):
    flat = torch.ones(1, 512, 2, 3)
    flat[0, 0, 0, 0] = 2
    seen: list[int] = []
    hook = classifier.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    raw = scorecam(classifier, pixels[:1], flat, [0])
    hook.remove()
    assert seen == [1, 1]
    with torch.no_grad():
        empty, full = (
            float(classifier(x[None])[0, 0]) for x in (torch.zeros_like(pixels[0]), _corner(pixels[0]))
        )
    share = np.exp(full) / (np.exp(full) + 511 * np.exp(empty))
    assert float(raw[0, 0, 0] - raw[0, 1, 1]) == pytest.approx(share, rel=1e-3)


def test_eigen_cam_is_the_first_singular_vector(classifier: ImageClassifier, maps: torch.Tensor):
    ours = eigencam(classifier, maps, [0] * 4)
    for raw, one in zip(maps.double().numpy(), ours, strict=True):
        places = raw.reshape(512, -1).T
        values, vectors = np.linalg.eigh(places.T @ places)  # the right singular vectors, the largest last
        expected = places @ vectors[:, -1]
        expected *= np.sign(expected.sum())
        assert values[-1] > 1.5 * values[-2]
        np.testing.assert_allclose(one.numpy().ravel(), expected, rtol=1e-3)
        assert (one >= 0).all(), "of a map without negative values"


def test_eigen_cam_of_one_pattern_is_that_pattern(classifier: ImageClassifier):
    pattern = torch.tensor([[0.0, 1.0], [3.0, 2.0]])
    strengths = torch.rand(512, generator=torch.Generator().manual_seed(0))
    raw = eigencam(classifier, (strengths[:, None, None] * pattern)[None], [0])[0]
    torch.testing.assert_close(raw, pattern * strengths.norm(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [cam, gradcam, gradcampp, eigencam])
def test_a_map_of_a_turned_image_is_the_turned_map(classifier, maps, method):
    """None of them knows where a place is."""
    targets = [0, 1, 2, 0]
    turned = method(classifier, maps.flip(3), targets)
    torch.testing.assert_close(turned.flip(2), method(classifier, maps, targets), rtol=1e-3, atol=1e-5)


def _enlarged(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear between the centres of places, the outer ones held."""
    rows = np.clip((np.arange(height) + 0.5) * channel.shape[0] / height - 0.5, 0, channel.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * channel.shape[1] / width - 0.5, 0, channel.shape[1] - 1)
    wide = np.stack([np.interp(columns, np.arange(channel.shape[1]), row) for row in channel])
    return np.stack([np.interp(rows, np.arange(channel.shape[0]), column) for column in wide.T], axis=1)


def _corner(image: torch.Tensor) -> torch.Tensor:
    one = np.zeros((2, 3))
    one[0, 0] = 1
    mask = _enlarged(one, image.shape[-2], image.shape[-1])
    return image * torch.tensor(mask / mask.max(), dtype=torch.float32)
