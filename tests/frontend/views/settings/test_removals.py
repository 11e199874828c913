"""The form for removals of posts checks the ids first, and keeps them until the request was accepted."""

from dataclasses import dataclass, field

import pytest
from streamlit.testing.v1 import AppTest

from frontend.views.settings import removals as page
from vise_client.errors import ClientError
from vise_client.schemas.removals import MAX_POSTS, RemovalCreate
from vise_client.schemas.wire import Page


@dataclass
class Api:
    """Accepts requests, unless it is away."""

    away: bool = False
    created: list[list[str]] = field(default_factory=list)

    def create_removal(self, body: RemovalCreate) -> None:
        if self.away:
            raise ClientError("the API does not respond")
        self.created.append(body.posts)

    def removals(self, **_: object) -> Page:
        return Page(items=[], next_cursor=None)


def draw() -> None:
    from frontend.views.settings.removals import removals

    removals()


def enter(app: AppTest, text: str) -> AppTest:
    app.text_area[0].input(text)
    return app.button[0].click().run()


def test_ids_are_checked_first_and_kept_until_they_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    monkeypatch.setattr(page, "client", lambda: api)
    app = AppTest.from_function(draw, default_timeout=60).run()
    many = "\n".join(map(str, range(MAX_POSTS + 1)))
    for text, message in (
        (" ", "at least one id"),
        (many, "1,001 ids"),
        ("7\n" + "x" * 201, "at most 200 characters"),
    ):
        app = enter(app, text)
        assert [message in error.value for error in app.error] == [True]
        assert app.text_area[0].value == text
        assert not app.exception
    api.away = True
    app = enter(app, "7")
    assert (len(app.error), app.text_area[0].value) == (1, "7")
    api.away = False
    app = enter(app, "7\n 8 ")
    assert (api.created, app.text_area[0].value, len(app.error)) == ([["7", "8"]], "", 0)
