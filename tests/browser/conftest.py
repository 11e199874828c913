"""The real stack, started as a user starts it, and a browser that is signed in to it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
# Streamlit looks for its health route below the page's path before it looks at the root.
HARMLESS = re.compile(r"/_stcore/(health|host-config)")


@pytest.fixture(scope="session")
def stack(start_stack, servers_folder: Path) -> Iterator:
    with start_stack(servers_folder / "home") as running:
        yield running


@pytest.fixture(scope="session")
def browser(chromium_path: object) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(chromium_path), args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, stack) -> Iterator[BrowserContext]:
    """A browser that followed the one-time link."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(stack.link)
    page.get_by_role("heading", name="VisE Studio").wait_for()
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    """A page; the test fails on an error in the console or on Streamlit's exception box."""
    page = signed_in.new_page()
    errors: list[str] = []
    page.on(
        "console",
        lambda m: (
            errors.append(f"{m.text} at {m.location}")
            if m.type == "error" and not HARMLESS.search(str(m.location))
            else None
        ),
    )
    yield page
    assert page.locator("[data-testid=stException]").count() == 0
    page.close()
    assert errors == []


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("VISE_ARTIFACTS", "artifacts")) / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
