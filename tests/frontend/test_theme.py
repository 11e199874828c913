"""The theme's colours, in both schemes: text can be read (WCAG 2.2, 1.4.3), and there is one palette for charts."""

import tomllib
from pathlib import Path

import pytest

import frontend
from frontend.charts import palette
from frontend.formatting import number

THEME = tomllib.loads((Path(frontend.__file__).parent / ".streamlit" / "config.toml").read_text())["theme"]
HUES = ("red", "orange", "yellow", "blue", "green", "violet", "gray")
TEXT = 4.5
"""The least contrast of text, level AA."""
PART = 3.0
"""The least contrast of what is no text: lines, marks, the focus ring (1.4.11)."""


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # The well-known near miss.


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_ground_it_stands_on(scheme: str) -> None:
    theme = THEME[scheme]
    grounds = (theme["backgroundColor"], theme["secondaryBackgroundColor"])
    pairs = [(theme[name], ground) for name in ("textColor", "linkColor") for ground in grounds]
    pairs += [(theme["codeTextColor"], theme["codeBackgroundColor"])]
    for hue in HUES:
        pairs += [(theme[f"{hue}TextColor"], ground) for ground in (*grounds, theme[f"{hue}BackgroundColor"])]
    faint = {pair: contrast(*pair) for pair in pairs if contrast(*pair) < TEXT}
    assert not faint


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accents_stand_out_from_the_page(scheme: str) -> None:
    theme = THEME[scheme]
    names = ["primaryColor", *(f"{hue}Color" for hue in HUES)]
    faint = {n: contrast(theme[n], theme["backgroundColor"]) for n in names}
    assert min(faint.values()) >= PART, faint


def test_streamlits_own_charts_have_the_palette_of_all_others() -> None:
    assert tuple(THEME["light"]["chartCategoricalColors"]) == palette.LIGHT
    assert tuple(THEME["dark"]["chartCategoricalColors"]) == palette.DARK


def test_numbers_are_short_whatever_they_are() -> None:
    numbers = [1 / 3, 1234.0, 1.5e39, 12_345.6, float("nan"), float("inf"), float("-inf")]
    assert [number(value) for value in numbers] == [
        "0.3333",
        "1,234",
        "1.5e+39",
        "1.235e+04",
        "NaN",
        "inf",
        "-inf",
    ]
