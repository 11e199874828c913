"""Logging, search and long curves, beside an MLflow tracking server on the same PostgreSQL server and machine.

    python -m benchmarks.tracking_mlflow [--points 100000] [--runs 10000] [--curve 1000000] [--repeats 20]

1. Logging points of four metrics. Ours: through the reporter of a worker's run, as every run logs, from the stage's
   first call until the last point is in the database. MLflow: ``MlflowClient.log_batch``, 1,000 points a call (its
   limit), over HTTP.
2. Searches with a filter and an order over the same runs, a page of 25, each through its own client over HTTP. The
   p95 is that of our run list, which also counts all matches; MLflow cannot, so the comparison is without the count.
   MLflow's runs are copied into its tables: through its API they would take minutes.
3. One curve down-sampled to 500 points, over HTTP. MLflow has no equivalent.

MLflow is installed into an environment of its own in the cache folder, at the first start (about a gigabyte); its
server runs with two workers. Exits with 1 where logging is not 10 times or the searches together not 5 times as fast,
the p95 of our searches is not below 50 ms, or the p50 of the curve not below 100 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.engine import make_url

from backend.local.processes import free_port
from backend.settings import Settings
from backend.store.database import connect, plain_url, session_factory
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.registry.storage import Storage
from backend.store.runs.create import create_run
from backend.store.runs.states.lease import claim_run
from benchmarks.measures.times import time_calls
from benchmarks.stack.database import fill_database
from benchmarks.stack.servers import running, wait_for
from vise_client.client import ViseClient
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.metrics import MetricQuery
from worker.context import Context
from worker.reporter import StoreReporter

from .measures.rows import Row, parser_of, verdict

MLFLOW = "3.17.2"
SERVER_WORKERS = 2
KEYS = ("loss", "loss/comments", "loss/reactions", "lr")
LIMIT = 25
SEARCHES = {
    # ours: (query, sort); MLflow's: (filter, order)
    "metric > 60, best first": (
        ("stage = evaluate and metric.val_accuracy > 60", "-metric.val_accuracy"),
        ("tags.stage = 'evaluate' and metrics.val_accuracy > 60", "metrics.val_accuracy DESC"),
    ),
    "parameter, newest first": (
        ("spec.weights.backbone = resnet50", "-created"),
        ("params.`weights.backbone` = 'resnet50'", "attributes.start_time DESC"),
    ),
    "parameter and metric, by parameter": (
        ("spec.epochs = 100 and metric.val_accuracy < 70", "spec.method"),
        ("params.epochs = '100' and metrics.val_accuracy < 70", "params.method ASC"),
    ),
    "state, oldest first": (
        ("state = failed", "started"),
        ("attributes.status = 'FAILED'", "attributes.start_time ASC"),
    ),
    "part of the name, by name": (
        ('name ~ "method 7"', "name"),
        ("attributes.run_name LIKE '%method 7%'", "attributes.run_name ASC"),
    ),
}
FASTER_LOG, FASTER_SEARCH, SEARCH_MS, CURVE_MS = 10.0, 5.0, 50.0, 100.0
SPEC = {"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}}


def parser() -> argparse.ArgumentParser:
    return parser_of(__doc__, points=100_000, runs=10_000, curve=1_000_000, repeats=20)


def measure(options: argparse.Namespace) -> list[Row]:
    """Print all comparisons and return their rows."""
    python = install_mlflow()
    rows: list[Row] = []
    # Run as root, PostgreSQL has its own account, which must be able to reach the folder.
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with running(folder, pages=False) as ours, mlflow_server(python, ours["database"], folder) as theirs:
            print_versions(python, ours["database"])
            rows.append(compare_logging(python, ours, theirs, options.points))
            rows.append(time_curve(ours, options.curve, options.repeats))
            fill_database(ours["database"], options.runs, 4 * options.runs)
            copy_runs(ours["database"], theirs)
            rows += compare_searches(python, ours, theirs, options.repeats)
    missed = [row.name for row in rows if not row.reached]
    print("missed: " + "; ".join(missed) if missed else "all figures are reached")
    return rows


def install_mlflow() -> Path:
    """Return the Python of an environment with MLflow alone, creating the environment if needed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "vise-bench" / f"mlflow-{MLFLOW}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing MLflow {MLFLOW} into {folder}; this takes minutes", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run([*pip, f"mlflow=={MLFLOW}", "psycopg2-binary"], check=True)
        (folder / "installed").touch()
    return python


@contextmanager
def mlflow_server(python: Path, database: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a tracking server with its own database beside ours; yield its {url, database, experiment}."""
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    own = (
        make_url(database)
        .set(drivername="postgresql+psycopg2", database="mlflow")
        .render_as_string(hide_password=False)
    )
    port = free_port()
    command = [
        python.with_name("mlflow"),
        "server",
        "--backend-store-uri",
        own,
        "--workers",
        str(SERVER_WORKERS),
    ]
    command += ["--artifacts-destination", folder / "mlflow", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", process)
        experiment = request_mlflow(python, {"what": "experiment", "url": url})
        yield {"url": url, "database": own, "experiment": experiment}
    finally:
        process.terminate()
        process.wait()


def request_mlflow(python: Path, request: dict[str, Any]) -> Any:
    """Run ``mlflow_peer`` in MLflow's environment and return its response."""
    peer = Path(__file__).with_name("mlflow_peer.py")
    completed = subprocess.run(
        [str(python), str(peer)], input=json.dumps(request), check=True, capture_output=True, text=True
    )
    return json.loads(completed.stdout)


def print_versions(python: Path, database: str) -> None:
    """Print the versions of both sides and the settings of PostgreSQL."""
    command = [str(python), "-c", "import mlflow, uvicorn; print(mlflow.__version__, uvicorn.__version__)"]
    theirs = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    with psycopg.connect(plain_url(database)) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        settings = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    listed = ", ".join(f"{name} {value[0]}" for name, value in zip(names, settings, strict=True) if value)
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; PostgreSQL {listed}\n"
        f"MLflow {theirs[0]}, its server with {SERVER_WORKERS} workers of uvicorn {theirs[1]}; ours with one\n",
        flush=True,
    )


def compare_logging(python: Path, ours: dict[str, str], theirs: dict[str, str], points: int) -> Row:
    """Compare logging: ours between two runs of MLflow's, so that a slow phase of the machine affects both."""
    steps = points // len(KEYS)
    request = {"what": "log", **theirs, "keys": KEYS, "steps": steps, "batch": 1000}
    peer = [request_mlflow(python, request)]
    mine = statistics.median(log_ours(ours, steps) for _ in range(3))
    peer.append(request_mlflow(python, request))
    other = statistics.mean(peer)
    ratio = other / mine
    print(f"logging {points:,} points of {len(KEYS)} metrics")
    print(f"  MLflow, log_batch in thousands over HTTP   {other:7.2f} s  {points / other:9,.0f} points/s")
    print(f"  ours, the reporter of a worker's run       {mine:7.2f} s  {points / mine:9,.0f} points/s")
    print(f"  {ratio:.1f} times as fast (needed: {FASTER_LOG:g})\n", flush=True)
    return Row(
        f"logging {points:,} points",
        f"{points / mine:,.0f} points/s",
        f"MLflow {MLFLOW}, {points / other:,.0f} points/s",
        f"{ratio:.1f} ×",
        f"≥ {FASTER_LOG:g} ×",
        ratio >= FASTER_LOG,
    )


def log_ours(ours: dict[str, str], steps: int) -> float:
    """Return the seconds from a stage's first call until its last point is in the database."""
    with held_run(ours) as (context, run_id, token):
        reporter = StoreReporter(context, run_id, token)
        began = time.perf_counter()
        for step in range(steps):
            value = 1 / (1 + step)
            reporter.metrics(step, dict.fromkeys(KEYS, value), epoch=step / 100)
        reporter.close()
        took = time.perf_counter() - began
    with psycopg.connect(plain_url(ours["database"])) as connection:
        query = "SELECT count(*) FROM metric_points WHERE run_id = %s"
        assert connection.execute(query, [run_id]).fetchone() == (steps * len(KEYS),)
    return took


@contextmanager
def held_run(servers: dict[str, str]) -> Iterator[tuple[Context, UUID, int]]:
    """Claim a run in this process as a worker does; yield (context, run id, token)."""
    settings = Settings(
        database_url=servers["database"], broker_url=servers["broker"], storage_url=servers["storage"]
    )
    engine = connect(settings.database_url)
    context = Context(settings, session_factory(engine), Storage(settings.storage_url), "benchmark")
    with context.sessions.begin() as db:
        run_id = create_run(db, RunCreate(stage="ingest", spec=SPEC), None).id
    with context.sessions.begin() as db:
        claim = claim_run(db, run_id, context.name, 3600)
    assert claim is not None
    yield context, run_id, claim.token
    engine.dispose()


def time_curve(ours: dict[str, str], points: int, repeats: int) -> Row:
    """Time reading a curve over HTTP that was logged 50,000 points at a time."""
    now = datetime.now(UTC)
    with held_run(ours) as (context, run_id, token):
        for start in range(0, points, 50_000):
            batch = [
                Point("loss", s, math.exp(-4 * s / points) + 0.1 * math.sin(s * s), s / 1000, now)
                for s in range(start, min(points, start + 50_000))
            ]
            with context.sessions.begin() as db:
                metrics.append(db, run_id, token, batch)
    print(f"a curve of {points:,} points, down-sampled over HTTP")
    query = MetricQuery(run_ids=[run_id], keys=["loss"], points=500)
    with ViseClient(ours["api"], ours["token"]) as client:
        assert client.curves(query)[0].total == points
        p50, _ = time_calls({"  to 500 points": lambda: client.curves(query)}, repeats)["  to 500 points"]
    print(f"  needed: a p50 below {CURVE_MS:g} ms\n", flush=True)
    return Row(
        f"a curve of {points:,} points, down-sampled",
        f"p50 {p50:.0f} ms",
        needed=f"< {CURVE_MS:g} ms",
        reached=p50 < CURVE_MS,
    )


def compare_searches(python: Path, ours: dict[str, str], theirs: dict[str, str], repeats: int) -> list[Row]:
    """Compare equal searches in both query languages, checking that both return as many runs."""
    slowest, together = 0.0, [0.0, 0.0]
    print("searches with a filter and an order, a page of 25, over HTTP")
    with ViseClient(ours["api"], ours["token"]) as client:
        for name, ((query, sort), search) in SEARCHES.items():
            request = {"what": "search", **theirs, "searches": [search], "limit": LIMIT, "repeats": repeats}
            ((count, *seconds),) = request_mlflow(python, request)
            page: dict[str, Any] = {
                "query": query,
                "sort": sort,
                "limit": LIMIT,
                "all": True,
                "kind": "stage",
            }
            runs = client.runs(**page, count=True)
            assert len(runs.items) == count, f"{name}: {len(runs.items)} runs, MLflow returns {count}"
            calls: dict[str, Callable[[], object]] = {
                f"  {name}": lambda: client.runs(**page),  # noqa: B023
                f"  {name}; {runs.total:,} counted": lambda: client.runs(**page, count=True),  # noqa: B023
            }
            (p50, _), (_, p95) = time_calls(calls, repeats).values()
            other = 1000 * statistics.median(seconds)
            print(f"  MLflow's p50 {other:.1f} ms: {other / p50:.1f} times as fast", flush=True)
            together = [together[0] + p50, together[1] + other]
            slowest = max(slowest, p95)
    ratio = together[1] / together[0]
    print(f"  together {together[0]:.1f} ms and {together[1]:.1f} ms: {ratio:.1f} times as fast")
    print(f"  needed: {FASTER_SEARCH:g} times and a p95 below {SEARCH_MS:g} ms\n", flush=True)
    return [
        Row(
            f"{len(SEARCHES)} searches together, p50",
            f"{together[0]:.0f} ms",
            f"MLflow {MLFLOW}, {together[1]:.0f} ms",
            f"{ratio:.1f} ×",
            f"≥ {FASTER_SEARCH:g} ×",
            ratio >= FASTER_SEARCH,
        ),
        Row(
            "the slowest search, p95",
            f"{slowest:.0f} ms",
            needed=f"< {SEARCH_MS:g} ms",
            reached=slowest < SEARCH_MS,
        ),
    ]


def copy_runs(database: str, theirs: dict[str, str]) -> None:
    """Copy our stage runs into MLflow's tables, with parameters, metrics and tags."""
    with (
        psycopg.connect(plain_url(database)) as source,
        psycopg.connect(plain_url(theirs["database"])) as target,
    ):
        for table, columns, query in COPIED:
            reading = source.execute(query.replace("EXPERIMENT", theirs["experiment"]))  # type: ignore[arg-type]
            with target.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:  # type: ignore[arg-type]
                for row in reading:
                    copy.write_row(row)
        target.commit()
        target.autocommit = True
        target.execute("VACUUM ANALYZE")


COPIED = (
    (
        "runs",
        "run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, "
        "experiment_id",
        """
        SELECT replace(id::text, '-', ''), name, 'LOCAL', 'admin',
               CASE state WHEN 'succeeded' THEN 'FINISHED' WHEN 'failed' THEN 'FAILED' WHEN 'cancelled' THEN 'KILLED'
                          ELSE 'RUNNING' END,
               (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM finished_at) * 1000)::bigint,
               'active', 'mlflow-artifacts:/' || id, EXPERIMENT
        FROM runs WHERE kind = 'stage'
        """,
    ),
    (
        "params",
        "key, value, run_uuid",
        """
        SELECT path, string_agg(text, ',' ORDER BY position), replace(run_id::text, '-', '')
        FROM run_params GROUP BY run_id, path
        """,
    ),
    (
        "latest_metrics",
        "key, value, timestamp, step, is_nan, run_uuid",
        """
        SELECT key, coalesce(final, value), 0, coalesce(step, 0), false, replace(run_id::text, '-', '')
        FROM metric_latest
        """,
    ),
    (
        "metrics",
        "key, value, timestamp, step, is_nan, run_uuid",
        "SELECT key, value, 0, step, false, replace(run_id::text, '-', '') FROM metric_points",
    ),
    (
        "tags",
        "key, value, run_uuid",
        """
        SELECT tag, value, replace(id::text, '-', '')
        FROM runs, LATERAL (VALUES ('stage', stage), ('mlflow.runName', name)) AS tags (tag, value)
        WHERE kind = 'stage'
        """,
    ),
)
"""(table of MLflow's, its columns, the query of our tables that fills them)."""


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
