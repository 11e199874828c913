"""Texts of users go through an escape before they become Markdown, also where the walk of the pages does not come."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frontend import navigation
from frontend.formatting import code_span, plain, user_markdown
from tests.frontend.walk.hostile import DIRECTIVES, HOSTILE, MARKS, unescaped


@pytest.mark.parametrize("mark", [*MARKS, HOSTILE, "`", "``", "a``b`c", "` `"])
def test_each_escape_leaves_a_text_that_is_only_text(mark: str) -> None:
    assert unescaped(plain(mark)) == []
    assert unescaped(f"before {code_span(mark)} after") == []
    assert not set(unescaped(user_markdown(mark))) & set(DIRECTIVES)


@pytest.mark.parametrize(
    "mark", [":material/home:", ":material_home:", ":smile:", ":+1:", "a -> b", "a <= b"]
)
@pytest.mark.parametrize("escape", [plain, user_markdown])
def test_no_shortcode_is_left_after_markdowns_own_escapes(escape: Callable[[str], str], mark: str) -> None:
    """Streamlit replaces icons, emoji and arrows in the text that is left once Markdown has read its escapes."""
    read = re.sub(r"\\([^\w\s])", r"\1", escape(mark))
    assert not re.search(r":[\w/+-]+:|(?<!\S)(->|<=)(?!\S)", read)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (":red[a]", r"\:red[a]"),
        (r"\:red[a]", r"\:red[a]"),
        (r"\\:red[a]", r"\\\:red[a]"),
        ("`:red[a]`", "`:\u2060red[a]`"),
        ("` :red[a]", r"` \:red[a]"),
        ("**b** [l](http://a)", "**b** [l](http://a)"),
    ],
)
def test_markdown_of_users_keeps_all_but_directives(markdown: str, shown: str) -> None:
    assert user_markdown(markdown) == shown


DRAWN = {
    "markdown": (0,), "caption": (0,), "write": (0,), "title": (0,), "header": (0,), "subheader": (0,),
    "error": (0,), "warning": (0,), "info": (0,), "success": (0,), "toast": (0,), "button": (0,), "metric": (0,),
    "download_button": (0,), "link_button": (0,), "form_submit_button": (0,), "page_link": (), "expander": (0,),
    "popover": (0,), "checkbox": (0,), "toggle": (0,), "selectbox": (0,), "multiselect": (0,), "text_input": (0,),
    "text_area": (0,), "image": (), "page_title": (0, 1), "link_to": (1,), "run_link": (1,), "empty": (0, 1),
    "problem": (0, 1), "spinner": (0,), "progress": (),
}  # fmt: skip
"""Function → its positional arguments that are Markdown."""
NAMED = {"label", "help", "caption", "body", "text", "badges"}
OF_USERS = {
    "name", "message", "error", "reason", "detail", "sentence", "description", "notes", "task", "method", "backbone",
    "email", "query", "path", "device", "run_name", "feedback", "predicted", "truth", "note", "disk_note", "warnings",
    "time_note", "memory_note", "owner", "folder", "source", "label", "first", "second", "headline", "protocol",
}  # fmt: skip
"""Attributes of what the API sends that hold texts of users, or texts that repeat them."""
ESCAPES = {"plain", "code_span", "user_markdown", "count", "len"}
SET_BY_US = {"entry.label", "step.label", "stage.name", "part.name", "panel.title"}


def called(call: ast.Call) -> str:
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "")


def of_users(node: ast.AST) -> Iterator[ast.Attribute]:
    """Yield the attributes with texts of users that are not inside a call that escapes them."""
    if isinstance(node, ast.Call) and called(node) in ESCAPES:
        return
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        return  # a number
    if isinstance(node, ast.Compare | ast.Subscript):
        return
    if isinstance(node, ast.IfExp):
        yield from of_users(node.body)
        yield from of_users(node.orelse)
        return
    if isinstance(node, ast.Attribute) and node.attr in OF_USERS and ast.unparse(node) not in SET_BY_US:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from of_users(child)


def test_what_is_written_into_markdown_goes_through_an_escape() -> None:
    """Also in forms, dialogs and messages after a click."""
    found, seen = [], 0
    for path in Path(navigation.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or called(call) not in DRAWN:
                continue
            arguments = [call.args[i] for i in DRAWN[called(call)] if i < len(call.args)]
            arguments += [keyword.value for keyword in call.keywords if keyword.arg in NAMED]
            seen += len(arguments)
            found += [f"{path}:{node.lineno}: {ast.unparse(node)}" for a in arguments for node in of_users(a)]
    assert found == []
    assert seen > 400


def test_figures_are_drawn_by_the_function_that_escapes_them() -> None:
    root = Path(navigation.__file__).parent
    drawing = [path for path in root.rglob("*.py") if "plotly_chart" in path.read_text()]
    assert drawing == [root / "components" / "figure.py"]
