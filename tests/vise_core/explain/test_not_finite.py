"""Activations that are not finite: a clear error from every method, never a map made of NaN."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vise_core.errors import BadInput
from vise_core.explain import class_activation
from vise_core.explain.activation import FROM_IMAGES, FROM_MAPS, activation_from_maps
from vise_core.explain.faithfulness import insertion_deletion
from vise_core.explain.overlays import colour, overlay
from vise_core.explain.seeing import see
from vise_core.explain.stage import run
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.predict.heat import encode_heat
from vise_core.predict.predictor import Predictor
from vise_core.reporter import LocalReporter
from vise_core.specs.explain import CAM_METHODS, ExplainSpec
from vise_core.specs.models.predict import PredictOptions

ODD = [math.nan, math.inf, -math.inf]


def test_every_method_is_looked_at() -> None:
    assert {*FROM_MAPS, *FROM_IMAGES} == set(CAM_METHODS)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("method", CAM_METHODS)
def test_one_pixel_that_is_not_finite_makes_no_map(method, value, classifier, pixels) -> None:
    pixels = pixels[:2].clone()
    pixels[1, 0, 5, 5] = value
    with pytest.raises(BadInput, match="feature map is not finite for image 1 of 2"):
        class_activation(classifier, pixels, method, [0, 1])


@pytest.mark.parametrize("method", sorted(FROM_MAPS))
def test_maps_whose_sums_overflow_make_an_error_or_a_finite_map(method, classifier) -> None:
    maps = torch.full((1, 512, 2, 2), 3e38)
    maps[0, ::2] *= -1
    try:
        heat = activation_from_maps(classifier, maps, method, [0], (8, 8))
    except BadInput as error:
        assert "not finite" in str(error) or "singular" in str(error)  # noqa: PT017 - either is right
        return
    assert np.isfinite(heat).all()


@pytest.mark.parametrize("method", CAM_METHODS)
@pytest.mark.slow
def test_finite_maps_make_finite_heat(method, classifier, pixels) -> None:
    heat = class_activation(classifier, pixels[:1], method, [2])
    assert np.isfinite(heat).all()
    assert (heat.min(), heat.max()) >= (0, 0)
    assert heat.max() <= 1


def test_nothing_draws_what_is_not_finite() -> None:
    heat = np.array([[0.0, np.nan]])
    for draw in (colour, encode_heat, lambda values: overlay(Image.new("RGB", (2, 1)), values)):
        with pytest.raises(BadInput, match="heat map holds NaN"):
            draw(heat)


def test_faithfulness_of_scores_that_are_not_finite_is_undefined() -> None:
    def score(images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images),), math.nan)

    with pytest.raises(BadInput, match="probability on a changed image is not finite"):
        insertion_deletion(score, torch.rand(3, 8, 8), [np.ones((8, 8), np.float32)], steps=2)


@pytest.fixture
def overflowing(classifier: ImageClassifier) -> ImageClassifier:
    """Weights that are finite, and logits that are not."""
    import copy

    made = copy.deepcopy(classifier)
    with torch.no_grad():
        made.head.weight.fill_(3e38)
    return made


def test_a_network_that_overflows_answers_nothing(overflowing: ImageClassifier) -> None:
    image = Image.new("RGB", (70, 70), (200, 10, 10))
    with pytest.raises(BadInput, match="the network's output is not finite"):
        see(overflowing, image, torch.device("cpu"))
    predictor = Predictor(overflowing)
    for options in (PredictOptions(), PredictOptions(target_class="red")):
        with pytest.raises(BadInput, match="the network's output is not finite"):
            predictor.predict(image, options)


def test_the_stage_names_the_image(overflowing: ImageClassifier, tmp_path: Path) -> None:
    for name in overflowing.classes:
        folder = tmp_path / "set" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (70, 70), name).save(folder / "1.png")
    save_classifier(tmp_path / "predictor", overflowing, {"method": "m", "task": "t"})
    inputs = {"predictor": tmp_path / "predictor", "dataset": tmp_path / "set"}
    with pytest.raises(BadInput, match=r"(blue|green|red)/1\.png: the network's output is not finite"):
        run(ExplainSpec(), inputs, tmp_path / "work", LocalReporter(tmp_path / "out"))
