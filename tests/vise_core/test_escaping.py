"""Texts of users are shown as they are wherever they go, and do nothing there."""

import ast
import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vise_core.escaping import csv_cell, latex_escape, markdown_escape, plot_escape, terminal_escape

ROOT = Path(__file__).parents[2]
PACKAGES = ("vise_core", "backend", "worker", "frontend", "vise_client")
WRITES = ("writerow", "writerows", "dataframe", "data_editor", "to_csv")
ESCAPING = ("frontend/components/table.py", "vise_core/tasks/sample.py")
"""The first escapes cells itself; the second writes generated names."""
HOSTILE = "[/bold]\x1b[2J\x9b31m\u202e\r=cmd|' /C calc'!A0 $\\frac$ <b>&amp; :red[x] `*_~#{}%^"


@given(st.text(st.characters(exclude_categories=())))
def test_a_terminal_gets_no_control_character(text: str) -> None:
    shown = terminal_escape(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    shown.encode()
    assert "\n" not in terminal_escape(text, one_line=True)


@given(st.text())
def test_json_for_a_terminal_is_still_json(text: str) -> None:
    assert json.loads(terminal_escape(json.dumps({"name": text}, ensure_ascii=False))) == {"name": text}


def test_an_ordinary_text_is_not_changed() -> None:
    text = "Evaluate VisE (ResNet-50), 71.2 ± 0.3 %, naïve\n\tsecond line"
    assert terminal_escape(text) == text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_in_a_csv_is_a_formula(start: str) -> None:
    assert csv_cell(f"{start}cmd()") == f"'{start}cmd()"


def test_every_row_of_a_csv_goes_through_the_escape() -> None:
    """Headers are our own words. Streamlit offers every data frame as a CSV."""
    written, unescaped = 0, []
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name, written = node.func.attr, written + (node.func.attr in WRITES)
            if name in WRITES and not _is_escaped(node.args[0]):
                unescaped.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert written >= 8
    assert [place for place in unescaped if not place.startswith(ESCAPING)] == []


def _is_escaped(row: ast.expr) -> bool:
    if isinstance(row, ast.GeneratorExp):
        row = row.elt
    if isinstance(row, ast.List | ast.Tuple):
        return all(
            isinstance(cell, ast.Constant) or (isinstance(cell, ast.Starred) and _is_escaped(cell.value))
            for cell in row.elts
        )
    if isinstance(row, ast.Name):
        return row.id.isupper()
    return isinstance(row, ast.Call) and isinstance(row.func, ast.Name) and row.func.id == "csv_row"


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+3e-4", "a=b", "", None, True, "-inf"])
def test_numbers_and_ordinary_cells_stay(value: object) -> None:
    assert csv_cell(value) == value
    csv.writer(io.StringIO()).writerow([csv_cell(value)])


def test_markdown_has_no_markup_left() -> None:
    escaped = markdown_escape(HOSTILE)
    assert re.search(r"(?<!\\)[\[\]<>$`*_~#|&!]", escaped) is None
    assert "\n" not in markdown_escape("a\nb")


def test_latex_has_no_command_left() -> None:
    escaped = latex_escape(HOSTILE)
    assert "\\frac" not in escaped
    assert re.search(r"(?<!\\)[$&%#_]", escaped.replace(r"$\pm$", "")) is None


def test_the_text_of_a_figure_is_valid_xml() -> None:
    text = ElementTree.fromstring("<text>" + plot_escape("a\x1bb\x00c") + "</text>").text
    assert text == "a\\u001bb\\u0000c"
