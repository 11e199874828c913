"""What a browser shows while the API cannot say who its user is."""

import pytest
from streamlit.testing.v1 import AppTest

from frontend import login
from frontend.settings import session_cookie
from vise_client.errors import ApiError
from vise_client.schemas.wire import Health, PartHealth, Problem


class WithoutDatabase:
    def me(self) -> None:
        detail = "the database does not respond; try again in a moment"
        raise ApiError(Problem(title="Unavailable", status=503, detail=detail))

    def health(self) -> Health:
        away = PartHealth(name="database", ok=False, message="the database does not respond")
        unknown = PartHealth(name="workers", ok=False, message="unknown, as the database does not respond")
        return Health(status="degraded", version="1", database=False, broker=True, parts=[away, unknown])


def script() -> None:
    from frontend.login import signed_in

    assert signed_in() is None


def test_a_page_opened_while_the_database_is_away_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "client", WithoutDatabase)
    cookies = property(lambda self: {session_cookie(): "token"})
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.cookies", cookies)
    page = AppTest.from_function(script).run()
    assert not page.exception
    shown = [error.value for error in page.error]
    assert "try again in a moment" in shown[0]
    assert "Database: the database does not respond" in shown[1]
    assert "Workers: unknown" in shown[2]
    assert [button.label for button in page.button] == ["Try again"]
