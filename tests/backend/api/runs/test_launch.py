"""Before a launch: every problem at its field, what fits an input, and what it would take."""

from sqlalchemy import text

from backend.api.app import PREFIX
from backend.store.database import connect, session_factory
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Run
from vise_core.specs.estimate import NO_RUN_YET
from vise_core.specs.stages import STAGES, validate_spec


def succeeded(
    settings,
    stage: str,
    *,
    spec=None,
    result=None,
    artifact: str = "",
    name: str = "",
    inputs=None,
    content: str = "0",
) -> str:
    """A run that is over, as a worker would have left it."""
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        run = Run(
            kind="stage",
            stage=stage,
            name=name or stage,
            state="succeeded",
            queue="cpu",
            spec=validate_spec(stage, spec or {}).model_dump(mode="json"),
            result=result or {},
            inputs=inputs or {},
        )
        db.add(run)
        db.flush()
        if artifact:
            db.add(
                Artifact(
                    run_id=run.id,
                    name=artifact,
                    sha256=content * 64,
                    size=1000,
                    files=1,
                    folder=True,
                    manifest=[],
                )
            )
        run_id = str(run.id)
    engine.dispose()
    return run_id


def validate(api, stage: str, **draft):
    response = api.post(f"{PREFIX}/stages/{stage}/validate", json=draft)
    assert response.status_code == 200, response.text
    return response.json()


def problems(api, stage: str, **draft) -> dict[str, str]:
    return {one["field"]: one["message"] for one in validate(api, stage, **draft)["problems"]}


def test_every_wrong_field_is_named_at_once(editor) -> None:
    spec = {"epochs": 0, "base_lr": "fast", "decay": {"kind": "steps", "milestones": [0.6, 0.3]}, "colour": 1}
    errors = problems(editor, "pretrain", spec=spec)
    assert set(errors) == {"spec.epochs", "spec.base_lr", "spec.decay.milestones", "spec.colour"}
    assert "greater than or equal to 1" in errors["spec.epochs"]
    assert "rise" in errors["spec.decay.milestones"]


def test_the_tag_of_a_union_is_no_field(editor) -> None:
    errors = problems(editor, "ingest", spec={"source": {"kind": "sample", "posts": 1}})
    assert list(errors) == ["spec.source.posts"]


def test_what_the_spec_needs_as_input_is_asked_for(editor) -> None:
    assert set(problems(editor, "pretrain", spec={})) == {"inputs.posts", "inputs.labels"}
    moco = {"objective": "moco-v2", "batch": 256}
    assert set(problems(editor, "pretrain", spec=moco)) == {"inputs.posts"}
    random = {"weights": {"kind": "random"}}
    assert set(problems(editor, "evaluate", spec=random)) == {"inputs.dataset"}


def test_what_is_still_to_be_chosen_is_not_called_wrong(editor) -> None:
    draft = {"spec": {"epochs": 0}, "grid": {"base_lr": []}}
    errors = validate(editor, "pretrain", **draft)["problems"]
    assert {one["field"]: one["missing"] for one in errors} == {"spec.epochs": False, "grid.base_lr": True}
    errors = validate(editor, "pretrain")["problems"]
    assert {one["field"]: one["missing"] for one in errors} == {"inputs.labels": True, "inputs.posts": True}


def test_an_input_that_does_not_fit_is_told_beside_it(editor, settings) -> None:
    posts = succeeded(settings, "ingest", artifact="posts")
    wrong = {"posts": {"run": posts, "artifact": "report"}}
    assert "takes posts" in problems(editor, "cluster", inputs=wrong)["inputs.posts"]


def test_labels_fit_the_posts_that_they_were_made_from_and_no_others(editor, settings) -> None:
    mine = succeeded(settings, "ingest", artifact="posts", name="spring posts")
    same = succeeded(settings, "ingest", artifact="posts", name="spring posts, again")
    other = succeeded(settings, "ingest", artifact="posts", name="autumn posts", content="1")
    made_from = {"posts": {"run": mine, "artifact": "posts"}}
    labels = succeeded(settings, "label", artifact="labels", name="labels of spring", inputs=made_from)

    def inputs(posts: str) -> dict:
        return {"posts": {"run": posts, "artifact": "posts"}, "labels": {"run": labels, "artifact": "labels"}}

    assert problems(editor, "pretrain", inputs=inputs(mine)) == {}
    assert problems(editor, "pretrain", inputs=inputs(same)) == {}, "the same bytes"
    told = problems(editor, "pretrain", inputs=inputs(other))
    assert told == {
        "inputs.posts": "are not those that 'labels of spring' labelled: take those of 'spring posts'"
    }
    refused = editor.post(f"{PREFIX}/runs", json={"stage": "pretrain", "inputs": inputs(other)})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "inputs.posts"


def test_an_unknown_stage_is_not_found(editor) -> None:
    assert editor.post(f"{PREFIX}/stages/dream/validate", json={}).status_code == 404


def test_a_sound_draft_has_memory_and_disk_but_no_time_before_anything_ran(editor, settings) -> None:
    posts = succeeded(settings, "ingest", result={"posts": 900}, artifact="posts")
    labels = succeeded(settings, "label", result={"posts": 800}, artifact="labels")
    inputs = {"posts": {"run": posts, "artifact": "posts"}, "labels": {"run": labels, "artifact": "labels"}}
    check = validate(
        editor, "pretrain", spec={"backbone": "resnet18", "batch": 8, "epochs": 2}, inputs=inputs
    )
    assert check["problems"] == []
    assert check["estimate"]["work"] == "800 posts × 2 epochs"
    assert check["estimate"]["time"] == []
    assert check["estimate"]["time_note"] == NO_RUN_YET
    assert check["estimate"]["disk"]["kept"] == 4 * 11_176_512

    done = {"posts": 400, "provenance": {"wall_seconds": 40, "device": "cpu (x86_64)"}}
    run = succeeded(settings, "pretrain", spec={"backbone": "resnet18", "batch": 8, "epochs": 1}, result=done)
    again = validate(
        editor, "pretrain", spec={"backbone": "resnet18", "batch": 8, "epochs": 2}, inputs=inputs
    )
    (time,) = again["estimate"]["time"]
    # 1,600 images at the 10 a second of the run before.
    assert (time["seconds"], time["runs"]) == (160, [run])


def test_a_sweep_is_counted_and_its_values_are_checked(editor) -> None:
    grid = {"source.posts": [100, 200], "posts_per_shard": [10, 20, 30]}
    check = validate(editor, "ingest", spec={"source": {"kind": "sample"}}, grid=grid)
    assert (check["runs"], check["problems"]) == (6, [])
    assert check["estimate"]["work"] == "6 runs"
    errors = problems(
        editor, "ingest", spec={"source": {"kind": "sample"}}, grid={"posts_per_shard": [10, -1]}
    )
    assert list(errors) == ["grid.posts_per_shard"]
    sample = {"source": {"kind": "sample"}}
    assert list(problems(editor, "ingest", spec=sample, grid={"seed": []})) == ["grid.seed"]
    wide = {"seed": list(range(100)), "posts_per_shard": list(range(1, 100))}
    assert "9,900 points" in problems(editor, "ingest", spec=sample, grid=wide)["grid"]


def test_what_fits_an_input_is_found_by_name_newest_first(editor, settings) -> None:
    old = succeeded(settings, "ingest", artifact="posts", name="spring posts")
    new = succeeded(settings, "ingest", artifact="posts", name="autumn posts")
    succeeded(settings, "ingest", name="without an artifact")

    def found(**query):
        rows = editor.get(f"{PREFIX}/inputs", params=query).json()
        return [row["ref"]["run"] for row in rows]

    assert found(artifact=["posts"]) == [new, old]
    assert found(artifact=["posts"], search="SPRING") == [old]
    assert found(artifact=["posts"], limit=1) == [new]
    assert found(artifact=["labels"]) == []
    assert editor.get(f"{PREFIX}/inputs").status_code == 422


def test_a_run_that_is_still_to_succeed_may_be_chosen_and_one_that_failed_may_not(editor, settings) -> None:
    made = editor.post(
        f"{PREFIX}/runs", json={"stage": "ingest", "spec": {"source": {"kind": "sample"}}}
    ).json()
    rows = editor.get(f"{PREFIX}/inputs", params={"artifact": "posts"}).json()
    assert [(row["ref"]["run"], row["state"]) for row in rows] == [(made["id"], "queued")]
    engine = connect(settings.database_url)
    with engine.begin() as db:
        db.execute(text("UPDATE runs SET state = 'failed'"))
    engine.dispose()
    assert editor.get(f"{PREFIX}/inputs", params={"artifact": "posts"}).json() == []


def test_the_catalogue_says_every_default(editor) -> None:
    for stage in editor.get(f"{PREFIX}/stages").json():
        assert validate_spec(stage["name"], stage["defaults"]) == STAGES[stage["name"]].spec()
