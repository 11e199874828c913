"""Draw Figures 7 and 8 as PNG, SVG or PDF, laid out as in the paper: a row an image, a column a model."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vise_core.escaping import plot_escape

from .qualitative import Pictures, QualitativeFigure, footnote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG, PLAIN, QUIET = "#00714d", "#b3400a", "#222222", "#6b6b6b"
"""The paper's green and red in shades that the colour-blind distinguish; a ✓ or ✗ stands beside each."""
SIDE, LINE, GAP = 1.35, 0.16, 0.1
"""Inches: a picture's side, the height of a line of text, the gap between items."""


class Sheet:
    """A matplotlib figure whose items are placed in inches from its upper left corner.

    Placed by hand, since constrained layout takes seconds for so many axes.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure: Figure = Figure(figsize=(width, height))

    def text(self, x: float, y: float, text: str, *, colour: str = PLAIN, size: float = 8) -> None:
        """Place a text centred at x with its upper edge at y, both in inches."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            plot_escape(text),
            color=colour,
            fontsize=size,
            ha="center",
            va="top",
        )

    def picture(self, x: float, y: float, content: bytes, colour: str) -> None:
        """Place an image within a square of ``SIDE`` whose upper left corner is (x, y), framed in the colour."""
        from PIL import Image

        image = Image.open(io.BytesIO(content)).convert("RGB")
        scale = SIDE / max(image.size)
        width, height = image.width * scale, image.height * scale
        left, top = x + (SIDE - width) / 2, y + (SIDE - height) / 2
        place = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(place, xticks=[], yticks=[])
        axes.imshow(image, aspect="auto")
        for edge in axes.spines.values():
            edge.set(color=colour, linewidth=1.8)


def draw_qualitative(
    figure: QualitativeFigure, format: str, pictures: Pictures, *, published: bool = False
) -> bytes:
    """Return a figure as the content of a file; the same data give the same bytes.

    ``published`` adds the paper's own predictions below ours, marked as published.
    """
    # Imported here: matplotlib takes half a second.
    import matplotlib

    settings: Any = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "svg.hashsalt": figure.name,
        "pdf.fonttype": 42,
    }
    with matplotlib.rc_context(settings):
        buffer = io.BytesIO()
        dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[format]
        _sheet(figure, pictures, published).savefig(buffer, format=format, dpi=150, metadata=dates)
    return buffer.getvalue()


def _sheet(figure: QualitativeFigure, pictures: Pictures, published: bool) -> Figure:
    """Lay out the figure. More than four images stand in two blocks, as in Fig. 7."""
    wide = 1 + len(figure.columns)
    blocks = 2 if len(figure.rows) > 4 else 1
    tall = max(1, math.ceil(len(figure.rows) / blocks))
    block = wide * (SIDE + GAP)
    width = blocks * block + (blocks - 1) * 3 * GAP + 2 * GAP
    notes = textwrap.wrap(footnote(figure, published=published), int(16 * width))
    row = SIDE + LINE + 2 * GAP
    head = 3 * LINE + GAP
    paper = (2 + len(figure.published_rows)) * LINE * 1.4 if published and figure.published_rows else 0
    sheet = Sheet(width, head + tall * row + paper + LINE * (len(notes) + 1))
    for number in range(blocks):
        for place, title in enumerate(["Original", *(column.title for column in figure.columns)]):
            x = GAP + number * (block + 3 * GAP) + place * (SIDE + GAP) + SIDE / 2
            sheet.text(x, GAP, title)
    for number, example in enumerate(figure.rows):
        at, line = divmod(number, tall)
        x, y = GAP + at * (block + 3 * GAP), head + line * row
        sheet.picture(x, y + LINE + GAP / 2, pictures(figure.run or "", example.picture), PLAIN)
        sheet.text(x + SIDE / 2, y, example.label)
        for answer in example.answers:
            x += SIDE + GAP
            if answer is None:
                sheet.text(x + SIDE / 2, y + row / 2, "not run", colour=QUIET)
                continue
            sign, colour = ("✓", RIGHT) if answer.right else ("✗", WRONG)
            sheet.text(
                x + SIDE / 2, y, f"{sign} {answer.predicted} ({answer.probability:.2f})", colour=colour
            )
            sheet.picture(x, y + LINE + GAP / 2, pictures(figure.run or "", answer.overlay), colour)
    if not figure.rows:
        for place in range(wide):
            sheet.text(GAP + place * (SIDE + GAP) + SIDE / 2, head + row / 2, "not run", colour=QUIET)
    bottom = head + tall * row
    if paper:
        _published(sheet, figure, bottom)
    for number, line_of_text in enumerate(notes):
        sheet.text(width / 2, bottom + paper + number * LINE, line_of_text, size=6.5)
    return sheet.figure


def _published(sheet: Sheet, figure: QualitativeFigure, top: float) -> None:
    """Write the paper's predictions as lines of text, since its pictures are lost."""
    step = LINE * 1.4

    def line(number: int, cells: Sequence[tuple[str, str]]) -> None:
        for place, (text, colour) in enumerate(cells):
            x = GAP + place * (SIDE + GAP) + SIDE / 2
            sheet.text(x, top + number * step, text, colour=colour, size=7.5)

    line(0, [("published:", PLAIN), *((method, PLAIN) for method in figure.published_methods)])
    for number, row in enumerate(figure.published_rows, 1):
        answers = [
            (f"{'✓' if answer.right else '✗'} {answer.printed}", RIGHT if answer.right else WRONG)
            for answer in row.answers
        ]
        line(number, [(row.label, PLAIN), *answers])
