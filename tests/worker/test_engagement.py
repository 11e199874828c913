"""From posts to expected engagement: a tiny model is really pretrained by a worker, then asked over HTTP."""

import json
import time

import pytest

from backend.api.app import PREFIX
from tests.pictures import encoded
from vise_client.schemas.run_states import RunState
from vise_core.posts.sample import generate_evaluation_image
from vise_core.specs.posts.fields import REACTIONS

STEPS = {
    "posts": {
        "stage": "ingest",
        "spec": {"source": {"kind": "sample", "posts": 120, "evaluation_images": 60, "image_size": 48}},
    },
    "cluster": {
        "stage": "cluster",
        "spec": {
            "subset": {"cluster_fraction": 0.3},
            "comments": {"kmeans": {"k": 8}},
            "reactions": {"kmeans": {"k": 4}},
        },
        "inputs": {"posts": {"step": "posts", "artifact": "posts"}},
    },
    "label": {
        "stage": "label",
        "inputs": {
            "posts": {"step": "posts", "artifact": "posts"},
            "clusterer": {"step": "cluster", "artifact": "clusterer"},
        },
    },
    "pretrain": {
        "stage": "pretrain",
        "spec": {"backbone": "resnet18", "epochs": 1, "batch": 16, "image_size": 32},
        "inputs": {
            "posts": {"step": "posts", "artifact": "posts"},
            "labels": {"step": "label", "artifact": "labels"},
        },
    },
    "moco": {
        "stage": "pretrain",
        "spec": {
            "objective": "moco-v2",
            "backbone": "resnet18",
            "epochs": 1,
            "batch": 16,
            "image_size": 32,
            "moco": {"queue": 32},
        },
        "inputs": {"posts": {"step": "posts", "artifact": "posts"}},
    },
}


def png() -> bytes:
    return encoded(generate_evaluation_image(99, 2, 80)[0], "PNG")


@pytest.mark.timeout(900)
def test_what_people_would_make_of_an_image(api, cluster) -> None:
    before = api.post(f"{PREFIX}/engagement", files={"image": ("x", png())})
    assert before.status_code == 409
    assert "pretrain" in before.json()["detail"]
    cluster.start("run", "--queues", "cpu,gpu", name="runs")
    recipe = api.post(f"{PREFIX}/recipes/runs", json={"spec": {"title": "tiny", "steps": STEPS}}).json()
    done = cluster.wait_final(recipe["id"], 600)
    assert done.state is RunState.succeeded, done.reason
    runs = {child.step: child for child in done.children}

    # MoCo-v2 has no heads for engagement: it is not among them.
    models = api.get(f"{PREFIX}/engagement/models").json()
    assert [(m["run_id"], m["has_terms"], m["synthetic"]) for m in models] == [
        (str(runs["pretrain"].id), True, True)
    ]
    assert models[0]["signals"] == ["comments", "reactions"]
    other = {"run_id": str(runs["moco"].id)}
    refused = api.post(f"{PREFIX}/engagement", files={"image": ("x", png())}, data=other)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "run_id")

    asked = {"run_id": models[0]["run_id"], "top": "3", "wait": "30"}
    response = api.post(f"{PREFIX}/engagement", files={"image": ("x", png())}, data=asked)
    while response.status_code == 202 or response.json().get("state") == "queued":
        time.sleep(0.2)
        response = api.get(f"{PREFIX}/engagement/{response.json()['id']}")
    assert response.status_code == 200, response.text
    view = response.json()
    answer = view["result"]
    assert (view["synthetic"], view["checkpoint_id"]) == (True, models[0]["checkpoint_id"])
    probabilities = [c["probability"] for c in answer["comments"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert answer["comment_mass"] == pytest.approx(sum(probabilities))
    inspection = next(a for a in cluster.view(runs["cluster"].id).artifacts if a.name == "inspection")
    records = json.loads(api.get(f"{PREFIX}/artifacts/{inspection.id}/content").content)
    for told in answer["comments"]:
        assert told["terms"] == records["comments"][told["cluster"]]["terms"]
    by_hand = {
        name: sum(
            p * record["reactions"][name]
            for p, record in zip(answer["reaction_clusters"], records["reactions"], strict=True)
        )
        for name in REACTIONS
    }
    assert answer["reactions"] == pytest.approx(by_hand)

    for data, status in ((b"<svg/>", 415), (b"", 400), (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 422)):
        bad = api.post(f"{PREFIX}/engagement", files={"image": ("x", data)}, data={"wait": "30"})
        assert bad.status_code == status, bad.text
    assert api.get(f"{PREFIX}/engagement/{view['id']}").json()["result"] == answer
    until = time.monotonic() + 20
    while list(cluster.folder.glob("storage/uploads/*")):
        assert time.monotonic() < until, "an upload outlives its question"
        time.sleep(0.05)
