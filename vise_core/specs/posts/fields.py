"""Where the parts of a post stand in its row: JMESPath expressions, and ready maps for common shapes."""

from __future__ import annotations

from typing import Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator

from ..base import Record

Reaction = Literal["haha", "sorry", "angry", "wow", "love"]

REACTIONS: tuple[Reaction, ...] = ("haha", "sorry", "angry", "wow", "love")
"""The five reaction buttons, in the order in which every vector holds them (Sec. 3.2)."""

REACTION_NAMES: dict[str, Reaction | None] = {"sad": "sorry"}
"""Other names of the five buttons. Care, like and the rest map to none of them unless a spec says so."""

MapName = Literal["plain", "graph_api", "reddit", "flat"]

EXPRESSIONS = ("id", "image", "comments", "text", "replies", "reactions", *REACTIONS)
"""The fields of ``Fields`` that hold a JMESPath expression."""

_MAX_EXPRESSION = 500


class Fields(Record):
    """Places of the parts of a post. Each is a JMESPath expression; null takes that of the ready-made map."""

    map: MapName = Field(
        "plain",
        description="The ready map that fills what is left open. plain: id, image, comments, reactions. graph_api: "
        "comments.data[].message and summaries per reaction. reddit: body and nested replies. flat: a column per "
        "reaction.",
    )
    id: str | None = Field(None, description="The post's id. Evaluated on the row.")
    image: str | None = Field(
        None, description="The image: a file name, or in Parquet its bytes. Evaluated on the row."
    )
    comments: str | None = Field(None, description="The list of comments. Evaluated on the row.")
    text: str | None = Field(None, description="The text of a comment. Evaluated on a comment.")
    replies: str | None = Field(None, description="The replies to a comment. Evaluated on a comment.")
    reactions: str | None = Field(
        None,
        description="All counts at once: an object of counts by name, or a list with a type each. @ is the row itself.",
    )
    haha: str | None = Field(None, description="The count of haha, where it has a field of its own.")
    sorry: str | None = Field(None, description="The count of sorry (sad), where it has a field of its own.")
    angry: str | None = Field(None, description="The count of angry, where it has a field of its own.")
    wow: str | None = Field(None, description="The count of wow, where it has a field of its own.")
    love: str | None = Field(None, description="The count of love, where it has a field of its own.")
    names: dict[str, Reaction | None] = Field(
        default_factory=lambda: dict(REACTION_NAMES),
        max_length=1000,
        description="Other names of the five reactions, in any case. Entries are added to sad: sorry; null takes a name "
        "out. Counts that map to one reaction are added up.",
    )

    @field_validator(*EXPRESSIONS)
    @classmethod
    def _an_expression(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value) > _MAX_EXPRESSION:
            raise ValueError(f"a JMESPath expression has at most {_MAX_EXPRESSION} characters")
        try:
            jmespath.compile(value)
        except (JMESPathError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{value!r} is not a JMESPath expression: {first}") from error
        except RecursionError as error:
            raise ValueError(f"{value[:50]!r}… is nested too deeply") from error
        return value

    @field_validator("names", mode="before")
    @classmethod
    def _added_to_the_known(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return REACTION_NAMES | {str(name).strip().casefold(): to for name, to in value.items()}

    def expressions(self) -> dict[str, str | None]:
        """Return the expression of each field, from the ready-made map where it is null; None if neither has one."""
        ready = FIELD_MAPS[self.map]
        own = {name: getattr(self, name) for name in EXPRESSIONS}
        return {name: ready.get(name) if value is None else value for name, value in own.items()}


class FlatFields(Fields):
    """``Fields`` of tables: by default a column for each reaction."""

    map: MapName = Field("flat", description=Fields.model_fields["map"].description)


FIELD_MAPS: dict[MapName, dict[str, str]] = {
    "plain": {
        "id": "id",
        "image": "image",
        "comments": "comments",
        "text": "text",
        "replies": "replies",
        "reactions": "reactions",
    },
    # Lists come as {"data": […]}, as the API sends them, or unpacked.
    "graph_api": {
        "id": "id",
        "image": "image || full_picture || picture",
        "comments": "not_null(comments.data, comments)",
        "text": "message",
        "replies": "not_null(comments.data, comments)",
        "reactions": "reactions",
        "sorry": "sorry.summary.total_count || reactions_sorry.summary.total_count"
        " || sad.summary.total_count || reactions_sad.summary.total_count",
        **{
            name: f"{name}.summary.total_count || reactions_{name}.summary.total_count"
            for name in ("haha", "angry", "wow", "love")
        },
    },
    # Reddit writes "" for no replies; a listing holds its items in data.children[].data.
    "reddit": {
        "id": "id || name",
        "image": "image || image_path || url",
        "comments": "not_null(comments.data.children[].data, comments)",
        "text": "body",
        "replies": "not_null(replies.data.children[].data, replies)",
        "reactions": "reactions",
    },
    "flat": {
        "id": "id",
        "image": "image",
        "comments": "comments",
        "text": "text",
        "replies": "replies",
        "reactions": "@",
    },
}
"""Ready maps. Adding one: its name in ``MapName``, its expressions here; ``vise ingest-peek`` tries every one."""
