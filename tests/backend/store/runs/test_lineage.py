"""Lineage: what a run comes from and what was made of it, over several steps, and no more than is asked for."""

from uuid import UUID, uuid4

import pytest

from backend.store.errors import NotFound
from backend.store.registry.tables import Artifact, Dataset, Model
from backend.store.runs import lineage as module
from backend.store.runs.create import create_recipe, create_run
from backend.store.runs.lineage import lineage
from backend.store.runs.read import view_run
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_client.schemas.lineage import Lineage

SAMPLE = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}


def make(db, stage: str, spec: dict | None = None, **inputs: tuple[UUID, str]) -> UUID:
    refs = {role: {"run": run, "artifact": artifact} for role, (run, artifact) in inputs.items()}
    body = {"stage": stage, "name": stage, "spec": spec or {}, "inputs": refs}
    return create_run(db, RunCreate.model_validate(body), None).id


@pytest.fixture
def chain(db) -> dict[str, UUID]:
    """Data → clusterer → labels → checkpoint → evaluation → model, and a run beside it."""
    posts = make(db, "ingest", SAMPLE)
    clusterer = make(db, "cluster", posts=(posts, "posts"))
    labels = make(db, "label", posts=(posts, "posts"), clusterer=(clusterer, "clusterer"))
    pretrain = make(db, "pretrain", posts=(posts, "posts"), labels=(labels, "labels"))
    evaluate = make(
        db,
        "evaluate",
        {"task": {"kind": "unbiased_emotion"}, "weights": {"kind": "pretrained"}},
        dataset=(posts, "evaluation_set"),
        checkpoint=(pretrain, "checkpoint"),
    )
    beside = make(db, "cluster", {"seed": 1}, posts=(posts, "posts"))
    artifact = Artifact(
        run_id=evaluate, name="predictor", sha256="0" * 64, size=0, files=0, folder=True, manifest=[]
    )
    db.add(artifact)
    db.flush()
    model = Model(
        name="best",
        run_id=evaluate,
        artifact_id=artifact.id,
        method="VisE",
        task="unbiased_emotion",
        backbone="resnet18",
        classes=[],
        headline={},
        synthetic=True,
    )
    db.add(model)
    db.flush()
    return {
        "posts": posts,
        "clusterer": clusterer,
        "labels": labels,
        "pretrain": pretrain,
        "evaluate": evaluate,
        "beside": beside,
        "model": model.id,
    }


def edges(found: Lineage, names: dict[str, UUID]) -> set[tuple[str, str, str]]:
    name = {i: n for n, i in names.items()}
    return {(name[e.source], name[e.target], e.artifact) for e in found.edges}


def test_the_whole_chain_is_seen_from_its_middle_without_what_lies_beside_it(db, chain) -> None:
    graph = lineage(db, chain["labels"])
    assert {node.id for node in graph.nodes} == {i for n, i in chain.items() if n != "beside"}
    assert edges(graph, chain) == {
        ("posts", "clusterer", "posts"),
        ("posts", "labels", "posts"),
        ("clusterer", "labels", "clusterer"),
        ("posts", "pretrain", "posts"),
        ("labels", "pretrain", "labels"),
        ("posts", "evaluate", "evaluation_set"),
        ("pretrain", "evaluate", "checkpoint"),
        ("evaluate", "model", "predictor"),
    }
    assert not graph.truncated
    assert [n.kind for n in graph.nodes].count("model") == 1


def test_from_one_end_one_sees_all_that_follows(db, chain) -> None:
    assert {node.id for node in lineage(db, chain["posts"]).nodes} == set(chain.values())
    assert {node.id for node in lineage(db, chain["beside"]).nodes} == {chain["beside"], chain["posts"]}


def test_a_data_set_is_a_node(db) -> None:
    dataset = Dataset(name="photos", kind="images", folder="photos")
    db.add(dataset)
    db.flush()
    body = {
        "stage": "evaluate",
        "spec": {"task": {"kind": "unbiased_emotion"}, "weights": {"kind": "random"}},
        "inputs": {"dataset": {"dataset": dataset.id}},
    }
    run_id = create_run(db, RunCreate.model_validate(body), None).id
    graph = lineage(db, run_id)
    assert {(n.kind, n.name) for n in graph.nodes} == {("dataset", "photos"), ("run", "Evaluate")}
    assert [(e.source, e.target, e.artifact) for e in graph.edges] == [(dataset.id, run_id, "data set")]


def test_of_a_recipe_it_is_that_of_its_steps(db) -> None:
    recipe = create_recipe(db, RecipeCreate(recipe="sample"), None).id
    children = {child.id for child in view_run(db, recipe).children}
    assert {node.id for node in lineage(db, recipe).nodes} == children


def test_it_is_bounded_and_says_so(db, chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NODES", 3)
    graph = lineage(db, chain["posts"])
    assert graph.truncated
    assert len([n for n in graph.nodes if n.kind == "run"]) == 3


def test_a_run_that_is_not_there(db) -> None:
    with pytest.raises(NotFound):
        lineage(db, uuid4())
