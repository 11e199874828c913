"""Heat as it travels: whoever has the image can draw the overlay that the server draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image

from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head
from vise_core.predict import Predictor, decode_heat, encode_heat
from vise_core.specs.explain import CAM_METHODS, COLOUR_MAPS
from vise_core.specs.models.predict import PredictOptions


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = ImageClassifier(
        build_backbone("resnet18", seed=0), linear_head(512, 3, seed=1), ("a", "b", "c"), image_size=64
    )
    return Predictor(network)


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, 120), np.linspace(0, 255, 80))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


@pytest.mark.parametrize("colour_map", COLOUR_MAPS)
@pytest.mark.parametrize("strength", [0.0, 0.35, 1.0])
def test_image_and_heat_blend_to_the_overlay_without_the_network(
    predictor: Predictor, scene: Image.Image, colour_map, strength: float
) -> None:
    """By the formula, with matplotlib's colours: (1 - strength) image + strength colour(heat)."""
    asked_once = predictor.predict(scene)
    heat = decode_heat(encode_heat(asked_once.heat))
    left, top, right, bottom = (
        round(side * length) for side, length in zip(asked_once.seen, scene.size * 2, strict=True)
    )
    grown = np.asarray(Image.fromarray(heat).resize((right - left, bottom - top), Image.Resampling.BILINEAR))
    blended = np.asarray(scene, dtype=np.float64).copy()
    tint = colormaps[colour_map](grown)[..., :3] * 255
    blended[top:bottom, left:right] = (1 - strength) * blended[top:bottom, left:right] + strength * tint
    drawn = predictor.predict(scene, PredictOptions(strength=strength, colour_map=colour_map)).overlay
    assert np.abs(np.asarray(drawn) - blended).max() < 5  # neighbouring steps of a map differ by so much
    assert np.abs(np.asarray(drawn) - blended).mean() < 1


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40))
def test_heat_comes_back_to_within_half_a_step(values: list[float]) -> None:
    heat = np.array([values], dtype=np.float32)
    assert np.abs(decode_heat(encode_heat(heat)) - heat).max() <= 0.5 / 255 + 1e-6


def test_the_region_in_shares_is_that_in_pixels(predictor: Predictor, scene: Image.Image) -> None:
    answer = predictor.predict(scene)
    assert answer.seen.left * 120 == pytest.approx(answer.region.left)
    assert answer.seen.bottom * 80 == pytest.approx(answer.region.bottom)
    assert 0 < answer.seen.left < answer.seen.right < 1


@pytest.mark.parametrize("method", CAM_METHODS)
@pytest.mark.slow
def test_every_method_that_can_be_chosen_answers(predictor: Predictor, scene: Image.Image, method) -> None:
    answer = predictor.predict(scene, PredictOptions(method=method, target_class="b"))
    assert answer.heat.shape == (64, 64)
    assert answer.heat.max() == pytest.approx(1)
