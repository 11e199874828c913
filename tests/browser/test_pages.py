"""Every page that the menu lists, on a desktop and on a phone, light and dark, with the sample recipe's data."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page

from frontend.navigation import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

DESKTOP, PHONE = (1440, 900), (390, 844)
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RULES = ["heading-order", "page-has-heading-one", "landmark-one-main", "empty-heading"]
"""Best practices that are ours to keep, beside levels A and AA."""

EXCUSED: tuple[tuple[str, str, str], ...] = ()
"""(rule, selector, reason): what Streamlit draws and neither its options nor our style sheet can change."""


def violations(page: Page) -> list[str]:
    """What axe-core finds, one sentence an element."""
    page.evaluate(AXE_SCRIPT)
    options = {
        "runOnly": {"type": "tag", "values": LEVELS},
        "rules": {rule: {"enabled": True} for rule in RULES},
        "resultTypes": ["violations"],
    }
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]} "
        f"({'; '.join(check['message'] for check in node['any'] + node['all'] + node['none'])})"
        for rule in found
        for node in rule["nodes"]
        if not any(rule["id"] == r and _is(page, node["target"], selector) for r, selector, _ in EXCUSED)
    ]


def _is(page: Page, target: list[str], selector: str) -> bool:
    return len(target) == 1 and page.locator(target[0]).first.evaluate("(e, s) => e.matches(s)", selector)


def sideways(page: Page) -> list[str]:
    """What makes the page wider than the window: Streamlit's pages scroll inside <main>."""
    return page.evaluate(
        """() => [document.documentElement, document.querySelector("main")]
            .filter(e => e && e.scrollWidth > e.clientWidth)
            .map(e => `${e.tagName}: ${e.scrollWidth} px in ${e.clientWidth} px`)"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", list(PAGES))
def test_the_page_stands_in_every_size_and_scheme(
    name: str,
    size: tuple[int, int],
    scheme: str,
    addresses: dict[str, list[str]],
    looking: Callable[..., BrowserContext],
    watch: Callable[[Page], list[str]],
    visit: Callable[[Page, str], None],
    pictures: Path,
) -> None:
    context = looking(size, scheme)
    # Its bare address in all four; what fills it in two of them, which between them have both sizes and both schemes.
    full = (size, scheme) in ((DESKTOP, "light"), (PHONE, "dark"))
    for address in addresses[name] if full else addresses[name][:1]:
        page = context.new_page()
        errors = watch(page)
        visit(page, address)
        query = re.sub(r"[0-9a-f-]{36}|\W+", "-", address)
        page.screenshot(path=pictures / f"{query.strip('-') or name}-{size[0]}-{scheme}.png")
        assert sideways(page) == [], address
        assert violations(page) == [], address
        page.close()
        assert errors == [], address
