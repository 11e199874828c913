"""Write LaTeX tables with booktabs from plain text; special characters are escaped."""

from __future__ import annotations

from collections.abc import Sequence

from vise_core.escaping import latex_escape

LatexCell = tuple[str, str, str, bool] | None
"""(value, difference, marks, bold), or None where there is no result."""


def latex_table(
    header: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[LatexCell]]], notes: Sequence[str]
) -> str:
    """Return a ``tabular`` for ``booktabs``: names aligned left, numbers right, notes below."""
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


def latex_grouped_table(
    left: Sequence[str],
    headings: Sequence[tuple[str, ...]],
    rows: Sequence[tuple[Sequence[str], Sequence[LatexCell]]],
    notes: Sequence[str],
) -> str:
    """Return a ``tabular`` with two levels of headings: neighbours share an outer heading above a rule."""
    depth = max(len(heading) for heading in headings)
    lines = [
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{'l' * len(left)}{'r' * len(headings)}}}",
        r"\toprule",
    ]
    if depth > 1:
        lines += _outer_headings(len(left), [heading[0] if len(heading) > 1 else "" for heading in headings])
    inner = [heading[-1] for heading in headings]
    lines += [" & ".join(map(latex_escape, [*left, *inner])) + r" \\", r"\midrule"]
    for names, cells in rows:
        lines.append(" & ".join([*map(latex_escape, names), *map(_cell, cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\par\smallskip"]
    lines.append(r"{\footnotesize " + latex_escape("; ".join(notes)) + ".}")
    return "\n".join(lines) + "\n"


def _outer_headings(left: int, outer: Sequence[str]) -> list[str]:
    cells, rules, start = [""] * left, [], 0
    while start < len(outer):
        end = start
        while end < len(outer) and outer[end] == outer[start]:
            end += 1
        cells.append(rf"\multicolumn{{{end - start}}}{{c}}{{{latex_escape(outer[start])}}}")
        if outer[start]:
            rules.append(rf"\cmidrule(lr){{{left + start + 1}-{left + end}}}")
        start = end
    return [" & ".join(cells) + r" \\", "".join(rules)]


def _cell(cell: LatexCell) -> str:
    if cell is None:
        return "--"
    value, difference, marks, bold = cell
    text = rf"\textbf{{{latex_escape(value)}}}" if bold else latex_escape(value)
    if difference:
        text += " " + latex_escape(difference)
    return text + (rf"\textsuperscript{{{latex_escape(marks)}}}" if marks else "")
