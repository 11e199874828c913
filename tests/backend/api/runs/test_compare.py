"""Runs as columns over HTTP; lineage; the log, filtered and whole."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from backend.api.app import PREFIX
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.runs import logs
from vise_client.schemas.run_states import RunState

sys.path.insert(0, str(Path(__file__).parents[3] / "vise_core" / "report"))
from results import evaluation

from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from tests.backend.run_rows import add_run

SAMPLE = {"kind": "sample", "posts": 20, "evaluation_images": 60}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def create(api, seed: int, posts: int = 20) -> UUID:
    spec = {"source": SAMPLE | {"posts": posts}, "seed": seed}
    return UUID(api.post(f"{PREFIX}/runs", json={"stage": "ingest", "spec": spec}).json()["id"])


@pytest.fixture
def finished(editor):
    """Makes a finished run with these latest metrics and headline."""

    def make(seed: int, posts: int, loss: float, accuracy: float) -> UUID:
        run_id = create(editor, seed, posts)
        with editor.app.state.sessions.begin() as db:
            claim = claim_run(db, run_id, "w", 60)
            assert claim is not None
            metrics.append(db, run_id, claim.token, [Point("loss", s, loss, None, NOW) for s in range(3)])
            metrics.append(db, run_id, claim.token, [Point("system/cpu_percent", 1, 50.0, None, NOW)])
            finish_run(
                db, run_id, claim.token, RunState.succeeded, result={}, headline={"accuracy": accuracy}
            )
        return run_id

    return make


def test_columns_have_the_order_asked_for_and_say_what_differs(editor, finished) -> None:
    ids = [finished(seed, posts, posts / 100, 0.5) for seed, posts in ((0, 20), (1, 40), (2, 30))]
    gone = uuid4()
    body = {"run_ids": [str(i) for i in (ids[2], ids[0], gone, ids[1])], "metric": "loss"}
    response = editor.post(f"{PREFIX}/runs/compare", json=body).json()
    assert [r["id"] for r in response["runs"]] == [str(ids[i]) for i in (2, 0, 1)]
    assert response["missing"] == [str(gone)]
    columns = {p["path"]: p for p in response["parameters"]}
    assert columns["source.posts"] == {"path": "source.posts", "differs": True, "values": [30, 20, 40]}
    assert columns["posts_per_shard"]["differs"] is False
    assert {p for p, c in columns.items() if c["differs"]} == {"source.posts", "seed"}
    assert response["metrics"] == {"loss": [0.3, 0.2, 0.4], "accuracy": [0.5, 0.5, 0.5]}
    assert response["curves"] == ["loss"], "the machine's curves are not among them"
    (posts, *_) = response["importance"]
    assert (posts["path"], posts["rank_correlation"], posts["runs"]) == ("source.posts", 1.0, 3)


@pytest.fixture
def evaluated(editor):
    """Puts a succeeded evaluation into the database."""

    def make(lr: float, score: float, **facts: object) -> UUID:
        with editor.app.state.sessions.begin() as db:
            result = evaluation("A", [score, score], **facts).model_dump(mode="json")
            run = add_run(db, spec={"base_lrs": [lr]}, headline={"test_accuracy": score}, result=result)
            run.result = result
            return run.id

    return make


def test_importance_is_over_evaluations_of_the_same_data_and_splits(editor, evaluated) -> None:
    # On each of two data sets the score rises with the rate; together it would seem to fall.
    cats = [evaluated(lr, score, data="cats") for lr, score in ((3.0, 10.0), (4.0, 11.0), (5.0, 12.0))]
    dogs = [evaluated(lr, score, data="dogs") for lr, score in ((0.1, 90.0), (0.2, 91.0))]
    other = evaluated(0.3, 95.0, data="cats", draw="seed 1")
    body = {"run_ids": [str(i) for i in (*dogs, *cats, other)], "metric": "test_accuracy"}
    response = editor.post(f"{PREFIX}/runs/compare", json=body).json()
    assert response["importance_over"] == [str(i) for i in cats]
    (rate,) = [each for each in response["importance"] if each["path"].startswith("base_lrs")]
    assert (rate["runs"], rate["variance_share"]) == (3, None)
    told = response["not_compared"]
    assert len(told) == 2
    assert "other images (100 each) than" in told[0]
    assert str(other)[-4:] in told[1]


def test_evaluations_of_the_same_data_are_compared_without_a_word(editor, evaluated) -> None:
    # One of them reads the texts of the same images, too.
    ids = [str(evaluated(lr, 10.0, **facts)) for lr, facts in ((0.1, {}), (0.2, {"texts": "captions"}))]
    response = editor.post(f"{PREFIX}/runs/compare", json={"run_ids": ids, "metric": "test_accuracy"}).json()
    assert (response["not_compared"], response["importance_over"]) == ([], ids)


def test_what_runs_read_from_is_a_parameter_too(editor) -> None:
    sources = [create(editor, seed) for seed in (0, 1)]
    clusters = [
        editor.post(
            f"{PREFIX}/runs",
            json={"stage": "cluster", "inputs": {"posts": {"run": str(source), "artifact": "posts"}}},
        ).json()["id"]
        for source in sources
    ]
    response = editor.post(f"{PREFIX}/runs/compare", json={"run_ids": clusters}).json()
    (differs,) = [p for p in response["parameters"] if p["differs"]]
    assert differs["path"] == "inputs.posts"
    assert differs["values"] == [f"Ingest ({str(source)[-4:]})" for source in sources]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"run_ids": []}, "run_ids"),
        ({"run_ids": ["00000000-0000-0000-0000-000000000000"] * 101}, "run_ids"),
        ({"run_ids": ["00000000-0000-0000-0000-000000000000"], "metric": "beauty"}, "metric"),
    ],
)
def test_what_is_wrong_is_named(editor, body, field) -> None:
    response = editor.post(f"{PREFIX}/runs/compare", json=body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_lineage_over_http(editor) -> None:
    run_id = create(editor, 0)
    response = editor.get(f"{PREFIX}/runs/{run_id}/lineage").json()
    assert [(n["kind"], n["id"], n["state"]) for n in response["nodes"]] == [("run", str(run_id), "queued")]
    assert editor.get(f"{PREFIX}/runs/{uuid4()}/lineage").status_code == 404


@pytest.fixture
def logged(editor) -> UUID:
    """A run whose log has 12,000 lines: every hundredth a warning, one error."""
    run_id = create(editor, 0)
    lines = [(NOW, "warning" if n % 100 == 0 else "info", f"step {n}: 50% done") for n in range(12_000)]
    lines[7777] = (NOW, "error", "Out of MEMORY _at_ last")
    with editor.app.state.sessions.begin() as db:
        claim = claim_run(db, run_id, "w", 60)
        assert claim is not None
        logs.append(db, run_id, claim.token, lines)
    return run_id


def test_the_log_is_filtered_by_level_and_text_on_the_server(editor, logged) -> None:
    def found(**query) -> list[str]:
        response = editor.get(f"{PREFIX}/runs/{logged}/logs", params=query)
        assert response.status_code == 200, response.text
        return [line["message"] for line in response.json()]

    assert found(level="error") == ["Out of MEMORY _at_ last"]
    assert len(found(level="warning", limit=5000)) == 121
    assert found(search="memory _AT_") == ["Out of MEMORY _at_ last"]
    assert found(search="50% done", after=-1, limit=2) == ["step 11998: 50% done", "step 11999: 50% done"]
    assert found(search="5_% done") == [], "signs of patterns are plain signs"
    assert editor.get(f"{PREFIX}/runs/{logged}/logs", params={"search": "\0"}).status_code == 422
    last = editor.get(f"{PREFIX}/runs/{logged}/logs", params={"after": -1, "limit": 1}).json()[0]["id"]
    assert found(before=last, limit=2) == ["step 11997: 50% done", "step 11998: 50% done"]
    assert editor.get(f"{PREFIX}/runs/{logged}/logs", params={"level": "loud"}).status_code == 422


def test_the_whole_log_can_be_had_as_text(editor, logged) -> None:
    response = editor.get(f"{PREFIX}/runs/{logged}/logs/download")
    lines = response.text.splitlines()
    assert len(lines) == 12_000
    assert lines[7777] == "2026-01-01T00:00:00.000+00:00 error Out of MEMORY _at_ last"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert f'filename="{logged}.log"' in response.headers["content-disposition"]
    assert editor.get(f"{PREFIX}/runs/{uuid4()}/logs/download").status_code == 404
