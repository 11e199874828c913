"""No page writes without a click: not when it is drawn, not on stale values, not while somebody searches or selects."""

from collections.abc import Callable

from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from tests.frontend.walk.conftest import Site

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
        box.set_value("another")
    for toggle in (*page.checkbox, *page.toggle):
        toggle.set_value(not toggle.value)
    for select in page.selectbox:
        if len(select.options) > 1:
            select.select_index(
                (select.index or 0) + 1 if (select.index or 0) + 1 < len(select.options) else 0
            )
    for several in page.multiselect:
        several.set_value([])
    for number in page.number_input:
        number.increment()


def test_no_page_writes_without_a_click(
    site: Site, addresses: list[str], visit: Callable[[str], AppTest]
) -> None:
    site.writes()
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
    page.text_input(key="users.search").set_value("walk").run()
    assert {user.email: user.role for user in site.vise.users()} == roles
    assert site.writes() == []
