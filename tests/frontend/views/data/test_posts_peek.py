"""The data set's page shows how its posts would be read, and the link that ingests them so."""

import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from frontend.components import layout, table
from frontend.views.data import posts_peek

SOURCE = {"kind": "csv", "posts": "dump.csv", "fields": {"id": '"Post ID"'}}
KEPT = {
    "where": "dump.csv:2", "id": "1", "image": "images/a.jpg", "comments": 2, "first_comments": ["x", "y"],
    "reactions": {"haha": 0, "sorry": 0, "angry": 0, "wow": 0, "love": 3}, "reason": None, "message": "",
}  # fmt: skip
REJECTED = KEPT | {
    "where": "dump.csv:3",
    "id": "",
    "reactions": {},
    "reason": "bad_row",
    "message": "too few cells",
}


class Page:
    """What a component draws, by the name of the widget."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, Any, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda first, *_, **options: self.drawn.append((name, first, options))

    def of(self, name: str) -> list[tuple[Any, dict[str, Any]]]:
        return [(first, options) for kind, first, options in self.drawn if kind == name]


@pytest.fixture
def page(monkeypatch) -> Page:
    made = Page()
    monkeypatch.setattr(posts_peek, "st", made)
    monkeypatch.setattr(layout, "st", made)
    monkeypatch.setattr(table, "st", made)
    return made


def data_set(**fields: Any) -> Any:
    return SimpleNamespace(id=UUID(int=7), kind="posts", thumbnails=UUID(int=8), **fields)


def test_the_posts_and_a_link_that_opens_launch_with_the_guessed_source(page, monkeypatch) -> None:
    survey = {"peek": {"layout": "csv", "source": SOURCE, "posts": [KEPT, REJECTED]}, "examples": []}
    monkeypatch.setattr(posts_peek, "survey_file", lambda _: survey)
    posts_peek.posts_peek(data_set())
    ((rows, _),) = page.of("dataframe")
    assert [row["rejected"] for row in rows] == ["", "bad_row: too few cells"]
    assert (rows[0]["love"], rows[0]["first comments"]) == (3, "x / y")
    ((target, options),) = page.of("page_link")
    assert (target, options["label"]) == ("views/launch/page.py", "Ingest with this source")
    assert json.loads(options["query_params"]["spec"]) == {"source": SOURCE}
    assert options["query_params"]["in_source"] == f"dataset:{UUID(int=7)}"


@pytest.mark.parametrize(
    "survey", [{}, {"peek": None}, {"peek": {"layout": "unknown", "source": None, "posts": []}}]
)
def test_nothing_where_there_is_no_guess(page, monkeypatch, survey) -> None:
    monkeypatch.setattr(posts_peek, "survey_file", lambda _: survey)
    posts_peek.posts_peek(data_set())
    assert page.drawn == []
