"""No page writes without a click: not when it is drawn, not on stale values, not while somebody searches or selects."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from tests.frontend.walk.conftest import Site
from vise_client.errors import ApiError
from vise_client.schemas.ablations import AblationUpdate
from vise_client.schemas.accounts import Role

PREDICTS = ("POST /predictions", "POST /predictions/engagement")
"""To select an image is to ask for its prediction."""


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


def test_no_page_writes_without_a_click(
    site: Site, addresses: list[str], visit: Callable[[str], AppTest]
) -> None:
    written: dict[str, list[str]] = {}
    for address in addresses:
        page = visit(address)
        assert not page.exception, (address, page.exception)
        drawn = site.writes()
        change_everything(site)
        page.run()
        stale = site.writes()
        touch_everything(page)
        page.run()
        touched = [write for write in site.writes() if write not in PREDICTS]
        if found := [*drawn, *stale, *touched]:
            written[address] = found
    assert written == {}
    assert len(addresses) > 40


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
