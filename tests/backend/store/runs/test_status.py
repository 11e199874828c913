"""What a run is said to be doing: honest where its worker is silent, gone, or was never there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from backend.store.errors import in_words
from backend.store.runs import logs, workers
from backend.store.runs.create import create_sweep
from backend.store.runs.read import view_run
from backend.store.runs.run_list import RunFilter, list_runs
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.states.reconcile import reconcile
from backend.store.runs.tables import Run
from tests.backend.run_rows import add_run
from vise_client.schemas.launch import SweepCreate
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunStatus


def said(db: Session, name: str) -> RunStatus:
    db.flush()
    db.expire_all()
    (run,) = list_runs(db, RunFilter(query=f'name = "{name}"', nested=True)).items
    return run.status


def held(db: Session, silent: float, worker: str = "gpu-1", **values: Any) -> None:
    """A running run whose worker sent its last heartbeat ``silent`` seconds ago, with a lease of 15 s."""
    heard = datetime.now(UTC) - timedelta(seconds=silent)
    fields = {"state": "running", "worker": worker, "attempt": 1, "started_at": heard}
    add_run(db, name="it", heartbeat_at=heard, lease_until=heard + timedelta(seconds=15), **(fields | values))


def test_a_run_at_work_says_on_whom_and_when_that_was_heard_of(db: Session) -> None:
    held(db, silent=3, attempt=2)
    status = said(db, "it")
    assert (status.label, status.sentence) == ("running", "on gpu-1, attempt 2")
    assert status.heartbeat_seconds == pytest.approx(3, abs=2.5)


def test_a_silent_worker_that_beats_is_a_stalled_run(db: Session) -> None:
    workers.beat(db, "gpu-1", ["gpu"], "cuda:0", None)
    held(db, silent=45)
    status = said(db, "it")
    assert status.label == "stalled"
    assert status.sentence.startswith(
        "gpu-1 is running but does not renew its lease on this run, last heartbeat 4"
    )
    assert [r.name for r in list_runs(db, RunFilter(query="stalled")).items] == ["it"]


def test_a_run_whose_worker_is_gone_is_lost_and_then_in_line_with_the_reason(db: Session) -> None:
    held(db, silent=200)
    status = said(db, "it")
    assert status.label == "lost"
    assert "gpu-1 is gone, last heartbeat 3 min" in status.sentence
    result = reconcile(db, max_attempts=5, republish_seconds=60, prediction_timeout_seconds=60)
    assert result.requeued == 1
    workers.beat(db, "gpu-2", ["gpu"], "cuda:0", None)
    status = said(db, "it")
    assert status.label == "queued"
    assert status.sentence.endswith("; the lease of gpu-1 expired")


def test_queued_without_a_worker_says_so_and_how_to_start_one(db: Session) -> None:
    add_run(db, name="it", state="queued", queue="gpu")
    workers.beat(db, "cpu-1", ["cpu", "predict"], "cpu", None)
    status = said(db, "it")
    assert status.label == "no worker"
    assert "no worker serves the queue gpu: start one with vise worker --queues gpu" in status.sentence
    other = add_run(db, name="busy", state="running")
    workers.beat(db, "gpu-1", ["gpu"], "cuda:0", other.id)
    status = said(db, "it")
    assert status.label == "queued"
    assert status.sentence.endswith(", its worker is busy")


def test_a_waiting_run_names_the_runs_that_it_waits_for(db: Session) -> None:
    done, going = add_run(db, name="posts"), add_run(db, name="labels", state="running")
    add_run(db, name="it", state="waiting", depends_on=[done.id, going.id])
    status = said(db, "it")
    assert status.sentence == "waits for labels (running)"
    assert [(ref.id, ref.name) for ref in status.waits_for] == [(going.id, "labels")]


def test_a_failed_run_carries_its_reason_and_the_end_of_its_traceback(db: Session) -> None:
    error = "Traceback\n" + "x\n" * 2000 + "ValueError: row 3"
    began = datetime.now(UTC) - timedelta(minutes=5)
    ended = began + timedelta(seconds=125)
    add_run(
        db, name="it", state="failed", reason="row 3 is bad", error=error, started_at=began, finished_at=ended
    )
    status = said(db, "it")
    assert (status.label, status.sentence) == ("failed", "took 2 min 5 s; row 3 is bad")
    assert status.traceback is not None
    assert status.traceback.endswith("ValueError: row 3")
    assert len(status.traceback) <= 1500


def test_a_parent_counts_its_steps_and_says_where_one_stalls(db: Session) -> None:
    base = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}
    body = {"spec": {"stage": "ingest", "base": base, "grid": {"seed": [0, 1, 2]}}, "name": "sweep"}
    sweep = create_sweep(db, SweepCreate.model_validate(body), None)
    first, second, _ = view_run(db, sweep.id).children
    claim_run(db, first.id, "w", 60)
    finish_run(db, first.id, 1, RunState.succeeded)
    claim_run(db, second.id, "w", -5)
    status = said(db, "sweep")
    assert (status.label, status.sentence) == ("stalled", "1 of 3 done, 1 running, 1 stalled")


def test_a_strange_file_name_never_loses_a_result_nor_a_reason(db: Session) -> None:
    held(db, silent=1, token=1)
    run = db.query(Run).one()
    name = "joy/caf\udce9\0.png"
    logs.append(db, run.id, 1, [(datetime.now(UTC), "warning", f"{name}: truncated")])
    finish_run(db, run.id, 1, RunState.failed, reason=f"{name}: truncated", error=f"Traceback: {name}")
    db.flush()
    db.expire_all()
    assert run.reason == r"joy/caf\xe9\x00.png: truncated"
    assert run.error == r"Traceback: joy/caf\xe9\x00.png"
    assert logs.read(db, run.id)[0].message == r"joy/caf\xe9\x00.png: truncated"


def test_the_reason_of_a_failed_statement_shows_no_sql(db: Session) -> None:
    with pytest.raises(DataError) as failed:
        add_run(db, name="a\0b")
    assert "INSERT" in str(failed.value)
    assert in_words(failed.value).startswith("a value cannot be stored: ")
    assert "INSERT" not in in_words(failed.value)
    assert in_words(ValueError("no class\nnamed joy")) == "ValueError: no class\nnamed joy"
