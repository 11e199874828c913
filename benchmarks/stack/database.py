"""A database full of runs and metric points, written by COPY."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from backend.store.database import plain_url
from backend.store.metrics import chunks
from backend.store.runs.identity import identity, leaves
from vise_core.specs.stages import validate_spec

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
    run_ids: dict[str, list[UUID]] = {stage: [] for stage in KEYS}
    with psycopg.connect(plain_url(url)) as connection, connection.cursor() as cursor:
        for start in range(0, runs, 500):
            batch = _batch(rng, range(start, min(start + 500, runs)), runs)
            _copy(cursor, "runs", RUN_COLUMNS, (row["run"] for row in batch))
            stages = [row for row in batch if row["stage"]]
            parameters = ((r["id"], *leaf) for r in stages for leaf in r["leaves"])
            _copy(cursor, "run_params", "run_id, path, position, text, number", parameters)
            _points(cursor, stages, per_run)
            for row in stages:
                run_ids[row["stage"]].append(row["id"])
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")
    return run_ids


RUN_COLUMNS = (
    "id, kind, stage, name, state, reason, parent_id, step, position, tags, synthetic, queue, spec, headline, result, "
    "error, attempt, worker, heartbeat_at, lease_until, created_at, queued_at, started_at, finished_at, starred, "
    "archived, group_key, replicate, requested"
)


def _batch(rng: random.Random, numbers: range, of: int) -> list[dict[str, Any]]:
    """Return rows of ``runs``: parents of sweeps followed by their seeds, and single runs."""
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
        values = {"backbone": backbone, "base_lr": rng.choice([0.2, 0.1, 0.05, 0.025, 0.01]), "epochs": 100}
    else:
        weights = {"kind": "random", "backbone": backbone}
        values = {
            "weights": weights,
            "method": f"method {rng.randrange(40)}",
            "epochs": rng.choice([50, 100]),
        }
    return validate_spec(stage, values | {"seed": rng.randrange(3)}).model_dump(mode="json")


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
    experiment = identity(stage, spec, {}, {})
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
        experiment.group_key,
        experiment.replicate,
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
    """Yield (chunk, last step, minimum, its step, maximum, its step) of a curve with the steps 0, 1, 2, …"""
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
    """Return a UUIDv7 of a time."""
    milliseconds = int(at.timestamp() * 1000)
    value = milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    return UUID(int=value)
