"""Buttons that change a thing are drawn for its owner and admins: every part of a page that changes one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from backend.store.runs.tables import SavedView
from backend.store.serving.tables import Feedback
from frontend.settings import session_cookie
from tests.belongings import belongings
from tests.serving import serving
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_client.schemas.run_lists import RunListState

Part = Callable[[dict[str, str]], None]
"""Draws a part of a page for the things with these ids."""
CALLERS = {"viewer": Role.viewer, "other": Role.editor, "owner": Role.editor, "admin": Role.admin}


@dataclass
class Site:
    """A server with things of one editor: their ids, and a session of each caller."""

    url: str
    ids: dict[str, str]
    sessions: dict[str, str]


@pytest.fixture(scope="module")
def site(
    module_database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("ownership")
    settings = Settings(
        database_url=module_database_url, broker_url=broker_url, storage_url=f"file://{home}", home=home
    )
    engine = connect(module_database_url)
    sessions = {}
    with session_factory(engine).begin() as db:
        for name, role in CALLERS.items():
            user = users.create_user(db, f"{name}@example.org", None, role)
            sessions[name], _ = users.issue_token(db, user, "session", lifetime=timedelta(hours=1))
        ids = belongings(db, "owner@example.org")
        owner = users.find_user(db, "owner@example.org")
        assert owner is not None
        state = RunListState().model_dump(mode="json")
        db.add(SavedView(owner_id=owner.id, name="shared", state=state, shared=True))
        given = {"task": "t", "label": "a", "predicted": "a", "model": "m", "sha256": "0" * 64}
        db.add(
            Feedback(
                prediction_id=ids["prediction_id"],
                picture=b"",
                synthetic=True,
                created_by=owner.id,
                **given,
            )
        )
    with serving(create_app(settings)) as url:
        yield Site(url, ids, sessions)
    engine.dispose()


def run_actions(ids: dict[str, str]) -> None:
    from frontend.session import client
    from frontend.views.run import actions

    actions.run_actions(client().run(ids["run_id"]))


def finished_run_actions(ids: dict[str, str]) -> None:
    from frontend.session import client
    from frontend.views.run import actions
    from vise_client.schemas.run_states import RunState

    run = client().run(ids["run_id"])
    actions.run_actions(run.model_copy(update={"state": RunState.succeeded}))


def run_notes(ids: dict[str, str]) -> None:
    from frontend.session import client
    from frontend.views.run import notes

    notes.run_notes(client().run(ids["run_id"]))


def model_actions(ids: dict[str, str]) -> None:
    from types import SimpleNamespace

    from frontend.session import client
    from frontend.views.models import model

    model._actions(client().model(ids["model_id"]), SimpleNamespace(size=1))  # type: ignore[arg-type]


def saved_views(ids: dict[str, str]) -> None:
    from frontend.views.runs import saved_views
    from vise_client.schemas.run_lists import RunListState

    saved_views.saved_views(RunListState())


def bulk_bar(ids: dict[str, str]) -> None:
    from frontend.views.runs import bulk

    bulk.bulk_bar([ids["run_id"]])


def label(ids: dict[str, str]) -> None:
    from types import SimpleNamespace

    from frontend.views.predict import feedback

    # Others see the prediction, with its label, by the link of its batch.
    prediction = SimpleNamespace(id=ids["prediction_id"], feedback="a", pictured_until=None)
    feedback.feedback(prediction, None)  # type: ignore[arg-type]


PARTS: dict[Part, set[str]] = {
    run_actions: {"Pause", "Cancel"},
    finished_run_actions: {"Delete"},
    run_notes: {"Save"},
    model_actions: {"Make default", "Save name"},
    saved_views: {"Replace", "Delete"},
    bulk_bar: {"Star", "Cancel", "Delete 1 run", "Add tags"},
    label: {"Remove label"},
}
"""Part of a page → labels of buttons that only the owner and admins see."""


@pytest.fixture
def buttons(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[Part], dict[str, set[str]]]:
    """``buttons(part)``: caller → labels of the buttons that a part of a page has for them."""
    monkeypatch.setenv("VISE_API_URL", site.url)
    cookies: dict[str, str] = {}
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.cookies", property(lambda self: cookies))
    # A script of a test has no pages that it could link to.
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)

    def draw(part: Part) -> dict[str, set[str]]:
        seen = {}
        for caller, secret in site.sessions.items():
            cookies[session_cookie()] = secret
            page = AppTest.from_function(part, args=(site.ids,), default_timeout=60)
            with ViseClient(site.url, secret) as vise:
                page.session_state["user"] = vise.me()
            page.run()
            assert not page.exception, (caller, page.exception)
            seen[caller] = {button.label for button in page.button}
        return seen

    return draw


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_buttons_that_change_a_thing_are_its_owners_and_admins(
    buttons: Callable[[Part], dict[str, set[str]]], part: Part
) -> None:
    seen = {caller: PARTS[part] & labels for caller, labels in buttons(part).items()}
    nothing: set[str] = set()
    assert seen == {"viewer": nothing, "other": nothing, "owner": PARTS[part], "admin": PARTS[part]}


def test_everybody_but_a_viewer_may_run_a_run_again(buttons: Callable[[Part], dict[str, set[str]]]) -> None:
    again = {caller for caller, labels in buttons(run_actions).items() if "Run again" in labels}
    assert again == {"other", "owner", "admin"}
