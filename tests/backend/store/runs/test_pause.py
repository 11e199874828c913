"""Pausing and resuming: what rests, what follows, and what becomes of a recipe."""

from uuid import UUID

import pytest

from backend.store.errors import Conflict
from backend.store.runs.create import create_recipe, create_run
from backend.store.runs.delete import delete_run
from backend.store.runs.read import get_run, list_events, view_run
from backend.store.runs.states.cancel import request_cancel, stop_run
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run, renew_lease
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_client.schemas.run_states import RunState

SAMPLE = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}


def ingest(db) -> UUID:
    return create_run(db, RunCreate(stage="ingest", spec=SAMPLE), None).id


def cluster_of(db, source: UUID) -> UUID:
    inputs = {"posts": {"run": source, "artifact": "posts"}}
    return create_run(db, RunCreate.model_validate({"stage": "cluster", "inputs": inputs}), None).id


def state(db, run_id: UUID) -> str:
    db.expire_all()
    return get_run(db, run_id).state


def succeed(db, run_id: UUID) -> None:
    claim = claim_run(db, run_id, "w", 60)
    assert claim is not None
    finish_run(db, run_id, claim.token, RunState.succeeded, result={}, headline={})


def test_a_queued_run_is_paused_at_once_and_no_worker_can_take_it(db) -> None:
    run_id = ingest(db)
    assert request_pause(db, run_id).state == "paused"
    assert claim_run(db, run_id, "w", 60) is None
    assert resume_run(db, run_id).state == "queued"
    assert [e.to_state for e in list_events(db, run_id)] == ["queued", "paused", "queued"]
    assert claim_run(db, run_id, "w", 60) is not None


def test_a_running_run_is_paused_when_its_worker_has_stopped(db) -> None:
    run_id = ingest(db)
    claim = claim_run(db, run_id, "w", 60)
    assert claim is not None
    assert request_pause(db, run_id).state == "pausing"
    assert renew_lease(db, run_id, claim.token, 60) is RunState.pausing
    with pytest.raises(Conflict, match="still saving"):
        resume_run(db, run_id)
    assert stop_run(db, run_id, claim.token, "state saved") is not None
    assert state(db, run_id) == "paused"
    assert renew_lease(db, run_id, claim.token, 60) is None, "it holds nothing any more"


def test_what_waits_for_a_paused_run_waits_and_goes_on_with_it(db) -> None:
    source = ingest(db)
    waiting = cluster_of(db, source)
    request_pause(db, source)
    assert state(db, waiting) == "waiting"
    resume_run(db, source)
    succeed(db, source)
    assert state(db, waiting) == "queued"


def test_a_paused_run_does_not_start_by_itself_when_its_input_comes(db) -> None:
    source = ingest(db)
    paused = cluster_of(db, source)
    assert request_pause(db, paused).state == "paused"
    succeed(db, source)
    assert state(db, paused) == "paused"
    assert resume_run(db, paused).state == "queued"


def test_a_paused_run_falls_with_what_it_reads_from(db) -> None:
    source = ingest(db)
    paused = cluster_of(db, source)
    request_pause(db, paused)
    request_cancel(db, source)
    assert state(db, paused) == "cancelled"


@pytest.mark.parametrize("end", ["succeeded", "cancelled"])
def test_what_is_over_is_not_paused_and_what_is_not_paused_is_not_resumed(db, end: str) -> None:
    run_id = ingest(db)
    with pytest.raises(Conflict, match="only a paused run"):
        resume_run(db, run_id)
    if end == "succeeded":
        succeed(db, run_id)
    else:
        request_cancel(db, run_id)
    with pytest.raises(Conflict, match="only one that waits or runs"):
        request_pause(db, run_id)


def test_a_paused_run_can_be_cancelled_and_then_deleted(db) -> None:
    run_id = ingest(db)
    request_pause(db, run_id)
    with pytest.raises(Conflict, match="cancel it first"):
        delete_run(db, run_id)
    assert request_cancel(db, run_id).state == "cancelled"
    delete_run(db, run_id)


def test_a_recipe_rests_when_its_last_step_does_and_goes_on_where_it_was(db) -> None:
    recipe = create_recipe(db, RecipeCreate(recipe="sample"), None).id
    steps = {child.step: child.id for child in view_run(db, recipe).children}
    claim = claim_run(db, steps["posts"], "w", 60)
    assert claim is not None
    assert request_pause(db, recipe).state == "pausing"
    assert state(db, steps["cluster"]) == "paused"
    stop_run(db, steps["posts"], claim.token, "state saved")
    assert state(db, recipe) == "paused"

    assert resume_run(db, recipe).state == "running"
    assert state(db, steps["posts"]) == "queued"
    assert {state(db, steps[name]) for name in steps if name != "posts"} == {"waiting"}
    succeed(db, steps["posts"])
    assert state(db, steps["cluster"]) == "queued"


def test_a_recipe_that_is_paused_runs_again_when_one_of_its_steps_is_resumed(db) -> None:
    recipe = create_recipe(db, RecipeCreate(recipe="sample"), None).id
    posts = view_run(db, recipe).children[0].id
    request_pause(db, recipe)
    assert state(db, recipe) == "paused"
    resume_run(db, posts)
    assert state(db, recipe) == "running"
    assert request_cancel(db, recipe).state == "cancelled"
