"""Latency of lists and pages with many runs and metrics, on a fresh embedded database.

python -m benchmarks.tracking_pages [--runs 10000] [--points 10000000] [--repeats 20] [--no-browser]

Prints p50 and p95, in milliseconds, of API calls (over HTTP, one client) and of pages until they are complete in
Chromium; exits with 1 where the p95 of a page is not below 1.5 s. Nothing is mocked: PostgreSQL, the API and
the pages run as `vise up` runs them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from playwright.sync_api import Page

from docs.screenshots import SIZE, WAITING, signed_in, wait_until
from vise_client.client import ViseClient

from .measures.rows import Row, parser_of, verdict
from .measures.times import Times, time_calls
from .stack.database import fill_database
from .stack.servers import running

PAGE_MS = 1500.0


def time_api(client: ViseClient, repeats: int) -> dict[str, Times]:
    """Time the API calls of the run list: lists, filters, orders, groups."""
    metrics = [
        "metric.val_accuracy",
        "metric.test_accuracy",
        "metric.train_loss:min",
        "spec.base_lr",
        "spec.method",
    ]
    page: dict[str, Any] = {"limit": 25, "count": True}
    far = None
    for _ in range(20):
        far = client.runs(limit=200, all=True, sort="-metric.val_accuracy", cursor=far).next_cursor or far
    calls: dict[str, Callable[[], object]] = {
        "list": lambda: client.runs(**page),
        "list, inside sweeps too": lambda: client.runs(**page, all=True),
        "list with five chosen columns": lambda: client.runs(**page, all=True, column=metrics),
    }
    for query in (
        "stage = pretrain and spec.base_lr < 0.05 and not archived",
        'tag = "c+r" and metric.val_accuracy > 60',
        "state in (running, queued)",
        'name ~ "method 7"',
        "created > -7d and starred",
        "spec.weights.backbone = resnet50 or spec.backbone = resnet50",
        "not (state = succeeded) and duration > 1h",
    ):
        calls[f"filter: {query}"] = lambda query=query: client.runs(**page, all=True, query=query)  # type: ignore[misc]
    for sort in (
        "name",
        "-duration",
        "stage",
        "-state",
        "-metric.val_accuracy",
        "metric.train_loss:min",
        "spec.base_lr",
    ):
        calls[f"sort: {sort}"] = lambda sort=sort: client.runs(**page, all=True, sort=sort)  # type: ignore[misc]
    calls |= {
        "sort: -metric.val_accuracy, 4,000 runs further": lambda: client.runs(
            **page, all=True, sort="-metric.val_accuracy", cursor=far
        ),
        "groups": lambda: client.run_groups(**page, column=metrics),
        "groups: filter": lambda: client.run_groups(
            **page, column=metrics, query="stage = evaluate and not archived"
        ),
        "groups: sort -metric.val_accuracy": lambda: client.run_groups(
            **page, column=metrics, sort="-metric.val_accuracy"
        ),
        "vocabulary": client.vocabulary,
    }
    return time_calls(calls, repeats)


DRAWN = """([at_least, what, waiting]) => {
    const app = document.querySelector('[data-testid="stApp"]');
    // Our own components draw inside shadow roots, which a selector does not enter.
    const drawn = root => root.querySelectorAll(what).length
        + [...root.querySelectorAll("*")].reduce((n, e) => n + (e.shadowRoot ? drawn(e.shadowRoot) : 0), 0);
    return app?.dataset.testScriptState === "notRunning" && !document.querySelector(waiting)
        && drawn(document) >= at_least;
}"""
"""Tests that the page's script has ended, no placeholder is left, and ``at_least`` elements match ``what``."""
LINES = ".js-plotly-plot .scatterlayer .trace .js-line"


def time_pages(page: Page, url: str, runs: dict[str, list[UUID]], repeats: int) -> dict[str, Times]:
    """Time pages from the request until they are drawn, in a signed-in browser.

    ``runs``: ids by stage. Each visit shows another run, or another hundred evaluations.
    """
    rng = random.Random(1)
    every = [run for ids in runs.values() for run in ids]

    def visit(path: Callable[[], str], at_least: int, what: str) -> Callable[[], object]:
        def call() -> None:
            page.goto(f"{url}/{path()}")
            wait_until(page, DRAWN, [at_least, what, WAITING])

        return call

    def hundred() -> str:
        return "&".join(f"run={run}" for run in rng.sample(runs["evaluate"], 100))

    rows = ".runs tbody tr"
    search = "all=true&query=stage %3D evaluate and not archived&sort=-metric.val_accuracy"
    return time_calls(
        {
            "page: runs": visit(lambda: "runs", 25, rows),
            "page: runs, a search and an order": visit(lambda: f"runs?{search}", 25, rows),
            "page: runs, grouped": visit(lambda: "runs?grouped=true", 25, rows),
            "page: run, its curves": visit(lambda: f"run?run={rng.choice(every)}", 3, LINES),
            "page: compare 100 runs, what differs": visit(
                lambda: f"compare?{hundred()}", 1, "[data-testid=stDataFrame] canvas"
            ),
            "page: compare 100 runs, curves": visit(lambda: f"compare?{hundred()}&part=Curves", 100, LINES),
        },
        repeats,
    )


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, runs=10_000, points=10_000_000, repeats=20)
    parser.add_argument("--no-browser", action="store_true")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print all times; return the pages and the slowest API call."""
    pages: dict[str, Times] = {}
    # Run as root, PostgreSQL has its own account, which must be able to reach the folder.
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with running(folder) as servers:
            began = time.monotonic()
            run_ids = fill_database(servers["database"], options.runs, options.points)
            took = time.monotonic() - began
            print(f"{options.runs:,} runs and {options.points:,} points written in {took:.0f} s", flush=True)
            with ViseClient(servers["api"], servers["token"]) as client:
                calls = time_api(client, options.repeats)
            if not options.no_browser:
                with signed_in(servers["token"], servers["page"]) as browser:
                    page = browser.new_page()
                    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
                    pages = time_pages(page, servers["page"], run_ids, options.repeats)
    slowest = max(calls, key=lambda name: calls[name].p95)
    return [
        Row(f"API, the slowest of {len(calls)} lists ({slowest})", str(calls[slowest])),
        *(
            Row(name, str(times), needed=f"p95 < {PAGE_MS:g} ms", reached=times.p95 < PAGE_MS)
            for name, times in pages.items()
        ),
    ]


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
