"""Every page: it writes nothing without a click, and texts of users are shown as they were written.

Nothing is written when a page is drawn, on stale values, or while somebody searches or selects. No text of a user can
set colours, icons, formulas, links or HTML: in the walk every text that the API sends is hostile, but those that pages
compare with names of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from tests.frontend.walk.conftest import Site, signed_in
from tests.frontend.walk.hostile import HOSTILE, honest, hostile, markdown_of, messages, unescaped
from vise_client.errors import ApiError
from vise_client.operation import Operation
from vise_client.schemas.ablations import AblationUpdate
from vise_client.schemas.accounts import Role
from vise_client.schemas.wire import Problem

PREDICTS = ("POST /predictions", "POST /predictions/engagement")
"""To select an image is to ask for its prediction."""


@contextmanager
def hostile_api() -> Iterator[None]:
    """While it is open, the pages read hostile texts; what they send back is as the server knows it."""
    parsed, sent = Operation.result, Operation._request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Operation, "result", lambda self, response: hostile(parsed(self, response)))
        patch.setattr(Operation, "_request", lambda self, arguments: sent(self, honest(arguments)))
        yield


def change_everything(site: Site) -> None:
    """What other users do while a tab stands open."""
    with site.sessions.begin() as db:
        for statement in (
            "update runs set name = name || '.', notes = notes || '.', tags = array_append(tags, 'x'), "
            "starred = not starred",
            "update models set name = name || '.', \"default\" = false",
            "update datasets set name = name || '.', description = description || '.'",
            "update saved_views set name = name || '.', state = jsonb_set(state::jsonb, '{grouped}', 'true')::json",
            "update ablations set name = name || '.'",
            "update users set role = case role when 'viewer' then 'editor' else 'viewer' end "
            "where email like '%@walk.example.org'",
        ):
            db.execute(text(statement))


def touch_everything(page: AppTest) -> None:
    """Give every widget but the buttons another value."""
    for box in (*page.text_input, *page.text_area):
        if not box.disabled:
            box.set_value("another")
    for toggle in (*page.checkbox, *page.toggle):
        if not toggle.disabled:
            toggle.set_value(not toggle.value)
    for select in page.selectbox:
        if len(select.options) > 1 and not select.disabled:
            select.select_index(((select.index or 0) + 1) % len(select.options))
    for several in page.multiselect:
        if not several.disabled:
            several.set_value([])
    for number in page.number_input:
        if not number.disabled:
            number.increment()


@dataclass
class Seen:
    """What the walk saw of one page.

    Attributes
    ----------
    texts: number of texts drawn as Markdown that hold a mark of a user's text.
    marks: (field, mark, text) for each mark that the browser would draw.
    writes: those of drawing the page, of drawing it again when all had changed, and of a change of each widget.
    """

    texts: int = 0
    marks: set[tuple[str, str, str]] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)


def look_for_marks(page: AppTest) -> Seen:
    seen = Seen()
    for message in messages(page):
        for name, drawn in markdown_of(message):
            seen.texts += "zq" in drawn
            seen.marks |= {(name, mark, drawn[:200]) for mark in unescaped(drawn)}
        html = str(getattr(message, "body", "")) if message.DESCRIPTOR.name == "Html" else ""
        if "<u>zq" in html:
            seen.marks.add(("Html", "<u>", html[:200]))
    return seen


@pytest.fixture(scope="module")
def walk(site: Site, addresses: list[str]) -> dict[str, Seen]:
    """Address → what was seen there; drawing a page takes a second, so one walk serves two tests.

    A page is drawn first with hostile texts, then with those of the database, which have all changed meanwhile.
    """
    walk = {}
    with signed_in(site) as visit:
        for address in addresses:
            with hostile_api():
                page = visit(address)
            assert not page.exception, (address, page.exception)
            seen = walk[address] = look_for_marks(page)
            seen.writes += site.writes()
            change_everything(site)
            page.run()
            assert not page.exception, (address, page.exception)
            seen.writes += site.writes()
            touch_everything(page)
            page.run()
            seen.writes += [write for write in site.writes() if write not in PREDICTS]
    return walk


def test_no_page_writes_without_a_click(walk: dict[str, Seen]) -> None:
    assert {address: seen.writes for address, seen in walk.items() if seen.writes} == {}
    assert len(walk) > 40


def test_no_text_of_a_user_is_drawn_as_markdown_or_html(walk: dict[str, Seen]) -> None:
    """The notes of a run and the card of a model are Markdown that users write, without directives."""
    assert {address: seen.marks for address, seen in walk.items() if seen.marks} == {}
    assert sum(seen.texts for seen in walk.values()) > 150


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


def test_the_search_of_a_stale_users_tab_leaves_roles_alone(
    site: Site, visit: Callable[[str], AppTest]
) -> None:
    """As found: the box of the old role, drawn before, was written again when another admin had changed the role."""
    page = visit("settings?tab=Users")
    change_everything(site)
    roles = {user.email: user.role for user in site.vise.users()}
    page.text_input(key="search.Search users").set_value("walk").run()
    assert {user.email: user.role for user in site.vise.users()} == roles
    assert site.writes() == []


def role_form(page: AppTest, email: str) -> tuple:
    """The box of a user's role in its form, and the form's button."""
    forms = {box.proto.form_id: box for box in page.selectbox if box.label == f"Role of {email}"}
    ((form, box),) = forms.items()
    return box, next(button for button in page.button if button.proto.form_id == form)


def test_a_role_is_changed_by_its_button(site: Site, visit: Callable[[str], AppTest]) -> None:
    email = "admin@walk.example.org"
    page = visit("settings?tab=Users&search=admin@walk")
    box, button = role_form(page, email)
    user = next(user for user in site.vise.users(search=email))
    other = Role.admin if user.role is not Role.admin else Role.editor
    box.set_value(other)
    button.click().run()
    assert site.writes() == [f"PATCH /users/{user.id}"]
    assert next(iter(site.vise.users(search=email))).role is other


def test_a_role_that_has_changed_meanwhile_is_not_overwritten(
    site: Site, visit: Callable[[str], AppTest]
) -> None:
    email = "admin@walk.example.org"
    page = visit("settings?tab=Users&search=admin@walk")
    box, button = role_form(page, email)
    before = Role(box.value)
    theirs, mine = [role for role in Role if role is not before]
    with site.sessions.begin() as db:
        db.execute(
            text("update users set role = :role where email = :email"), {"role": theirs, "email": email}
        )
    box.set_value(mine)
    page = button.click().run()
    assert next(iter(site.vise.users(search=email))).role is theirs
    assert any("changed meanwhile" in error.value for error in page.error)


def test_an_ablation_that_has_changed_meanwhile_is_not_overwritten(site: Site) -> None:
    ablation = site.vise.ablations()[0]
    with pytest.raises(ApiError, match="changed meanwhile") as error:
        site.vise.update_ablation(ablation.id, AblationUpdate(name="mine", expected={"name": "not this"}))
    assert error.value.status == 409
