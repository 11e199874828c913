"""Texts of users, escaped for where they go: one function for each destination.

Pages of Streamlit have ``frontend.formatting.plain``; HTML has ``html.escape``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Control characters but tab and newline, what reverses the direction of text, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_PUNCTUATION = re.compile(r"([\\|*_`\[\]<>$#~&!])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
}


def terminal_escape(text: str, *, one_line: bool = False) -> str:
    r"""Write control characters as ``\u001b``, so that a name cannot move the cursor, set colours or forge lines.

    Lines and tabs of a longer text stay, unless it is to be ``one_line``.
    """
    if one_line:
        text = text.replace("\n", r"\n").replace("\t", r"\t")
    return _UNPRINTABLE.sub(_code, text)


def markdown_escape(text: str) -> str:
    """Escape a text so that Markdown shows it as it is, on one line."""
    return " ".join(_PUNCTUATION.sub(r"\\\1", _visible(text)).split())


def latex_escape(text: str) -> str:
    """Escape text for LaTeX, character by character, so that no escape is escaped again."""
    return "".join(_LATEX.get(character, character) for character in " ".join(_visible(text).split()))


def plot_escape(text: str) -> str:
    """Escape text for matplotlib, whose SVG may hold no control characters; formulas are switched off in its settings."""
    return _visible(text)


def csv_cell(value: Any) -> Any:
    """Quote a text such as ``=cmd()``, which a spreadsheet would run as a formula; numbers stay as they are."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value


def csv_row(values: Iterable[Any]) -> list[Any]:
    """Return the values of a CSV row, texts that look like formulas quoted."""
    return [csv_cell(value) for value in values]


def _visible(text: str) -> str:
    """Escape unprintable characters; white space stays."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0].isspace() else _code(match), text)


def _code(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"  # so JSON stays JSON
