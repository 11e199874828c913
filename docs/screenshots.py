"""The README's pictures, taken from a running system with the sample data.

make screenshots                           on the system of `make up`, where it runs
python -m docs.screenshots --home FOLDER   on the one of another home
"""

from __future__ import annotations

import re

from playwright.sync_api import Page

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
"""Chromium as tests and pictures start it: it asks nobody else for anything."""


def settle(page: Page, timeout: float = 60_000) -> None:
    """Wait until the page is drawn: its script has ended, nothing waits, and nothing has moved for a moment."""
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid="stApp"]');
            const waiting = '[data-testid="stSkeleton"], [data-testid="stAppSkeleton"], [data-testid="stSpinner"]';
            const drawn = app && app.dataset.testConnectionState === "CONNECTED"
                && app.dataset.testScriptState === "notRunning"
                && document.querySelector("h1") && !document.querySelector(waiting)
                && document.fonts.status === "loaded";
            const size = drawn ? `${document.querySelectorAll("main *").length}` : null;
            const still = size !== null && window.settledAt === size;
            window.settledAt = size;
            return still;
        }""",
        polling=400,
        timeout=timeout,
    )


def outline(page: Page) -> list[str]:
    """What stands on the page for who cannot see it: headings, tabs, inputs and buttons, without their numbers."""
    roles = "heading|tab|textbox|combobox|checkbox|slider|spinbutton|button|radio"
    lines = page.locator("main").aria_snapshot().splitlines()
    found = (re.match(rf'\s*- ((?:{roles}) "(?:[^"\\]|\\.)*")', line) for line in lines)
    return [re.sub(r"\d+", "#", m[1]) for m in found if m]
