"""Crops depend on (seed, epoch, sample) alone; evaluation takes the centre."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as F

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
