"""Evaluations that read texts, over HTTP: what they need, and that they make no model."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from backend.api.app import PREFIX
from backend.store.database import connect, session_factory
from backend.store.runs.tables import Run

TEXT_ONLY = {"task": {"kind": "hateful_memes"}, "setup": "text", "optimizer": "adamw"}


@pytest.fixture
def evaluation(editor, settings):
    """Makes a run of the stage evaluate on sample memes; ``ended`` writes down that it has succeeded."""
    tasks = editor.post(f"{PREFIX}/runs", json={"stage": "sample_tasks", "spec": {}}).json()
    inputs = {"dataset": {"run": tasks["id"], "artifact": "hateful_memes"}}

    def make(spec: dict, *, ended: bool = False):
        made = editor.post(f"{PREFIX}/runs", json={"stage": "evaluate", "spec": spec, "inputs": inputs})
        if ended:
            engine = connect(settings.database_url)
            with session_factory(engine).begin() as db:
                run = db.get(Run, UUID(made.json()["id"]))
                run.state, run.result, run.finished_at = (
                    "succeeded",
                    {"setup": spec["setup"]},
                    datetime.now(UTC),
                )
            engine.dispose()
        return made

    return make


def test_text_alone_needs_no_checkpoint_and_no_encoder(evaluation) -> None:
    made = evaluation(TEXT_ONLY)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["spec"]["setup"]) == ("waiting", "text")
    with_image = evaluation(TEXT_ONLY | {"setup": "image+text-frozen"})
    assert [e["field"] for e in with_image.json()["errors"]] == ["inputs.checkpoint"]


def test_a_setup_that_does_not_fit_is_refused_by_a_sentence(evaluation) -> None:
    refused = evaluation(TEXT_ONLY | {"optimizer": "sgd"})
    assert refused.status_code == 422
    assert "is trained with adamw" in refused.json()["errors"][0]["message"]
    other = evaluation(TEXT_ONLY | {"task": {"kind": "cub"}})
    assert "needs a task whose images come with texts" in other.json()["errors"][0]["message"]


def test_what_reads_texts_makes_no_model_and_explains_no_image(editor, evaluation) -> None:
    run = evaluation(TEXT_ONLY, ended=True).json()
    refused = editor.post(f"{PREFIX}/models", json={"run_id": run["id"], "name": "memes"})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == "run_id"
    assert "models predict from images alone" in error["message"]

    inputs = {
        "predictor": {"run": run["id"], "artifact": "predictor"},
        "dataset": {"run": run["inputs"]["dataset"]["run"], "artifact": "hateful_memes"},
    }
    refused = editor.post(f"{PREFIX}/runs", json={"stage": "explain", "spec": {}, "inputs": inputs})
    assert [e["field"] for e in refused.json()["errors"]] == ["inputs.predictor.artifact"]
