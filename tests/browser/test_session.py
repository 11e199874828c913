"""You stay signed in, and where you were: over a reload, a broken connection, a restart of the pages' server."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from docs.screenshots import outline, settle
from vise_client.schemas.accounts import Role, UserCreate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# A view that only its address tells: filters of the list of runs.
HERE = "runs?all=true&stage=evaluate"


def where(page: Page) -> tuple[str, list[str]]:
    """The address, and what stands on the page."""
    return page.url, outline(page)


def test_a_reload_keeps_you_signed_in_and_where_you_were(
    page: Page, sample, visit: Callable[[Page, str], None]
) -> None:
    visit(page, HERE)
    before = where(page)
    page.reload()
    settle(page)
    assert where(page) == before
    assert page.get_by_role("link", name=re.compile("Evaluate VisE")).count() > 0


def test_a_connection_that_breaks_comes_back_to_the_same_view(
    looking: Callable[..., BrowserContext], stack, sample
) -> None:
    """Closed by nobody's wish, as when a laptop sleeps (streamlit#8901)."""
    page = looking((1440, 900), "light").new_page()
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile("_stcore/stream"), pass_on)
    page.goto(f"{stack.url}/{HERE}")
    settle(page)
    before = where(page)
    sockets[-1].close(code=4000, reason="the network went away")
    while len(sockets) < 2:
        page.wait_for_timeout(100)
    settle(page)
    assert where(page) == before
    page.close()


def test_a_restart_of_the_pages_server_brings_the_same_view_back(
    looking: Callable[..., BrowserContext], stack, sample
) -> None:
    """The new server knows nothing of the old one's sessions; the cookie and the address are enough."""
    page = looking((1440, 900), "light").new_page()
    page.goto(f"{stack.url}/{HERE}")
    settle(page)
    before = where(page)
    pages_server(stack.home).send_signal(signal.SIGKILL)
    expect(page.locator("[data-testid=stApp]")).not_to_have_attribute(
        "data-test-connection-state", "CONNECTED", timeout=30_000
    )
    settle(page, timeout=120_000)
    assert where(page) == before
    page.close()


def test_a_link_into_the_app_survives_the_sign_in(browser: Browser, stack, vise) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/{HERE}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=30_000)
    assert page.get_by_role("link", name=re.compile("Evaluate")).count() == 0
    page.get_by_label("E-mail").fill("somebody@localhost")
    page.get_by_label("Password").fill("guessed")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("the password or the link is wrong")).to_be_visible(timeout=30_000)
    password = "correct horse battery staple"
    vise.create_user(UserCreate(email="reader@localhost", password=password, role=Role.viewer))
    page.get_by_label("E-mail").fill("reader@localhost")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible(timeout=30_000)
    assert sorted(re.split("[?&]", page.url)) == sorted(re.split("[?&]", f"{stack.url}/{HERE}"))
    context.close()


def test_a_one_time_link_opens_once(browser: Browser, signed_in, stack) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.link)  # The fixture used it.
    expect(page.get_by_text("used already")).to_be_visible(timeout=30_000)
    context.close()


def pages_server(home: Path) -> psutil.Process:
    """The process of this system that serves the pages."""
    for process in psutil.process_iter(["cmdline"]):
        try:
            ours = process.environ().get("VISE_HOME") == str(home)
        except (psutil.Error, OSError):
            continue
        if ours and "frontend.serve" in (process.info["cmdline"] or []):
            return process
    raise AssertionError(f"nothing serves the pages of {home}")
