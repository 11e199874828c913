"""Parse the paper's table cells: ``44.67 ± 3.52 ↑1.05``, ``{0.01, 0.001, …}``, ``-``."""

from __future__ import annotations

import re
from typing import Literal

from vise_core.errors import BadInput
from vise_core.specs.base import Record

ILLEGIBLE = "illegible"
"""Marks a number in a data file that is lost from our text of the paper."""

NOT_GIVEN = "-"
"""The paper's dash for a number that it does not give."""

_NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?"
_VALUE = re.compile(
    rf"(?P<value>{_NUMBER})(?P<starred>\*?)(?: ± (?P<std>{_NUMBER}))?(?: (?P<arrow>[↑↓])(?P<difference>-?{_NUMBER}))?"
)
_EACH_SPLIT = re.compile(rf"\{{{_NUMBER}(?:, {_NUMBER})*\}}")


class Printed(Record):
    """Content of a printed cell.

    Attributes
    ----------
    printed: the cell as printed, None where it is illegible.
    value, std, difference: the numbers; ``difference`` is signed by the arrow (↓ is minus).
    per_split: one value a split where the paper lists several (Table 10), else empty.
    starred: the paper's star, which its caption explains.
    """

    printed: str | None
    value: float | None = None
    std: float | None = None
    difference: float | None = None
    arrow: Literal["↑", "↓"] | None = None
    per_split: tuple[float, ...] = ()
    starred: bool = False
    illegible: bool = False


def read_number(cell: str) -> Printed:
    """Parse a cell of a table of numbers. Raises BadInput for a cell in no form of the paper's."""
    if cell == ILLEGIBLE:
        return Printed(printed=None, illegible=True)
    if cell == NOT_GIVEN:
        return Printed(printed=cell)
    if _EACH_SPLIT.fullmatch(cell):
        return Printed(printed=cell, per_split=tuple(map(_float, cell[1:-1].split(","))))
    match = _VALUE.fullmatch(cell)
    if match is None:
        raise BadInput(
            f"cell {cell!r}: write it as printed (44.67 ± 3.52 ↑1.05), as {NOT_GIVEN!r}, or {ILLEGIBLE!r}"
        )
    arrow = match["arrow"]
    difference = None
    if arrow:
        # Table 3 prints one "↓-0.0124": the arrow says the sign.
        difference = (1 if arrow == "↑" else -1) * abs(_float(match["difference"]))
    return Printed(
        printed=cell,
        value=_float(match["value"]),
        std=_float(match["std"]) if match["std"] else None,
        difference=difference,
        arrow=arrow,
        starred=bool(match["starred"]),
    )


def read_words(cell: str) -> Printed:
    """Parse a cell of a table in words (Table 1, part of Table 8)."""
    if cell == ILLEGIBLE:
        return Printed(printed=None, illegible=True)
    return Printed(printed=cell)


def _float(number: str) -> float:
    return float(number.replace(",", ""))
