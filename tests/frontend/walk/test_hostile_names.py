"""Texts of users are shown as they were written: none can set colours, icons, formulas, links or HTML on a page.

In the walk every text that the API sends is hostile, but those that pages compare with names of their own.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from google.protobuf.message import Message
from pydantic import BaseModel
from streamlit.testing.v1 import AppTest

from frontend import navigation
from frontend.formatting import code_span, plain, user_markdown
from tests.frontend.walk.conftest import Site
from vise_client.errors import ApiError
from vise_client.operation import Operation
from vise_client.schemas.wire import Problem
from vise_core.specs.reports.model_card import CardMetric

MARKS = (":red[zq]", ":material/zq:", "$zq$", "<u>zq</u>", "[zq](http://zq)", "**zq**", "`zq`", "~~zq~~")
DIRECTIVES = MARKS[:2]
"""What the Markdown that users write, such as a run's notes, may not hold either."""
HOSTILE = " ".join(MARKS)
MARKDOWN_OF_USERS = ("notes", "markdown")
FREE = ("notes", "description", "tags")
"""Fields that are hostile where they are empty too."""

OURS = frozenset(
    {
        *("kind", "stage", "queue", "unit", "level", "state", "from_state", "to_state", "version", "sha256"),
        *("columns", "spec", "inputs", "reaction_names", "spec_schema", "defaults", "presets", "rules"),
        *("metric", "thumbnails_jpg", "thumbnail_jpg", "heat_png"),
    }
)
"""Fields whose texts are names of the software, which pages look up."""
KEYED_BY_USERS = frozenset({"classes", "probabilities"})
"""Dictionaries whose keys are texts of users."""
MARKDOWN = frozenset(
    {"body", "label", "help", "caption", "captions", "delta", "content", "tooltip", "text", "title"}
)
"""Fields of Streamlit's messages to the browser that it draws as Markdown."""
NO_MARKDOWN = frozenset({"Html", "Json", "Text", "Code", "Dataframe", "PageConfig", "AppPage"})
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")


def hostile(value: Any, name: str = "") -> Any:
    """The same value with the marks behind each text."""
    if type(value) is str:
        marks = " ".join(DIRECTIVES) if name in MARKDOWN_OF_USERS else HOSTILE
        return f"{value} {marks}" if (value or name in FREE) and name not in OURS else value
    if isinstance(value, BaseModel):
        texts = {
            field: getattr(value, field) for field in type(value).model_fields if not _closed(value, field)
        }
        return value.model_copy(update={field: hostile(text, field) for field, text in texts.items()})
    if isinstance(value, dict) and name not in OURS:
        keyed = name in KEYED_BY_USERS
        return {hostile(key) if keyed else key: hostile(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple) and name not in OURS:
        return type(value)(
            [HOSTILE] if name == "tags" and not value else (hostile(part, name) for part in value)
        )
    return value


def honest(arguments: dict[str, Any]) -> dict[str, Any]:
    """What a page sends back, as the server knows it."""
    return {
        name: value.replace(f" {HOSTILE}", "") if isinstance(value, str) else value
        for name, value in arguments.items()
    }


def _closed(value: BaseModel, field: str) -> bool:
    """Whether the field holds one of a few names."""
    annotation = type(value).model_fields[field].annotation
    return isinstance(value, CardMetric) or Literal in (
        get_origin(annotation),
        *map(get_origin, get_args(annotation)),
    )


def messages(page: AppTest) -> Iterator[Message]:
    """Yield the message of each element and block of a page."""
    nodes: list[Any] = list(page._tree.children.values())
    while nodes:
        node = nodes.pop()
        if isinstance(proto := getattr(node, "proto", None), Message):
            yield proto
        nodes += getattr(node, "children", {}).values()


def markdown_of(message: Message) -> Iterator[tuple[str, str]]:
    """Yield (field, text) for each text of a message that the browser draws as Markdown."""
    kind = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        for part in value if field.is_repeated else [value]:
            if isinstance(part, Message):
                yield from markdown_of(part)
            elif isinstance(part, str) and field.name in MARKDOWN and kind not in NO_MARKDOWN:
                yield f"{kind}.{field.name}", part


def unescaped(markdown: str) -> list[str]:
    """The marks that the browser would draw; those that are escaped or in code are text."""
    bare = CODE_SPAN.sub("", re.sub(r"\\.", "", markdown))
    return [mark for mark in MARKS if mark in bare]


def test_no_text_of_a_user_is_drawn_as_markdown_or_html(
    site: Site, addresses: list[str], visit: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, sent = Operation.result, Operation._request
    monkeypatch.setattr(Operation, "result", lambda self, response: hostile(parsed(self, response)))
    monkeypatch.setattr(Operation, "_request", lambda self, arguments: sent(self, honest(arguments)))
    found, seen = set(), 0
    for address in addresses:
        page = visit(address)
        assert not page.exception, (address, page.exception)
        for message in messages(page):
            for field, text in markdown_of(message):
                seen += "zq" in text
                found |= {(address, field, mark, text[:200]) for mark in unescaped(text)}
            html = str(getattr(message, "body", "")) if message.DESCRIPTOR.name == "Html" else ""
            if "<u>zq" in html:
                found.add((address, "Html", "<u>", html[:200]))
    # The notes of a run and the card of a model are Markdown that users write.
    assert (
        {entry for entry in found if entry[1] != "Markdown.body" or entry[2] in DIRECTIVES} == found == set()
    )
    assert seen > 150


def test_errors_of_the_api_are_shown_as_text(
    site: Site, visit: Callable[[str], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = Operation.result
    errors = [{"field": HOSTILE, "message": HOSTILE}]

    def result(self: Operation[Any, Any], response: Any) -> Any:
        if self.path.endswith("/users/me") or self.path == "/auth/me":
            return parsed(self, response)
        raise ApiError(Problem(title=HOSTILE, status=422, detail=HOSTILE, errors=errors * next(numbers)))

    for count in (0, 1):
        numbers = iter([count] * 100)
        monkeypatch.setattr(Operation, "result", result)
        page = visit("models")
        assert page.error
        assert all("zq" in error.value and not unescaped(error.value) for error in page.error)


@pytest.mark.parametrize("mark", [*MARKS, HOSTILE, "`", "``", "a``b`c", "` `"])
def test_each_escape_leaves_a_text_that_is_only_text(mark: str) -> None:
    assert unescaped(plain(mark)) == []
    assert unescaped(f"before {code_span(mark)} after") == []
    assert not set(unescaped(user_markdown(mark))) & set(DIRECTIVES)


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
    """Also in what the walk does not reach: forms, dialogs, messages after a click."""
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
