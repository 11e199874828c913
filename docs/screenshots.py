"""The README's pictures, taken from a running system that has the sample data.

make screenshots                           on the system of `make up`, where it runs
python -m docs.screenshots --home FOLDER   on the one of another home

Each picture carries the outline of the page that it shows. A browser test takes that outline anew, so that a picture
of a page that has changed since is found.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import BrowserContext, Page, sync_playwright

from frontend.settings import session_cookie
from vise_client.client import ViseClient

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
"""Chromium as tests and pictures start it: it asks nobody else for anything."""
FOLDER = Path(__file__).parent / "images"
SIZE = (1440, 900)
MOST_BYTES = 200_000
WAITING = '[data-testid="stSkeleton"], [data-testid="stAppSkeleton"], [data-testid="stSpinner"]'
"""What stands on a page in place of what is still to come; a selector."""
OUTLINE = "Outline"
_calls = count()


@dataclass(frozen=True)
class Picture:
    """``address``: of the page, with a step of the sample recipe in braces for its run's id."""

    name: str
    address: str
    alt: str


PICTURES = (
    Picture("home", "", "Home: the state of the system, what runs, the newest results, and the next step"),
    Picture("runs", "runs?all=true", "Runs: the table of all runs with search, columns, groups and views"),
    Picture("run", "run?run={pretrain}", "Run: the curves of a pretraining on synthetic posts"),
    Picture("compare", "compare?run={random}&run={vise}", "Compare: what differs between two evaluations"),
    Picture("results", "results", "Results: the table of our own evaluations, on synthetic data"),
    Picture("launch", "launch?what=pretrain", "Launch: the form of a pretraining, made from its spec"),
    Picture(
        "predict",
        "predict?from=Samples&sample=anger 6",
        "Predict: the class probabilities of a sample image and its class activation map",
    ),
)


def take(context: BrowserContext, url: str, steps: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """Take every picture; returns the outline of each page by the picture's name."""
    folder.mkdir(parents=True, exist_ok=True)
    outlines = {}
    for picture in PICTURES:
        page = context.new_page()
        page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
        page.goto(f"{url}/{picture.address.format(**steps)}")
        settle(page)
        outlines[picture.name] = outline(page)
        write(folder / f"{picture.name}.png", page.screenshot(), outlines[picture.name])
        page.close()
    return outlines


def write(path: Path, png: bytes, outline: list[str]) -> None:
    """A small PNG: 256 colours are enough for pages, and the outline goes along."""
    info = PngInfo()
    info.add_text(OUTLINE, json.dumps(outline))
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True, pnginfo=info)


def stored_outline(path: Path) -> list[str]:
    """The outline of the page as it was when the picture was taken."""
    with Image.open(path) as image:
        return json.loads(image.info[OUTLINE])


def settle(page: Page, timeout: float = 120_000) -> None:
    """Wait until the page is drawn: its script has ended once, nothing waits, and nothing has come for a moment.

    Live parts start the script again every few seconds, for ever; so it need not rest at the end.
    """
    wait_until(
        page,
        """([call, waiting]) => {
            const seen = window.settling?.call === call ? window.settling : (window.settling = {call});
            const app = document.querySelector('[data-testid="stApp"]');
            seen.ended ||= app?.dataset.testScriptState === "notRunning";
            const drawn = seen.ended && app.dataset.testConnectionState === "CONNECTED"
                && document.querySelector("h1") && !document.querySelector(waiting)
                && document.fonts.status === "loaded";
            const size = drawn ? document.querySelectorAll("main *").length : null;
            const still = size !== null && seen.size === size;
            seen.size = size;
            return still;
        }""",
        [next(_calls), WAITING],
        timeout=timeout,
        polling=400,
    )


def wait_until(
    page: Page, expression: str, arg: object = None, *, timeout: float = 120_000, polling: float = 100
) -> None:
    """Wait until ``expression``, a JavaScript function of ``arg``, returns something true; times in milliseconds.

    Playwright's own ``wait_for_function`` calls `eval` inside the page, which the pages' CSP forbids.

    Raises:
        TimeoutError: it did not within ``timeout``.
    """
    deadline = time.monotonic() + timeout / 1000
    while not page.evaluate(expression, arg):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {timeout / 1000:g} s: {expression}")
        page.wait_for_timeout(polling)


def outline(page: Page) -> list[str]:
    """What stands on the page whatever data it shows: headings, tabs and inputs; numbers as #, each once."""
    named = r'(?:heading|tab|textbox|combobox|slider|spinbutton|switch) "(?:[^"\\]|\\.)*"'
    lines = page.locator("main").aria_snapshot().splitlines()
    matches = (re.match(rf"\s*- ({named})(?! \[level=[3-6]\])", line) for line in lines)
    return list(dict.fromkeys(re.sub(r"\d+", "#", m[1]) for m in matches if m))


@contextmanager
def signed_in(token: str, url: str) -> Iterator[BrowserContext]:
    chromium = os.environ.get("VISE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(color_scheme="light")
        context.add_cookies([{"name": session_cookie(url), "value": token, "url": url}])
        yield context
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("VISE_HOME", ".vise")))
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="where the pages are")
    options = parser.parse_args()
    local = options.home / "local.json"
    if not local.exists():
        parser.error(f"{local} is not there: start the system with `make up`")
    access = json.loads(local.read_text())
    with ViseClient(**access) as vise:
        recipes = [
            run
            for run in vise.runs(kind="recipe", state=["succeeded"], sort="created").items
            if run.synthetic
        ]
        sample = next((run for run in recipes if run.name == "Try it with sample data"), None)
        if sample is None:
            parser.error("the sample recipe has not been run: press “Run the sample recipe” on the page Home")
        steps = {str(run.step): str(run.id) for run in vise.run(sample.id).children}
    with signed_in(access["token"], options.url) as context:
        take(context, options.url, steps, FOLDER)
    for picture in PICTURES:
        print(f"{FOLDER / picture.name}.png: {(FOLDER / f'{picture.name}.png').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
