"""Tables: an HTML one with headings for screen readers and links in cells, and Streamlit's, which users download as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

import streamlit as st

from frontend.formatting import plain
from vise_core.escaping import csv_cell


@dataclass(frozen=True)
class Cell:
    """A table cell; its texts are escaped here.

    Attributes
    ----------
    text, after: the number, and a suffix (a difference, footnote letters).
    runs: ids of its runs: the text links to the first, numbers behind it to the others.
    published: the paper's own number, shown below and marked as published.
    quiet: drawn faint, for cells without a value.
    """

    text: str
    after: str = ""
    runs: tuple[str, ...] = ()
    best: bool = False
    published: str | None = None
    quiet: bool = False


def html_table(
    caption: str,
    headings: Sequence[tuple[str, ...]],
    rows: Sequence[tuple[Sequence[str], Sequence[Cell]]],
    left: Sequence[str],
) -> str:
    """Return the HTML. ``headings``: of each column of cells, the outer one first; ``left``: of the row names."""
    deep = max((len(heading) for heading in headings), default=1) > 1
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{escape(name)}</th>' for name in names)
        + "".join(map(_cell, cells))
        + "</tr>"
        for names, cells in rows
    )
    return (
        '<div class="vise-table" tabindex="0" role="region" '
        f'aria-label="{escape(caption, quote=True)}"><table><caption>{escape(caption)}</caption>'
        f"<thead>{_outer(headings, len(left)) if deep else ''}<tr>"
        + "".join(f'<th scope="col" class="left">{escape(name)}</th>' for name in left)
        + "".join(f'<th scope="col">{escape(heading[-1])}</th>' for heading in headings)
        + f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def show_table(
    caption: str,
    headings: Sequence[tuple[str, ...]],
    rows: Sequence[tuple[Sequence[str], Sequence[Cell]]],
    left: Sequence[str],
    notes: Sequence[str] = (),
    data_notes: Sequence[str] = (),
) -> None:
    """Draw the table with its footnotes; ``data_notes`` say why columns of the same title differ."""
    st.html(html_table(caption, headings, rows, left))
    if notes:
        st.caption(plain("; ".join(notes)) + ".")
    if data_notes:
        st.caption("  \n".join(f":material/info: {plain(note)}." for note in data_notes))


def show_rows(rows: Any, **options: Any) -> None:
    """Draw rows, or columns, with the options of ``st.dataframe``; no cell is a formula in its CSV download."""
    st.dataframe(_without_formulas(rows), **options)


def _without_formulas(value: Any) -> Any:
    if isinstance(value, dict):
        return {csv_cell(key): _without_formulas(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_formulas(part) for part in value]
    return csv_cell(value)


def _outer(headings: Sequence[tuple[str, ...]], left: int) -> str:
    groups = [
        (name, len(list(many)))
        for name, many in groupby(heading[0] if len(heading) > 1 else "" for heading in headings)
    ]
    cells = "".join(f'<th scope="colgroup" colspan="{wide}">{escape(name)}</th>' for name, wide in groups)
    return f'<tr><td colspan="{left}"></td>{cells}</tr>'


def _cell(cell: Cell) -> str:
    shown = escape(cell.text)
    if cell.best:
        shown = f"<b>{shown}</b>"
    if cell.runs:
        first, *others = cell.runs
        shown = f'<a href="run?run={escape(first)}" target="_self">{shown}</a>'
        more = " ".join(
            f'<a href="run?run={escape(run)}" target="_self">{number}</a>'
            for number, run in enumerate(others[:9], 2)
        )
        shown += f" <small>{more}</small>" if more else ""
    if cell.after:
        shown += f" <small>{escape(cell.after)}</small>"
    if cell.published is not None:
        shown += f"<br><small><i>published {escape(cell.published)}</i></small>"
    return f'<td class="{"quiet" if cell.quiet else ""}">{shown}</td>'
