"""How fast are lists and pages when there is a lot? Fills a fresh embedded database and measures.

python -m benchmarks.tracking_pages [--runs 10000] [--points 10000000] [--repeats 20] [--no-browser]

Prints p50 and p95, in milliseconds, of the API's calls (through HTTP, one client) and of pages until they are
complete in Chromium; exits 1 where the p95 of a page is not below 1.5 s. Nothing is mocked: PostgreSQL, the API and the pages run as `vise up` runs them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from playwright.sync_api import Page

from backend.local.processes import free_port
from backend.local.servers import start_postgres, start_valkey
from backend.store.accounts import users
from backend.store.database import connect, migrate, plain_url, session_factory
from backend.store.metrics import chunks
from backend.store.runs.identity import identity, leaves
from docs.screenshots import SIZE, WAITING, signed_in
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_core.specs.stages import validate_spec

from .rows import Row, verdict
from .times import Times

PAGE_MS = 1500.0
SEEDS = 5
KEYS = {
    "evaluate": ("train_loss", "val_loss", "val_accuracy"),
    "pretrain": ("loss", "loss/comments", "loss/reactions", "lr"),
}
BEGAN = datetime.now(UTC) - timedelta(days=60)


def fill_database(url: str, runs: int, points: int) -> dict[str, list[UUID]]:
    """Write ``runs`` runs (two in three in sweeps over seeds) with ``points`` metric points in all, by COPY.

    Returns the ids of the runs of each stage, oldest first. The database must be migrated and empty of runs.
    """
    rng = random.Random(0)
    per_run = max(1, points // max(1, runs))
    made: dict[str, list[UUID]] = {stage: [] for stage in KEYS}
    with psycopg.connect(plain_url(url)) as connection, connection.cursor() as cursor:
        for start in range(0, runs, 500):
            batch = _batch(rng, range(start, min(start + 500, runs)), runs)
            _copy(cursor, "runs", RUN_COLUMNS, (row["run"] for row in batch))
            stages = [row for row in batch if row["stage"]]
            parameters = ((r["id"], *leaf) for r in stages for leaf in r["leaves"])
            _copy(cursor, "run_params", "run_id, path, position, text, number", parameters)
            _points(cursor, stages, per_run)
            for row in stages:
                made[row["stage"]].append(row["id"])
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")
    return made


RUN_COLUMNS = (
    "id, kind, stage, name, state, reason, parent_id, step, position, tags, synthetic, queue, spec, headline, result, "
    "error, attempt, worker, heartbeat_at, lease_until, created_at, queued_at, started_at, finished_at, starred, "
    "archived, group_key, replicate, requested"
)


def _batch(rng: random.Random, numbers: range, of: int) -> list[dict[str, Any]]:
    """Rows of ``runs``: a sweep's parent followed by its seeds, or single runs."""
    rows: list[dict[str, Any]] = []
    parent: UUID | None = None
    base: dict[str, Any] = {}
    for number in numbers:
        turn = number % (3 * (SEEDS + 1) // 2)
        stage = "evaluate" if number // 9 % 3 else "pretrain"
        created = BEGAN + timedelta(days=60) * (number / of)
        if turn == 0:
            parent = _id(created, rng)
            base = _spec(stage, rng)
            rows.append({"id": parent, "stage": None, "run": _parent(parent, number, created)})
            continue
        in_sweep = turn <= SEEDS
        spec = base | {"seed": turn - 1} if in_sweep and base else _spec(stage, rng)
        rows.append(_run(rng, number, of, stage, spec, parent if in_sweep and base else None, created))
    return rows


def _spec(stage: str, rng: random.Random) -> dict[str, Any]:
    backbone = rng.choice(["resnet18", "resnet50", "resnet101"])
    if stage == "pretrain":
        given = {"backbone": backbone, "base_lr": rng.choice([0.2, 0.1, 0.05, 0.025, 0.01]), "epochs": 100}
    else:
        weights = {"kind": "random", "backbone": backbone}
        given = {"weights": weights, "method": f"method {rng.randrange(40)}", "epochs": rng.choice([50, 100])}
    return validate_spec(stage, given | {"seed": rng.randrange(3)}).model_dump(mode="json")


def _run(
    rng: random.Random,
    number: int,
    of: int,
    stage: str,
    spec: dict[str, Any],
    parent: UUID | None,
    created: datetime,
) -> dict[str, Any]:
    run_id = _id(created, rng)
    live = number > of - 12
    state = "running" if live else rng.choices(["succeeded", "failed", "cancelled"], [92, 5, 3])[0]
    value = 40 + 40 * rng.random()
    headline, result = {}, None
    if state == "succeeded":
        headline = (
            {"val_accuracy": value, "test_accuracy": value - 1}
            if stage == "evaluate"
            else {"loss": value / 10}
        )
        # As long as a real result is: twenty-five grid points on each of five splits.
        result = {"metric": "accuracy", "grid": [{"base_lr": 0.1, "val": value, "test": value}] * 125}
    found = identity(stage, spec, {}, {})
    started, now = created + timedelta(seconds=5), datetime.now(UTC)
    row = (
        run_id,
        "stage",
        stage,
        f"{stage} {spec.get('method') or spec.get('backbone')} {number}"
        if parent is None
        else f"seed {spec['seed']}",
        state,
        "the loss is no longer finite" if state == "failed" else None,
        parent,
        f"seed {spec['seed']}" if parent else None,
        spec["seed"] if parent else 0,
        "{" + ",".join(rng.sample(["paper", "c+r", "ablation", "debug"], rng.randrange(3))) + "}",
        False,
        "gpu",
        json.dumps(spec),
        json.dumps(headline),
        json.dumps(result) if result else None,
        "Traceback (most recent call last):\n" + "  File …\n" * 40 if state == "failed" else None,
        1,
        "gpu-1",
        now if live else started,
        now + timedelta(hours=1) if live else None,
        created,
        created,
        started,
        None if live else started + timedelta(seconds=rng.randrange(60, 36_000)),
        rng.random() < 0.05,
        rng.random() < 0.1,
        found.group_key,
        found.replicate,
        SEEDS if parent else 1,
    )
    rows = [(leaf["path"], leaf["position"], leaf["text"], leaf["number"]) for leaf in leaves(spec)]
    return {"id": run_id, "stage": stage, "run": row, "leaves": rows, "headline": headline, "at": started}


def _parent(run_id: UUID, number: int, created: datetime) -> tuple[Any, ...]:
    ended = created + timedelta(hours=5)
    spec = json.dumps({"stage": "evaluate", "grid": {"seed": list(range(SEEDS))}})
    blank = (None, None, 0, "{}", False, "none", spec, "{}", None, None, 0, None, None, None)
    return (
        run_id, "sweep", None, f"Sweep {number}", "succeeded", None, *blank, created, created, created, ended,
        False, False, None, None, 1,
    )  # fmt: skip


def _points(cursor: psycopg.Cursor[Any], runs: list[dict[str, Any]], per_run: int) -> None:
    latest, extremes = [], []
    copy_sql = "COPY metric_points (run_id, key, step, value, epoch, at) FROM STDIN"
    with cursor.copy(copy_sql) as copy:
        for order, run in enumerate(runs):
            keys = KEYS[run["stage"]]
            steps = max(1, per_run // len(keys))
            at = run["at"].isoformat()
            for place, key in enumerate(sorted(keys)):
                values = [
                    round(3 * math.exp(-4 * s / steps) + 0.1 * math.sin(s * 0.7 + order + place), 6)
                    for s in range(steps)
                ]
                head = f"{run['id']}\t{key}\t"
                copy.write("".join(f"{head}{s}\t{v}\t{s / 10}\t{at}\n" for s, v in enumerate(values)))
                extremes += [(run["id"], key, *chunk) for chunk in _chunks(values)]
                low, high = min(values), max(values)
                final = run["headline"].get(key)
                latest.append(
                    (
                        run["id"],
                        key,
                        steps - 1,
                        values[-1],
                        final,
                        low,
                        values.index(low),
                        high,
                        values.index(high),
                        low,
                    )
                )
            latest += [
                (run["id"], key, None, None, value, None, None, None, None, None)
                for key, value in run["headline"].items()
                if key not in keys
            ]
    columns = "run_id, key, step, value, final, min, min_step, max, max_step, at_best"
    _copy(cursor, "metric_latest", columns, iter(latest))
    columns = "run_id, key, chunk, last_step, low, low_step, high, high_step"
    _copy(cursor, "metric_chunks", columns, iter(extremes))


def _chunks(values: list[float]) -> Iterator[tuple[Any, ...]]:
    """(chunk, last step, least value and its step, greatest and its) of a curve with the steps 0, 1, 2, …"""
    size = chunks.SIZE
    for chunk in range(len(values) // size):
        start, part = chunk * size, values[chunk * size : (chunk + 1) * size]
        low, high = min(part), max(part)
        yield chunk, start + size - 1, low, start + part.index(low), high, start + part.index(high)


def _copy(cursor: psycopg.Cursor[Any], table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:  # type: ignore[arg-type]
        for row in rows:
            copy.write_row(row)


def _id(at: datetime, rng: random.Random) -> UUID:
    """A UUIDv7 of that time."""
    milliseconds = int(at.timestamp() * 1000)
    value = milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    return UUID(int=value)


def time_calls(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """By name; and prints them."""
    found = {}
    for name, call in calls.items():
        call()
        took = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            took.append(1000 * (time.perf_counter() - began))
        found[name] = Times.of(took)
        print(f"{name:62} p50 {found[name].p50:7.1f} ms   p95 {found[name].p95:7.1f} ms", flush=True)
    return found


def time_api(client: ViseClient, repeats: int) -> dict[str, Times]:
    """The calls that the runs page makes: lists, filters, orders, groups."""
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
"""The page's script has ended, nothing stands in for something else, and so many of these are there."""
LINES = ".js-plotly-plot .scatterlayer .trace .js-line"


def time_pages(page: Page, url: str, runs: dict[str, list[UUID]], repeats: int) -> dict[str, Times]:
    """From the address until all is on the screen, in a browser that is signed in.

    ``runs``: ids by stage; one of any stage and a hundred evaluations are looked at, each visit has others.
    """
    rng = random.Random(1)
    every = [run for ids in runs.values() for run in ids]

    def visit(path: Callable[[], str], at_least: int, what: str) -> Callable[[], object]:
        def call() -> None:
            page.goto(f"{url}/{path()}")
            page.wait_for_function(DRAWN, arg=[at_least, what, WAITING])

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


@contextmanager
def running(folder: Path, *, pages: bool = True) -> Iterator[dict[str, str]]:
    """The store, the API and the pages, as ``vise up`` starts them, without workers.

    {database, broker, storage, api, page, token, pid: the API's process}
    """
    postgres = start_postgres(folder / "postgres")
    valkey = start_valkey(folder / "valkey")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        migrate(postgres.url)
        token = issue_token(postgres.url)
        api, page = free_port(), free_port()
        storage = f"file://{folder / 'storage'}"
        environment = os.environ | {
            "VISE_DATABASE_URL": postgres.url,
            "VISE_BROKER_URL": valkey.url,
            "VISE_HOME": str(folder),
            "VISE_STORAGE_URL": storage,
            "VISE_API_URL": f"http://127.0.0.1:{api}",
        }
        application = [sys.executable, "-m", "uvicorn", "backend.api.app:create_app", "--factory"]
        servers = {
            f"http://127.0.0.1:{api}/api/v1/health": [
                *application,
                "--port",
                str(api),
                "--log-level",
                "warning",
            ]
        }
        if pages:
            command = [sys.executable, "-m", "frontend.serve", "--port", str(page)]
            servers[f"http://127.0.0.1:{page}/_stcore/health"] = command
        processes += [subprocess.Popen(command, env=environment) for command in servers.values()]
        for address, process in zip(servers, processes, strict=True):
            wait_for(address, process)
        yield {
            "database": postgres.url,
            "broker": valkey.url,
            "storage": storage,
            "api": f"http://127.0.0.1:{api}",
            "page": f"http://127.0.0.1:{page}",
            "token": token,
            "pid": str(processes[0].pid),
        }
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        postgres.stop()
        valkey.stop()


def issue_token(url: str) -> str:
    """A token of an admin, made on the spot."""
    engine = connect(url)
    with session_factory(engine).begin() as db:
        admin = users.create_user(db, "admin@localhost", None, Role.admin)
        token, _ = users.issue_token(db, admin, "api", lifetime=timedelta(days=1))
    engine.dispose()
    return token


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until the process answers there; an error where it ends before that."""
    until = time.monotonic() + 600
    while True:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{address} does not answer; {process.args} ended with {process.poll()}")
        time.sleep(0.2)


def main() -> int:
    return verdict(measure(parser().parse_args()))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-browser", action="store_true")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print all times; the rows are the pages, and of the API's calls the slowest."""
    pages: dict[str, Times] = {}
    # Not below another account's private folder: as root, PostgreSQL runs as one of its own.
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with running(folder) as servers:
            began = time.monotonic()
            made = fill_database(servers["database"], options.runs, options.points)
            took = time.monotonic() - began
            print(f"{options.runs:,} runs and {options.points:,} points written in {took:.0f} s", flush=True)
            with ViseClient(servers["api"], servers["token"]) as client:
                calls = time_api(client, options.repeats)
            if not options.no_browser:
                with signed_in(servers["token"], servers["page"]) as browser:
                    page = browser.new_page()
                    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
                    pages = time_pages(page, servers["page"], made, options.repeats)
    slowest = max(calls, key=lambda name: calls[name].p95)
    return [
        Row(f"API, the slowest of {len(calls)} lists ({slowest})", str(calls[slowest])),
        *(
            Row(name, str(found), needed=f"p95 < {PAGE_MS:g} ms", reached=found.p95 < PAGE_MS)
            for name, found in pages.items()
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
