"""The palette, measured: contrast to the page's own backgrounds, distance between colours as the colour-blind see them."""

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from frontend.charts import palette

THEME = tomllib.loads(
    (Path(palette.__file__).parents[1] / ".streamlit" / "config.toml").read_text(encoding="utf-8")
)["theme"]
# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SEEN_BY = {
    "all": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG's contrast ratio."""
    dark, light = sorted(float(linear(c) @ TO_XYZ[1]) for c in (a, b))
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, seen_by: str) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(SEEN_BY[seen_by] @ linear(colour), 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("background", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_stands_out_from_the_page(scheme: str, background: str) -> None:
    for colour in (*palette.colours(dark=scheme == "dark"), palette.NEUTRAL):
        assert contrast(colour, THEME[scheme][background]) >= 3, colour


@pytest.mark.parametrize("dark", [False, True])
def test_the_scale_of_lines_stands_out_and_goes_evenly_from_dark_to_light(dark: bool) -> None:
    scale = palette.sequential_lines(dark=dark)
    assert min(contrast(c, THEME["dark" if dark else "light"]["backgroundColor"]) for c in scale) >= 3
    for seen_by in SEEN_BY:
        lightness = [lab(c, seen_by)[0] for c in scale]
        steps = np.diff(lightness)
        assert (steps > 0).all()
        assert steps.max() < 2.5 * steps.min()


@pytest.mark.parametrize("seen_by", list(SEEN_BY))
@pytest.mark.parametrize("dark", [False, True])
def test_no_two_colours_look_alike(dark: bool, seen_by: str) -> None:
    for a, b in itertools.combinations(palette.colours(dark=dark), 2):
        assert np.linalg.norm(lab(a, seen_by) - lab(b, seen_by)) > 15, (a, b)


def test_24_series_have_24_styles() -> None:
    styles = {tuple(palette.series_style(n, dark=False).items()) for n in range(24)}
    assert len(styles) == 24
    assert palette.series_style(24, dark=False) == palette.series_style(0, dark=False)
