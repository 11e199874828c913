"""Home names each part that is not well, also while nothing but the health responds."""

import pytest
from streamlit.testing.v1 import AppTest

from frontend.views.home import system
from vise_client.errors import ClientError
from vise_client.schemas.wire import Health, PartHealth


class WithoutDatabase:
    def health(self) -> Health:
        away = PartHealth(name="database", ok=False, message="no response for 4 s")
        broker = PartHealth(name="broker", ok=True)
        return Health(status="degraded", version="1", database=False, broker=True, parts=[away, broker])

    def workers(self) -> list:
        raise ClientError("the database does not respond; try again in a moment")


def script() -> None:
    from frontend.views.home.system import system_state

    system_state()


def test_a_part_that_is_away_is_named_although_nothing_else_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "client", WithoutDatabase)
    page = AppTest.from_function(script).run()
    assert not page.exception
    first, *_ = [error.value for error in page.error]
    assert "Database: no response for 4 s" in first
    assert "Broker" not in str(page.error)
