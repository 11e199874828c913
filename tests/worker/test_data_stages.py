"""Data stages in a worker, on several processes: the artifacts of one process."""

from __future__ import annotations

from uuid import UUID

import pytest

from vise_client.schemas.run_states import RunState

TWO = {"engine": "local", "processes": 2}
SAMPLE = {"kind": "sample", "posts": 120, "evaluation_images": 60, "image_size": 32}
CLUSTER = {
    "subset": {"cluster_fraction": 0.4},
    "comments": {"kmeans": {"k": 6}},
    "reactions": {"kmeans": {"k": 3}},
}


def artifact(run: UUID, name: str) -> dict[str, str]:
    return {"run": str(run), "artifact": name}


@pytest.mark.slow
def test_two_processes_of_a_worker_make_what_one_makes(cluster) -> None:
    cluster.start("dispatch", name="dispatch")
    cluster.worker("one")
    made: list[dict[str, str]] = []
    for compute in ({}, TWO):
        posts = cluster.create("ingest", spec={"source": SAMPLE, "posts_per_shard": 10, "compute": compute})
        clusters = cluster.create(
            "cluster", spec=CLUSTER | {"compute": compute}, inputs={"posts": artifact(posts, "posts")}
        )
        labels = cluster.create(
            "label",
            spec={"compute": compute},
            inputs={"posts": artifact(posts, "posts"), "clusterer": artifact(clusters, "clusterer")},
        )
        runs = [cluster.wait_final(run) for run in (posts, clusters, labels)]
        assert [(run.state, run.reason) for run in runs] == [(RunState.succeeded, None)] * 3
        made.append({a.name: a.sha256 for run in runs for a in run.artifacts})
    assert made[0] == made[1]
    assert made[0].keys() >= {"posts", "clusterer", "inspection", "labels"}
