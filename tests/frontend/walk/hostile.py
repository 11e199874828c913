"""Texts of users that would set colours, icons, formulas, links or HTML, and what of a page the browser draws as Markdown."""

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from google.protobuf.message import Message
from pydantic import BaseModel
from streamlit.testing.v1 import AppTest

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
