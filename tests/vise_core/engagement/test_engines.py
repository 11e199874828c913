"""Cluster and label by several processes and on a Dask cluster: the bytes of one process, whichever of them die."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vise_core.engine import stage_work
from tests.vise_core.engine.certificates import DaskCluster, dask_cluster
from vise_core.engagement import label as label_stage
from vise_core.engagement.clustering import distributed
from vise_core.errors import ClusterLost, WorkerKilled
from vise_core.files.hashing import tree_sha256
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.compute import DataCompute
from vise_core.specs.label import LabelSpec
from vise_core.stage import run_stage

pytestmark = [pytest.mark.processes, pytest.mark.slow]

SPEC = ClusterSpec.model_validate(
    {"subset": {"cluster_fraction": 0.4}, "comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
)
SHARDS = 16
TWO = DataCompute(engine="local", processes=2)
CLUSTER = DataCompute(engine="cluster")


def cluster(posts: Path, out: Path, compute: DataCompute) -> str:
    """Digest of the clusterer."""
    reporter = LocalReporter(out / "artifacts")
    spec = SPEC.model_copy(update={"compute": compute})
    run_stage("cluster", spec, {"posts": posts}, out / "work", reporter)
    return tree_sha256(reporter.artifacts["clusterer"])


def label(
    inputs: dict[str, Path], out: Path, compute: DataCompute, reporter: LocalReporter | None = None
) -> str:
    """Digest of the labels."""
    reporter = reporter or LocalReporter(out / "artifacts")
    run_stage("label", LabelSpec(compute=compute), inputs, out / "work", reporter)
    return tree_sha256(reporter.artifacts["labels"])


@pytest.fixture(scope="module")
def shards(posts, write_shards) -> Path:
    return write_shards(posts, len(posts) // SHARDS)


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], str, str]:
    """Inputs of label, and the digests of the clusterer and the labels that one process makes."""
    out = tmp_path_factory.mktemp("alone")
    clusterer = cluster(shards, out / "cluster", DataCompute())
    inputs = {"posts": shards, "clusterer": out / "cluster" / "artifacts" / "clusterer"}
    return inputs, clusterer, label(inputs, out / "label", DataCompute())


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as started:
        yield started


@pytest.fixture
def compute(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DataCompute:
    """Few rows a block, so that each pass has many."""
    monkeypatch.setattr(distributed, "BLOCK_ROWS", 30)
    if request.param == CLUSTER:
        for name, value in request.getfixturevalue("dask").settings.items():
            monkeypatch.setenv(name, value)
    return request.param


@pytest.mark.parametrize(
    "compute", [DataCompute(processes=3), CLUSTER], indirect=True, ids=["three", "cluster"]
)
def test_any_engine_makes_the_same_bytes(alone, compute: DataCompute, tmp_path: Path) -> None:
    inputs, clusterer, labels = alone
    assert cluster(inputs["posts"], tmp_path / "cluster", compute) == clusterer
    assert label(inputs, tmp_path / "label", compute) == labels
    assert not list((tmp_path / "label" / "work").glob(".engine-*"))


@pytest.mark.parametrize("compute", [TWO, CLUSTER], indirect=True, ids=["two", "cluster"])
def test_a_process_killed_inside_a_pass_changes_no_byte(
    alone, compute: DataCompute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "assign_block", stage_work.assign_or_die)
    assert cluster(alone[0]["posts"], tmp_path, compute) == alone[1]
    assert (tmp_path / "work" / "killed").exists()


@pytest.mark.parametrize("compute", [TWO], indirect=True, ids=["two"])
def test_a_shard_that_kills_each_process_is_named_and_the_others_are_kept(
    alone, compute: DataCompute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, _, labels = alone
    saves = Saves(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(label_stage, "label_shard", stage_work.label_or_die)
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "deadly").touch()
        with pytest.raises(WorkerKilled, match=r"shard-000003\.tar: every process"):
            label(inputs, tmp_path, compute, saves)
    assert (tmp_path / "work" / "killed").exists(), "shard 2 killed one process and was labelled by another"
    assert saved_shards(tmp_path) == set(range(SHARDS)) - {3}
    assert label(inputs, tmp_path, compute) == labels


class Saves(LocalReporter):
    """Keeps each state in ``saved``, as a worker does in its storage; dies after some shards, if told to."""

    dies_after = 0

    def __init__(self, out: Path) -> None:
        super().__init__(out / "artifacts")

    def checkpoint(self, path: Path) -> None:
        saved = self.folder.parent / "saved"
        shutil.rmtree(saved, ignore_errors=True)
        shutil.copytree(path, saved, ignore=shutil.ignore_patterns(".*"))
        if self.dies_after and len(saved_shards(self.folder.parent)) == self.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)


def saved_shards(out: Path) -> set[int]:
    return {int(path.stem.removeprefix("shard-")) for path in (out / "saved").glob("shard-*.json")}


def _label_five_and_die(inputs: dict[str, Path], out: Path) -> None:
    reporter = Saves(out)
    reporter.dies_after = 5
    label(inputs, out, DataCompute(), reporter)


def test_the_next_holder_labels_only_what_the_killed_one_has_not(alone, tmp_path: Path) -> None:
    inputs, _, labels = alone
    first, second = tmp_path / "first", tmp_path / "second"
    child = multiprocessing.get_context("spawn").Process(target=_label_five_and_die, args=(inputs, first))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(saved_shards(first)) == 5
    # Another host has the saved state, and nothing else.
    shutil.copytree(first / "saved", second / "work" / "state")
    reporter = Counts(second / "artifacts")
    assert label(inputs, second, DataCompute(), reporter) == labels
    assert reporter.shards == list(range(6, SHARDS + 1)), "11 shards"


class Counts(LocalReporter):
    """Notes each shard that is finished."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shards: list[float] = []

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        if phase == "labelling":
            self.shards.append(done)


def test_a_run_whose_scheduler_is_killed_goes_on_later(
    alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, _, labels = alone
    with dask_cluster(tmp_path) as lost:
        for name, value in lost.settings.items():
            monkeypatch.setenv(name, value)

        class Kills(LocalReporter):
            def progress(self, *_: object, **__: object) -> None:
                lost.scheduler.kill()

        with monkeypatch.context() as patch:
            patch.setattr(label_stage, "label_shard", stage_work.label_slowly)
            with pytest.raises(ClusterLost, match="is gone"):
                label(inputs, tmp_path / "out", CLUSTER, Kills(tmp_path / "artifacts"))
    monkeypatch.delenv("VISE_DASK_SCHEDULER")
    reporter = Counts(tmp_path / "out" / "artifacts")
    assert label(inputs, tmp_path / "out", DataCompute(), reporter) == labels
    assert reporter.shards[0] > 1, "what was finished is not labelled again"
