"""A heat map over its image. Opacity and colours are applied here, without another prediction."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from PIL import Image

from vise_core.specs.explain import COLOUR_MAPS, ColourMap

SHOWN = 480
"""Longer side of the image on the page, in pixels."""
HIGHEST = 420
"""Height of a figure, in pixels; a taller image has margins at its sides."""
CELLS = 64
"""Cells of the heat map on each side. The networks' maps have 2 × 2 to 8 × 8 cells, so that nothing is lost."""


def read_heat(png: bytes) -> npt.NDArray[np.float32]:
    """Read the API's 8-bit grey PNG as (h, w) float32 in [0, 1]."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32) / np.float32(255)


def heat_figure(
    picture: bytes,
    heat: npt.NDArray[np.float32],
    region: Sequence[float],
    *,
    strength: float,
    colour_map: ColourMap,
    width: int = 340,
) -> go.Figure:
    """Plot the JPEG ``picture`` with an (h, w) heat map in [0, 1] over ``region``.

    ``region`` is (left, top, right, bottom) as fractions of the picture. Hovering shows the heat as the API returned
    it. ``strength`` is the opacity of the heat map. ``width`` is about the width of the figure on the page, in pixels;
    its height follows from it.
    """
    shown, (across, down) = _for_the_page(picture)
    small = _smaller(heat)
    left, top, right, bottom = region
    rows, columns = small.shape
    step_x, step_y = (right - left) * across / columns, (bottom - top) * down / rows
    figure = go.Figure(
        go.Heatmap(
            z=small,
            x0=left * across + step_x / 2,
            dx=step_x,
            y0=top * down + step_y / 2,
            dy=step_y,
            zmin=0,
            zmax=1,
            zsmooth="best",
            colorscale=COLOUR_MAPS[colour_map],
            opacity=strength,
            showscale=False,
            hovertemplate="heat %{z:.2f}<extra></extra>",
        )
    )
    source = f"data:image/jpeg;base64,{base64.b64encode(shown).decode()}"
    place = {"x": 0, "y": 0, "sizex": across, "sizey": down, "xref": "x", "yref": "y", "yanchor": "top"}
    figure.add_layout_image(source=source, sizing="stretch", layer="below", **place)
    figure.update_layout(
        height=min(HIGHEST, round(width * down / across)),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        xaxis={"range": [0, across], "visible": False, "constrain": "domain", "fixedrange": True},
        yaxis={
            "range": [down, 0],
            "visible": False,
            "scaleanchor": "x",
            "constrain": "domain",
            "fixedrange": True,
        },
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False,
    )
    return figure


def where_strongest(heat: npt.NDArray[np.float32]) -> str:
    """Return the position of the maximum of an (h, w) map in words, as alternative text: ``upper left``, ``centre``."""
    if not heat.any():
        return "nowhere"
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down = ("upper", "middle", "lower")[int(3 * row // heat.shape[0])]
    across = ("left", "centre", "right")[int(3 * column // heat.shape[1])]
    return "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"


def _for_the_page(picture: bytes) -> tuple[bytes, tuple[int, int]]:
    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        if max(image.size) <= SHOWN:
            return picture, image.size
        image.thumbnail((SHOWN, SHOWN))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88)
        return buffer.getvalue(), image.size


def _smaller(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if max(heat.shape) <= CELLS:
        return heat
    shown = Image.fromarray(heat).resize((CELLS, CELLS), Image.Resampling.BOX)
    return np.asarray(shown, dtype=np.float32)
