"""Cluster and label over real shards: what the labels are, and that nothing but the posts decides them."""

import json
import multiprocessing
import os
import random
import shutil
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

from vise_core.engagement.clusterer import Clusterer
from vise_core.engagement.label import shuffle_labels
from vise_core.errors import BadCheckpoint, BadInput, Stopped
from vise_core.files.hashing import tree_sha256
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.compute import DataCompute
from vise_core.specs.label import LabelSpec
from vise_core.stage import run_stage

SPEC = ClusterSpec.model_validate(
    {"subset": {"cluster_fraction": 0.4}, "comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
)


def cluster(folder: Path, out: Path, spec: ClusterSpec = SPEC) -> LocalReporter:
    reporter = LocalReporter(out / "artifacts")
    run_stage("cluster", spec, {"posts": folder}, out / "work", reporter)
    return reporter


def label(folder: Path, clusterer: Path, out: Path, **spec: object) -> tuple[Path, dict[str, dict]]:
    """(labels folder, {post id: row})."""
    reporter = LocalReporter(out / "artifacts")
    inputs = {"posts": folder, "clusterer": clusterer}
    run_stage("label", LabelSpec.model_validate(spec), inputs, out / "work", reporter)
    rows = [
        r
        for f in sorted(reporter.artifacts["labels"].glob("*.parquet"))
        for r in pq.read_table(f).to_pylist()
    ]
    return reporter.artifacts["labels"], {row["post_id"]: row for row in rows}


@pytest.fixture(scope="module")
def shards(posts, write_shards) -> Path:
    return write_shards(posts, 50)


@pytest.fixture(scope="module")
def clusterer(shards, tmp_path_factory) -> Path:
    return cluster(shards, tmp_path_factory.mktemp("cluster")).artifacts["clusterer"]


def test_each_pass_over_the_comments_is_told(shards, tmp_path) -> None:
    reporter = cluster(shards, tmp_path)
    told = reporter.curves["inertia/comments"]
    assert list(told) == list(range(1, len(told) + 1))
    values = list(told.values())
    assert all(later <= earlier for earlier, later in pairwise(values))
    assert list(reporter.curves["inertia/reactions"].values())[-1] >= 0


def test_a_gpu_that_is_not_there_is_refused(shards, tmp_path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(BadInput, match="no GPU"):
        cluster(shards, tmp_path, SPEC.model_copy(update={"compute": DataCompute(device="cuda")}))


def test_clustering_stops_between_two_passes(shards, tmp_path) -> None:
    class Asked(LocalReporter):
        def should_stop(self) -> bool:
            return "inertia/comments" in self.curves

    reporter = Asked(tmp_path / "artifacts")
    with pytest.raises(Stopped):
        run_stage("cluster", SPEC, {"posts": shards}, tmp_path / "work", reporter)
    assert len(reporter.curves["inertia/comments"]) == 1


def test_inspection_tells_what_clusters_are_about(shards, tmp_path) -> None:
    reporter = cluster(shards, tmp_path)
    inspection = json.loads(reporter.artifacts["inspection"].read_text())
    assert inspection["synthetic"] is True
    assert sum(c["size"] for c in inspection["comments"]) > 100
    for record in inspection["comments"]:
        words = {term for term, _ in record["terms"]}
        assert any(words & set(comment.split()) for comment in record["comments"])
    moods = {max(c["reactions"], key=c["reactions"].get) for c in inspection["reactions"]}
    assert moods == {"love", "sorry", "angry", "haha"}
    assert all(sum(c["reactions"].values()) == pytest.approx(1, abs=1e-3) for c in inspection["reactions"])


def test_labels_follow_the_rules_of_the_method(posts, shards, clusterer, tmp_path) -> None:
    _, rows = label(shards, clusterer, tmp_path)
    fitted = Clusterer.load(clusterer)
    for post in posts:
        row = rows.get(post.id)
        if in_cluster_subset(post.id, SPEC.subset) or not (post.comments or any(post.reactions)):
            assert row is None, "posts of the cluster subset, and posts without engagement, get no row"
            continue
        assert row is not None
        assert len(row["comment_labels"]) == len(post.comments)
        assert (row["reaction_label"] is None) == (not any(post.reactions))
        assert row["key"] == post.key
        assert row["comment_labels"] == fitted.label([post]).comments[0], "a post's labels depend on it alone"
    moods = {
        n: {rows[p.id]["reaction_label"] for p in posts[n::4] if p.id in rows} - {None} for n in range(4)
    }
    assert [len(found) for found in moods.values()] == [1, 1, 1, 1], "each mood is one reaction cluster here"


@pytest.mark.slow
def test_same_seed_same_bytes_whatever_the_shard_order_and_processes(
    posts, shards, clusterer, tmp_path, write_shards
):
    first, rows = label(shards, clusterer, tmp_path / "one")
    two, _ = label(shards, clusterer, tmp_path / "two", compute={"processes": 2})
    assert tree_sha256(first) == tree_sha256(two)

    mixed = random.Random(1).sample(posts, len(posts))
    other_shards = write_shards(mixed, 37)
    again = cluster(other_shards, tmp_path / "three").artifacts["clusterer"]
    assert tree_sha256(again) == tree_sha256(clusterer)
    assert label(other_shards, again, tmp_path / "four")[1] == rows


@pytest.mark.parametrize("algorithm", ["minibatch", "spherical"])
def test_no_algorithm_minds_the_order_of_shards(posts, shards, write_shards, tmp_path, algorithm) -> None:
    spec = ClusterSpec.model_validate(
        {
            "subset": {"cluster_fraction": 0.4},
            "comments": {"kmeans": {"k": 8, "algorithm": algorithm}},
            "reactions": {"kmeans": {"k": 4, "algorithm": algorithm}},
        }
    )
    other = write_shards(random.Random(3).sample(posts, len(posts)), 61)
    one, two = (
        cluster(folder, tmp_path / name, spec).artifacts["clusterer"]
        for folder, name in ((shards, "one"), (other, "two"))
    )
    assert tree_sha256(one) == tree_sha256(two)


def test_labelling_goes_on_after_a_kill(shards, clusterer, tmp_path) -> None:
    whole, _ = label(shards, clusterer, tmp_path / "whole")
    child = multiprocessing.get_context("spawn").Process(
        target=_label_two_and_die, args=(shards, clusterer, tmp_path / "killed")
    )
    child.start()
    child.join()
    assert child.exitcode == -9
    state = tmp_path / "killed" / "work" / "state"
    assert sorted(p.name for p in state.glob("*.json")) == ["shard-000000.json", "shard-000001.json"]

    resumed, _ = label(shards, clusterer, tmp_path / "killed")

    assert tree_sha256(resumed) == tree_sha256(whole)


class _DiesAfterTwo(LocalReporter):
    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        if (done, unit) == (2, "shards"):
            state = self.folder.parent / "work" / "state"
            (state / "shard-000002.parquet").write_bytes(b"half a fi")
            os.kill(os.getpid(), signal.SIGKILL)


def _label_two_and_die(shards: Path, clusterer: Path, out: Path) -> None:
    inputs = {"posts": shards, "clusterer": clusterer}
    run_stage("label", LabelSpec(), inputs, out / "work", _DiesAfterTwo(out / "artifacts"))


def test_stopping_keeps_what_is_done(shards, clusterer, tmp_path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped, match="1 of 5 shards"):
        run_stage(
            "label", LabelSpec(), {"posts": shards, "clusterer": clusterer}, tmp_path / "work", reporter
        )
    assert (tmp_path / "work" / "state" / "shard-000000.json").exists()


def test_shuffled_engagement_keeps_every_label_and_moves_most(shards, clusterer, tmp_path) -> None:
    _, rows = label(shards, clusterer, tmp_path / "a")
    folder, shuffled = label(shards, clusterer, tmp_path / "b", shuffle_engagement=True)
    assert shuffled.keys() == rows.keys()

    def labels(table: dict) -> Counter:
        return Counter((tuple(r["comment_labels"]), r["reaction_label"]) for r in table.values())

    assert labels(shuffled) == labels(rows)
    moved = sum(shuffled[p]["comment_labels"] != rows[p]["comment_labels"] for p in rows)
    assert moved > 0.7 * len(rows)
    assert json.loads((folder / "labels.json").read_text())["shuffled"] is True


def test_the_shuffle_does_not_depend_on_shards() -> None:
    rows = [
        {"post_id": f"p{n}", "key": str(n), "comment_labels": [n], "reaction_label": None} for n in range(20)
    ]
    whole = shuffle_labels([pa.Table.from_pylist(rows)], seed=4)[0].to_pylist()
    parts = shuffle_labels([pa.Table.from_pylist(rows[12:]), pa.Table.from_pylist(rows[:12])], seed=4)
    assert sorted((r for p in parts for r in p.to_pylist()), key=str) == sorted(whole, key=str)


def test_too_small_a_subset_is_explained(posts, write_shards, tmp_path) -> None:
    few = write_shards(posts[:6], 10)
    with pytest.raises(BadInput, match="cluster_fraction"):
        cluster(
            few,
            tmp_path,
            SPEC.model_copy(update={"subset": SPEC.subset.model_copy(update={"cluster_fraction": 1e-9})}),
        )


def _cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _replace_indices(path, value) -> None:
    matrix = sparse.load_npz(path)
    matrix.indices[0] = value
    sparse.save_npz(path, matrix)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"PK not really"),
        lambda path: path.write_bytes(b""),
        _cut,
        lambda path: _replace_indices(path, 2**30),
        lambda path: _replace_indices(path, -5),
        lambda path: sparse.save_npz(path, sparse.csr_matrix((10**6, 10**6))),
    ],
    ids=["not a zip", "empty", "truncated", "index too large", "negative index", "huge shape"],
)
def test_a_damaged_clusterer_is_refused(clusterer, tmp_path, damage) -> None:
    import shutil

    broken = shutil.copytree(clusterer, tmp_path / "clusterer")
    damage(broken / "comment_centroids.npz")
    with pytest.raises(BadCheckpoint, match="cluster again"):
        Clusterer.load(broken)


def test_another_clusterer_in_the_same_folder_is_loaded_anew(shards, clusterer, tmp_path) -> None:
    """In one process, and though its files have the dates of the one before."""
    folder = tmp_path / "clusterer"
    shutil.copytree(clusterer, folder)
    first, _ = label(shards, folder, tmp_path / "first")
    centroids = np.load(folder / "reaction_centroids.npy")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    np.save(folder / "reaction_centroids.npy", centroids[::-1])
    for path, time in times.items():
        os.utime(path, ns=(time, time))
    second, _ = label(shards, folder, tmp_path / "second")
    assert tree_sha256(first) != tree_sha256(second)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.slow
def test_excluded_posts_have_no_label_and_are_counted(shards, clusterer, tmp_path, processes) -> None:
    _, whole = label(shards, clusterer, tmp_path / "whole")
    some = sorted(whole)[:3]
    (tmp_path / "ids.txt").write_text("\n".join([*some, "no such post"]))
    reporter = LocalReporter(tmp_path / "artifacts")
    inputs = {"posts": shards, "clusterer": clusterer, "exclude": tmp_path / "ids.txt"}
    spec = LabelSpec(compute=DataCompute(processes=processes))
    result = run_stage("label", spec, inputs, tmp_path / "work", reporter)
    rows = [
        row
        for file in sorted(reporter.artifacts["labels"].glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]
    # All others have the labels that they had.
    assert {row["post_id"]: row for row in rows} == {k: v for k, v in whole.items() if k not in some}
    assert (result.posts, result.excluded, result.exclude_unmatched) == (len(whole) - 3, 3, 1)
    assert result.headline()["excluded"] == 3
    assert "exclude" in result.provenance.inputs
    assert any("1 ids of the input exclude match no post" in message for message in reporter.messages)
