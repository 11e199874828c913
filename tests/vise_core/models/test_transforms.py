"""Crops depend on (seed, epoch, sample) alone; evaluation takes the centre."""

import time
from resource import RUSAGE_SELF, getrusage
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as F

from vise_core.models import transforms
from vise_core.models.transforms import crop_box, eval_transform, sample_generator, train_transform

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_the_same_sample_in_the_same_epoch_is_augmented_alike() -> None:
    transform = train_transform(32, mean=MEAN, std=STD)
    image = noise(80, 60)
    views = {
        at: transform(image, sample_generator(*at)) for at in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    torch.rand(3)  # global state plays no part
    for at, view in views.items():
        assert view.shape == (3, 32, 32)
        assert view.dtype == torch.float32
        assert torch.equal(view, transform(image, sample_generator(*at)))
    assert not any(torch.equal(views[(0, 0, 0)], v) for at, v in views.items() if at != (0, 0, 0))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 10_000), st.sampled_from([0.08, 0.5, 1.0]))
def test_crops_lie_within_the_image(width: int, height: int, index: int, least: float) -> None:
    left, top, w, h = crop_box((width, height), (least, 1.0), sample_generator(0, 0, index))
    assert left >= 0
    assert top >= 0
    assert w >= 1
    assert h >= 1
    assert left + w <= width
    assert top + h <= height


def test_crops_keep_the_share_asked_for_and_flips_are_even() -> None:
    shares, flips = [], 0
    stripes = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3)))
    transform = train_transform(8, min_crop=0.3, mean=(0.0,) * 3, std=(1.0,) * 3)
    for index in range(400):
        _, _, w, h = crop_box((200, 200), (0.3, 1.0), sample_generator(0, 0, index))
        shares.append(w * h / 40_000)
        view = transform(stripes, sample_generator(0, 0, index))
        flips += bool(view[0, 0, 0] > view[0, 0, -1])
    assert min(shares) == pytest.approx(0.3, abs=0.02)
    assert max(shares) > 0.9
    assert 160 < flips < 240


@pytest.mark.parametrize(("size", "shorter"), [(224, 256), (112, 128), (48, 55), (64, 73)])
def test_evaluation_resizes_in_the_proportion_of_256_to_224(size: int, shorter: int) -> None:
    image = noise(150, 100)
    resized = F.resize(image, [shorter])
    assert min(resized.size) == shorter
    expected = F.normalize(F.to_tensor(F.center_crop(resized, [size, size])), list(MEAN), list(STD))
    torch.testing.assert_close(eval_transform(size, mean=MEAN, std=STD)(image), expected)


def test_a_stated_resize_is_used() -> None:
    image = noise(64, 64)
    view = eval_transform(64, mean=(0.0,) * 3, std=(1.0,) * 3, resize=64)(image)
    assert torch.equal(view, F.to_tensor(image))


@given(
    st.integers(1, 90), st.integers(1, 1000), st.booleans(), st.sampled_from([(128, 112), (64, 64), (32, 40)])
)
@settings(max_examples=40, deadline=None)
def test_an_image_cropped_before_it_is_scaled_is_the_same_within_a_level(
    short: int, long: int, upright: bool, sides: tuple[int, int]
) -> None:
    resize, crop = sides
    image = noise(short, long) if upright else noise(long, short)
    expected = F.center_crop(F.resize(image, [resize]), [crop, crop])
    with patch.object(transforms, "SCALED_PIXELS", 0):
        cropped = np.asarray(transforms.resized_centre(image, resize, crop)).astype(int)
    assert np.abs(cropped - np.asarray(expected)).max() <= 1
    if long < 64 * short:
        assert np.array_equal(
            np.asarray(transforms.resized_centre(image, resize, crop)), np.asarray(expected)
        )


@pytest.mark.parametrize("size", [(1, 65_500), (65_500, 1), (3, 60_000)])
def test_an_elongated_image_takes_little_memory(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 80).convert("RGB")
    start, before = time.process_time(), getrusage(RUSAGE_SELF).ru_maxrss
    view = eval_transform(224, mean=MEAN, std=STD)(image)
    assert time.process_time() - start < 1
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 100_000, "KiB"
    assert view.shape == (3, 224, 224)
