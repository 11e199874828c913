"""The real stack with the sample recipe's data, once a session, and browsers that are signed in to it."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from docs.screenshots import FLAGS, settle
from frontend import session
from frontend.navigation import PAGES
from vise_client.client import ViseClient
from vise_client.schemas.runs import RunView

BROKEN = f"[data-testid=stException], .st-key-{session.BROKEN}"
"""The box that Streamlit, or our frame in its place, shows where a page's script has failed."""
UNEXPECTED = "the server's log has the traceback"
"""What the API says of an error of its own (backend.api.errors)."""
# Streamlit looks for its health route below the page's path before it looks at the root.
HARMLESS = re.compile(r"/_stcore/(health|host-config)")
RECIPE_SECONDS = 1200
"""From the click to the last step, where three processes of tests share two slow cores."""
# Playwright's own 5 s are too few there: a page's script may wait that long for its turn.
expect.set_options(timeout=30_000)

ADDRESSES: dict[str, tuple[str, ...]] = {
    "launch": ("what=pretrain", "what=evaluate", "clone={vise}"),
    "data": ("tab=Made by runs", "tab=Add"),
    "settings": ("tab=API tokens", "tab=Users", "tab=Audit log"),
    "runs": ("all=true", "grouped=true&query=stage = evaluate"),
    "run": ("run={pretrain}", "run={vise}", "run={recipe}"),
    "compare": ("run={random}&run={vise}",),
    "predict": ("from=Samples&sample=anger 6&engagement=true", "view=History", "view=Labelled set"),
    "clusters": ("search=love", "kind=Reactions", "kind=For an image&from=Samples"),
    "results": ("show=Table 6&published=true", "show=Figure 3", "show=Figure 7"),
}
"""Queries beside the bare address that show a page full. A name in braces is a step of the sample recipe."""


@dataclass(frozen=True)
class Sample:
    """The sample recipe, started from the first page and done."""

    recipe: RunView

    @property
    def ids(self) -> dict[str, str]:
        """Step → run id, and the recipe's own."""
        return {"recipe": str(self.recipe.id)} | {str(run.step): str(run.id) for run in self.recipe.children}


def complaints(page: Page) -> list[str]:
    """A list that fills with the page's errors: in its console, and exceptions of its scripts."""
    found: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and not HARMLESS.search(str(message.location)):
            found.append(f"{message.text} at {message.location}")

    page.on("console", said)
    page.on("pageerror", lambda error: found.append(f"exception: {error}"))
    return found


@pytest.fixture(scope="session")
def stack(start_stack, servers_folder: Path) -> Iterator:
    with start_stack(servers_folder / "home") as running:
        yield running


@pytest.fixture(scope="session")
def vise(stack) -> Iterator[ViseClient]:
    """The API of the stack, to check what a page shows and to set a scene."""
    with ViseClient(**json.loads((stack.home / "local.json").read_text())) as client:
        yield client


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


@pytest.fixture(scope="session")
def sample(signed_in: BrowserContext, stack, vise: ViseClient, pictures: Path) -> Sample:
    """Started from the first page with an impatient double click."""
    page = signed_in.new_page()
    page.goto(stack.url)
    page.get_by_role("button", name="Run the sample recipe").dblclick()
    expect(page.get_by_role("button", name="Sample recipe is running")).to_be_disabled()
    # The workers of a fresh stack start after its pages.
    page.get_by_text("Generate sample posts").first.wait_for(timeout=180_000)
    page.get_by_role("progressbar").first.wait_for(timeout=180_000)
    page.screenshot(path=pictures / "home-running.png")
    expect(page.get_by_role("button", name="Run the sample recipe")).to_be_enabled(
        timeout=1000 * RECIPE_SECONDS
    )
    page.screenshot(path=pictures / "home-done.png")
    page.close()
    return Sample(vise.run(vise.runs(kind="recipe").items[0].id))


@pytest.fixture(scope="session")
def addresses(sample: Sample) -> dict[str, list[str]]:
    """Page → its addresses: the bare one, and those that show it full."""
    return {
        name: [page.address, *(f"{name}?{query.format(**sample.ids)}" for query in ADDRESSES.get(name, ()))]
        for name, page in PAGES.items()
    }


@pytest.fixture(scope="session")
def looking(browser: Browser, signed_in: BrowserContext) -> Iterator[Callable[..., BrowserContext]]:
    """A signed-in browser with a screen of this size in this colour scheme; one for each pair."""
    found: dict[tuple, BrowserContext] = {}

    def open_browser(size: tuple[int, int], scheme: str) -> BrowserContext:
        if (size, scheme) not in found:
            found[size, scheme] = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,  # type: ignore[arg-type]
                storage_state=signed_in.storage_state(),
            )
        return found[size, scheme]

    yield open_browser
    for context in found.values():
        context.close()


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    """A page; the test fails on an error in the console or on Streamlit's exception box."""
    page = signed_in.new_page()
    errors = complaints(page)
    yield page
    assert page.locator(BROKEN).count() == 0
    page.close()
    assert errors == []


@pytest.fixture(scope="session")
def watch() -> Callable[[Page], list[str]]:
    return complaints


@pytest.fixture
def visit(stack) -> Callable[[Page, str], None]:
    """Go to an address below the first page, and wait until it is drawn."""

    def go(page: Page, address: str) -> None:
        page.goto(f"{stack.url}/{address}")
        settle(page)
        assert page.locator(BROKEN).count() == 0, address
        assert page.get_by_text(UNEXPECTED).count() == 0, address

    return go


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("VISE_ARTIFACTS", "artifacts")) / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
