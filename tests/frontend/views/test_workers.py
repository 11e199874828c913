"""The Workers page names the workers that are gone, deaf, or of another version than the API."""

from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from frontend.views.workers import page as workers_page
from vise_client.schemas.workers import QueueView, WorkerView

DIFFERS = "it knows revision 0001 of the tables, the API 0002: restart it"


class WithWorkers:
    def queues(self) -> list[QueueView]:
        return []

    def workers(self) -> list[WorkerView]:
        now = datetime.now(UTC)
        facts = {"queues": ["cpu"], "device": "cpu, 2 cores", "run_id": None, "revision": "0001"}
        return [
            WorkerView(name="well", heartbeat_at=now, alive=True, version="1.2.3", **facts),
            WorkerView(name="older", heartbeat_at=now, alive=True, differs=DIFFERS, **facts),
            WorkerView(name="deaf", heartbeat_at=now, alive=True, hears=False, **facts),
            WorkerView(name="gone", heartbeat_at=now - timedelta(minutes=2), alive=False, **facts),
        ]


def script() -> None:
    from frontend.views.workers.page import queues_and_workers

    queues_and_workers()


def test_what_is_wrong_with_a_worker_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_page, "client", WithWorkers)
    page = AppTest.from_function(script, default_timeout=60).run()
    assert not page.exception
    badges = {
        name: text
        for text in (m.value for m in page.markdown)
        for name in ("well", "older", "deaf", "gone")
        if f"`{name}`" in text
    }
    assert "alive" in badges["well"]
    assert "another version" not in badges["well"]
    assert "another version" in badges["older"]
    assert "deaf: messages through the broker do not reach it" in badges["deaf"]
    assert "no heartbeat for 2" in badges["gone"]
    captions = [caption.value for caption in page.caption]
    assert len([text for text in captions if text.startswith("It knows revision 0001 of the tables")]) == 1
    assert any("1.2.3" in text for text in captions)
