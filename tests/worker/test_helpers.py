"""Workers that help one another with k-means, and what becomes of it when they are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stages

from vise_client.schemas.run_states import RunState
from vise_core.files.hashing import file_sha256
from vise_core.reporter import LocalReporter

if TYPE_CHECKING:
    from bucket import Bucket


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[int, float]]:
    """(digest of the centroids, inertia of each pass) of one process by itself."""
    folder = tmp_path_factory.mktemp("alone")
    reporter = LocalReporter(folder / "artifacts")
    assert stages.fit(stages.FitSpec(), {}, folder, reporter).helped == 0
    return file_sha256(reporter.artifacts["centroids"]), reporter.curves["inertia"]


def check(cluster, run_id, alone) -> None:
    run = cluster.wait_final(run_id, 120)
    assert run.state is RunState.succeeded, (run.reason, run.error)
    digest, inertia = alone
    assert run.artifacts[0].sha256 == digest
    told = {step: value for key, step, value in cluster.points(run_id) if key == "inertia"}
    assert told == inertia, "each pass was counted once"
    assert not list(Path(cluster.folder / "storage").glob("checkpoints/*/*/board/plan"))


@pytest.fixture
def over_bucket(cluster, bucket) -> Bucket:
    """What the cluster stores, boards too, is in this bucket."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    cluster.environment |= settings | {"VISE_STORAGE_URL": "s3://bucket/vise"}
    return bucket


def helped(run) -> bool:
    return run.latest.get("helped", 0) > 0


@pytest.mark.parametrize("killed", ["nobody", "the helper", "the leader"])
def test_two_workers_find_what_one_finds_whoever_is_killed(cluster, alone, killed: str) -> None:
    cluster.start("dispatch", name="dispatch")
    workers = {name: cluster.worker(name) for name in ("one", "two")}
    run_id = cluster.create("fit", spec={"pause": 0.3})
    run = cluster.wait(run_id, lambda run: helped(run) or run.state.final, 120)
    assert helped(run), run.reason
    leader = run.worker
    if killed != "nobody":
        name = leader if killed == "the leader" else next(name for name in workers if name != leader)
        workers[name].send_signal(signal.SIGKILL)
    check(cluster, run_id, alone)
    end = cluster.view(run_id)
    if killed == "the leader":
        assert end.worker != leader
        assert end.attempt >= 2
    if killed == "nobody":
        assert end.result["helped"] > 0


def test_a_board_in_a_bucket_does_as_well_when_the_helper_is_killed(over_bucket, cluster, alone) -> None:
    cluster.start("dispatch", name="dispatch")
    workers = {name: cluster.worker(name) for name in ("one", "two")}
    run_id = cluster.create("fit", spec={"pause": 0.3})
    run = cluster.wait(run_id, lambda run: helped(run) or run.state.final, 120)
    assert helped(run), run.reason
    assert any("/board/rows/" in key for key in list(over_bucket.objects))
    next(process for name, process in workers.items() if name != run.worker).send_signal(signal.SIGKILL)
    check(cluster, run_id, alone)
    assert not any("/board/" in key for key in over_bucket.objects)


def test_a_helper_leaves_for_a_run_that_waits(cluster, alone) -> None:
    cluster.start("dispatch", name="dispatch")
    for name in ("one", "two"):
        cluster.worker(name)
    run_id = cluster.create("fit", spec={"pause": 1.0})
    cluster.wait(run_id, lambda run: helped(run) or run.state.final, 120)
    asked = time.monotonic()
    other = cluster.create(spec={"steps": 2, "pause": 0})
    assert cluster.wait_final(other).state is RunState.succeeded
    assert not cluster.view(run_id).state.final, (
        f"it waited {time.monotonic() - asked:.1f} s for the first to end"
    )
    check(cluster, run_id, alone)
