"""Groups of runs: what is averaged, over what, and what is missing, against an independent computation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sqlalchemy.orm import Session

from backend.store.metrics.points import Point, append
from backend.store.metrics.tables import MetricLatest
from backend.store.runs.create import create_run, create_sweep
from backend.store.runs.delete import delete_run
from backend.store.runs.groups import list_groups
from backend.store.runs.read import view_run
from backend.store.runs.run_list import Paging, RunFilter
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from tests.backend.run_rows import NOW, add_run
from vise_client.schemas.launch import RunCreate, SweepCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.recipes.inputs import InputRef

ALL = RunFilter(nested=True)
ACCURACY = ("metric.val_accuracy",)


def test_mean_and_sample_std_are_numpy_s_whatever_the_order_of_groups(db: Session) -> None:
    rng = np.random.default_rng(0)
    expected: dict[float, list[float]] = {}
    for lr in (0.1, 0.2, 0.3):
        for seed in range(5):
            value = float(rng.normal(60, 5))
            expected.setdefault(lr, []).append(value)
            add_run(
                db,
                stage="pretrain",
                spec={"seed": seed, "base_lr": lr},
                curve={"loss": [(1, 9.0), (2, value)]},
            )
    columns = ("metric.loss", "metric.loss:max", "spec.base_lr")
    for sort in ("-created", "metric.loss", "-metric.loss", "spec.base_lr", "-spec.base_lr", "runs"):
        seen: list[Any] = []
        cursor = None
        while True:
            page = list_groups(db, ALL, Paging(sort, cursor, 1, columns, count=True))
            assert page.total == 3
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({g.group_key for g in seen}) == len(seen) == 3
        for group in seen:
            values = expected[group.columns["spec.base_lr"]]
            found = group.metrics["metric.loss"]
            assert found.mean == pytest.approx(np.mean(values))
            assert found.std == pytest.approx(np.std(values, ddof=1))
            assert (found.n, group.runs, group.succeeded, group.warning) == (5, 5, 5, "")
            most = [max(9.0, value) for value in values]
            assert group.metrics["metric.loss:max"].mean == pytest.approx(np.mean(most))
        if "loss" in sort:
            means = [group.metrics["metric.loss"].mean for group in seen]
            assert means == sorted(means, reverse=sort.startswith("-"))
        if "base_lr" in sort:
            rates = [group.columns["spec.base_lr"] for group in seen]
            assert rates == sorted(rates, reverse=sort.startswith("-"))


def split_result(values: list[float]) -> dict[str, Any]:
    return {"metric": "accuracy", "splits": [{"chosen": {"val": v, "test": None}} for v in values]}


def test_an_evaluation_over_five_splits_counts_as_five_values(db: Session) -> None:
    values = {0: [60.0, 61.0, 62.0, 63.0, 64.0], 1: [50.0, 51.0, 52.0, 53.0, 54.0]}
    for seed, several in values.items():
        mean = float(np.mean(several))
        add_run(db, spec={"seed": seed}, headline={"val_accuracy": mean}, result=split_result(several))
    (group,) = list_groups(db, ALL, Paging(columns=ACCURACY)).items
    pooled = values[0] + values[1]
    found = group.metrics["metric.val_accuracy"]
    assert (found.mean, found.n) == (pytest.approx(np.mean(pooled)), 10)
    assert found.std == pytest.approx(np.std(pooled, ddof=1))


def test_a_missing_seed_is_told_and_not_averaged_away(db: Session) -> None:
    for seed in range(5):
        state = "failed" if seed == 3 else "succeeded"
        headline = {"val_accuracy": 60.0 + seed} if state == "succeeded" else {}
        add_run(db, spec={"seed": seed}, state=state, headline=headline)
    (group,) = list_groups(db, ALL, Paging(columns=ACCURACY)).items
    assert (group.succeeded, group.requested) == (4, 5)
    assert group.warning == "4 of 5 seeds and splits: 1 failed"
    assert group.metrics["metric.val_accuracy"].n == 4


def test_a_filter_that_only_the_lucky_seeds_pass_does_not_leave_them_alone(db: Session) -> None:
    for seed in range(4):
        add_run(db, spec={"seed": seed}, headline={"val_accuracy": 60.0 + seed})
    (group,) = list_groups(db, RunFilter(query="metric.val_accuracy > 62"), Paging(columns=ACCURACY)).items
    assert group.metrics["metric.val_accuracy"].mean == 61.5
    assert list_groups(db, RunFilter(query="metric.val_accuracy > 63")).items == []


def test_a_run_that_repeats_another_s_seed_counts_once_and_the_newest_does(db: Session) -> None:
    for value in (60.0, 61.0):
        add_run(db, spec={"seed": 0}, headline={"val_accuracy": value})
    (group,) = list_groups(db, ALL, Paging(columns=ACCURACY)).items
    assert (group.runs, group.repeats, group.succeeded, group.requested) == (2, 1, 1, 1)
    assert group.metrics["metric.val_accuracy"].mean == 61.0
    assert group.metrics["metric.val_accuracy"].std is None


def test_what_a_sweep_asked_for_stays_asked_when_a_run_is_deleted(db: Session) -> None:
    base = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}
    grid = {"seed": [0, 1, 2, 3, 4], "posts_per_shard": [100, 200]}
    body = SweepCreate.model_validate({"spec": {"stage": "ingest", "base": base, "grid": grid}})
    sweep = create_sweep(db, body, None)
    children = view_run(db, sweep.id).children
    for child in children[:-1]:
        claim_run(db, child.id, "w", 60)
        finish_run(db, child.id, 1, RunState.succeeded, headline={"posts": 20.0})
    request_cancel(db, children[-1].id)
    db.flush()
    delete_run(db, children[-1].id)
    db.flush()
    groups = {
        g.columns["spec.posts_per_shard"]: g
        for g in list_groups(db, ALL, Paging(columns=("spec.posts_per_shard",))).items
    }
    assert groups[100].warning == ""
    assert groups[200].warning == "4 of 5 seeds and splits: 1 deleted or archived"
    assert groups[100].name == "Sweep over seed, posts_per_shard: posts_per_shard 100"


def test_evaluations_of_pretrainings_that_differ_by_seed_are_one_group(db: Session) -> None:
    data = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}

    def made(stage: str, spec: dict[str, Any], **inputs: tuple[Any, str]) -> Any:
        refs = {role: InputRef(run=run.id, artifact=artifact) for role, (run, artifact) in inputs.items()}
        return create_run(db, RunCreate(stage=stage, spec=spec, inputs=refs), None)

    posts, other = made("ingest", data), made("ingest", {**data, "seed": 1})
    trained = [
        made("pretrain", {"seed": s, "objective": "moco-v2", "batch": 256}, posts=(posts, "posts"))
        for s in (0, 1)
    ]
    slower = made("pretrain", {"objective": "moco-v2", "batch": 256, "base_lr": 0.3}, posts=(posts, "posts"))
    judged = [
        made("evaluate", {}, checkpoint=(run, "checkpoint"), dataset=(posts, "evaluation_set"))
        for run in (*trained, slower)
    ]
    assert trained[0].group_key == trained[1].group_key != slower.group_key
    assert judged[0].group_key == judged[1].group_key != judged[2].group_key
    assert judged[0].replicate != judged[1].replicate
    elsewhere = made("evaluate", {}, checkpoint=(trained[0], "checkpoint"), dataset=(other, "evaluation_set"))
    assert elsewhere.group_key != judged[0].group_key, "another generated data set is other data"
    again = made(
        "evaluate",
        {"splits": {"seed": 7, "count": 3}},
        checkpoint=(trained[0], "checkpoint"),
        dataset=(posts, "evaluation_set"),
    )
    assert again.group_key == judged[0].group_key
    halved = made(
        "evaluate",
        {"splits": {"train": 0.5}},
        checkpoint=(trained[0], "checkpoint"),
        dataset=(posts, "evaluation_set"),
    )
    assert halved.group_key != judged[0].group_key, "other shares are another protocol"


def kept(db: Session, run_id: Any) -> dict[str, tuple[Any, ...]]:
    rows = (
        db.query(MetricLatest)
        .filter(MetricLatest.run_id == run_id)
        .order_by(MetricLatest.key)
        .populate_existing()
    )
    return {r.key: (r.step, r.value, r.min, r.min_step, r.max, r.max_step, r.at_best) for r in rows}


def test_what_a_curve_comes_to_does_not_depend_on_how_its_points_came(db: Session) -> None:
    rng = np.random.default_rng(1)
    curve = [("val_accuracy", s, float(v)) for s, v in enumerate(rng.integers(0, 9, 40))]
    curve += [("train_loss", s, float(v)) for s, v in enumerate(rng.normal(size=40))]
    curve += [("train_loss", 40, math.nan), ("val_accuracy", 41, math.inf)]
    points = [Point(k, s, v, None, NOW) for k, s, v in curve]
    found = []
    for order in range(4):
        run = add_run(db, state="running", lease_until=NOW, token=1)
        shuffled = list(points)
        if order:
            rng.shuffle(shuffled)  # type: ignore[arg-type]
        for start in range(0, len(shuffled), 7):
            append(db, run.id, 1, shuffled[start : start + 7])
            # Told again, once as it was and once with another value, which history does not take either.
            append(db, run.id, 1, shuffled[start : start + 3])
            wrong = [Point(p.key, p.step, p.value + 100, None, NOW) for p in shuffled[: start + 3]]
            append(db, run.id, 1, wrong)
        found.append(kept(db, run.id))
    assert all(str(f) == str(found[0]) for f in found)
    accuracy = [v for k, _, v in curve if k == "val_accuracy" and math.isfinite(v)]
    best = int(np.argmax(accuracy))
    loss = {s: v for k, s, v in curve if k == "train_loss"}
    assert found[0]["val_accuracy"][2:] == (
        min(accuracy),
        int(np.argmin(accuracy)),
        max(accuracy),
        best,
        max(accuracy),
    )
    assert found[0]["train_loss"][6] == loss[best]
    assert found[0]["train_loss"][0] == 40
