"""LaTeX with booktabs, from plain text: every special character is escaped."""

from __future__ import annotations

from collections.abc import Sequence

ESCAPES = {
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

LatexCell = tuple[str, str, str, bool] | None
"""(value, difference, marks, bold), or None where there is no result."""


def latex_escape(text: str) -> str:
    """Text that LaTeX sets as it stands; character by character, so that no escape is escaped again."""
    return "".join(ESCAPES.get(character, character) for character in " ".join(text.split()))


def latex_table(
    header: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[LatexCell]]], notes: Sequence[str]
) -> str:
    """A ``tabular`` for the ``booktabs`` package: names to the left, numbers to the right, notes below."""
    names = len(rows[0][0])
    lines = [
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{'l' * names}{'r' * (len(header) - names)}}}",
        r"\toprule",
        " & ".join(map(latex_escape, header)) + r" \\",
        r"\midrule",
    ]
    for left, cells in rows:
        lines.append(" & ".join([*map(latex_escape, left), *map(_cell, cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\par\smallskip"]
    lines.append(r"{\footnotesize " + latex_escape("; ".join(notes)) + ".}")
    return "\n".join(lines) + "\n"


def _cell(cell: LatexCell) -> str:
    if cell is None:
        return "--"
    value, difference, marks, bold = cell
    text = rf"\textbf{{{latex_escape(value)}}}" if bold else latex_escape(value)
    if difference:
        text += " " + latex_escape(difference)
    return text + (rf"\textsuperscript{{{latex_escape(marks)}}}" if marks else "")
