import tracemalloc

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from vise_core.explain import overlay
from vise_core.explain.overlays import Box, colour, seen_region
from vise_core.models.transforms import eval_transform
from vise_core.specs.explain import COLOUR_MAP, COLOUR_MAPS

GREY = Image.new("RGB", (40, 20), (100, 100, 100))
HEAT = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)


def test_strength_0_is_the_image_and_1_is_the_map():
    assert np.array_equal(np.asarray(overlay(GREY, HEAT, 0.0)), np.asarray(GREY))
    full = np.asarray(overlay(GREY, np.ones((4, 4)), 1.0))
    assert (full == (0xFC, 0xFF, 0xA4)).all()


def test_the_overlay_is_half_of_each_at_strength_one_half():
    mixed = np.asarray(overlay(GREY, np.zeros((4, 4)), 0.5))
    assert np.abs(mixed.astype(int) - np.array([100, 100, 104]) // 2).max() <= 1


def test_what_the_network_did_not_see_is_not_tinted():
    result = overlay(GREY, np.ones((4, 4)), 1.0, Box(10, 0, 30, 20))
    assert result.size == GREY.size
    changed = (np.asarray(result) != 100).any(-1)
    assert changed[:, 10:30].all()
    assert not changed[:, :10].any()
    assert not changed[:, 30:].any()


@pytest.mark.parametrize("colour_map", COLOUR_MAPS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_colours_are_matplotlibs(colour_map, kind):
    heat = np.concatenate([np.linspace(0, 1, 4097), [np.nextafter(1, 0), 1, -1, 2]]).astype(kind)
    expected = np.rint(255 * colormaps[colour_map](np.clip(heat, 0, 1))[:, :3])
    assert np.array_equal(colour(heat, colour_map), expected)


def test_an_overlay_of_a_large_image_takes_little_memory():
    """Of an image of 50 Mpx in a small file, matplotlib's own colours took 4 GB."""
    image = Image.new("RGB", (2000, 1000))
    tracemalloc.start()
    overlay(image, HEAT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * image.width * image.height


@pytest.mark.parametrize("colour_map", COLOUR_MAPS)
def test_lightness_of_the_colours_rises_evenly(colour_map):
    """Evenly in CIE L*, by scikit-image's independent conversion: heat reads without telling hues apart."""
    from skimage.color import rgb2lab

    lightness = rgb2lab(colour(np.linspace(0, 1, 65), colour_map)[None])[0, :, 0]
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2.5 * steps.mean()


def test_the_default_has_the_widest_range_of_lightness():
    from skimage.color import rgb2lab

    ends = {m: rgb2lab(colour(np.array([[0.0, 1.0]]), m))[0, :, 0] for m in COLOUR_MAPS}
    ranges = {name: high - low for name, (low, high) in ends.items()}
    assert max(ranges, key=lambda name: ranges[name]) == COLOUR_MAP
    assert ranges[COLOUR_MAP] > 95


@pytest.mark.parametrize(
    ("size", "resize", "crop"), [((200, 100), 256, 224), ((97, 333), 73, 64), ((64, 64), 64, 64)]
)
def test_the_seen_region_is_what_the_transform_cuts_out(size, resize, crop):
    """Of an image whose pixels hold their own place, the crop's corners tell where it was cut."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    image = Image.fromarray((np.stack([x, y, x], -1) * 255).astype(np.uint8))
    seen = eval_transform(crop, mean=(0, 0, 0), std=(1, 1, 1), resize=resize)(image)
    box = seen_region(size, resize, crop)
    found = [seen[0].min() * width, seen[1].min() * height, seen[0].max() * width, seen[1].max() * height]
    tolerance = 0.012 * max(size) + 1.5
    assert [float(torch.as_tensor(v)) for v in found] == pytest.approx(list(box), abs=tolerance)
