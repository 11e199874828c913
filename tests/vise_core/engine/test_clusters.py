"""Clusters that a host's settings name: what is refused before any work, and why."""

import multiprocessing  # noqa: F401 - processes are started: see tests/conftest.py
from pathlib import Path

import pytest

from tests.vise_core.engine import work
from tests.vise_core.engine.certificates import Certificates, certify, dask_cluster
from vise_core import engine as room
from vise_core.engine import Inline, clusters, dask_engine, engine
from vise_core.errors import BadInput, ClusterLost
from vise_core.specs.compute import EngineCompute

CLUSTER = EngineCompute(engine="cluster")


def nothing() -> None:
    """There is nothing to poll."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certify(tmp_path_factory.mktemp("certificates") / "ours")


def test_one_process_needs_no_dask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with engine(EngineCompute(), tmp_path, (), nothing) as used:
        assert isinstance(used, Inline)
    with (
        pytest.raises(BadInput, match=r"pip install 'vise-studio\[cluster\]'"),
        engine(EngineCompute(processes=2), tmp_path, (), nothing),
    ):
        pass


def refused(tmp_path: Path, compute: EngineCompute = CLUSTER) -> str:
    """Why the engine does not start."""
    with pytest.raises(BadInput) as caught, engine(compute, tmp_path, (), nothing):
        pass
    return str(caught.value)


def test_a_host_without_a_cluster_says_so(tmp_path: Path) -> None:
    assert "set VISE_DASK_SCHEDULER" in refused(tmp_path)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.7:8786", "tcp://scheduler:8786", "10.0.0.7:8786", "ws://[::1]:1"]
)
def test_without_tls_only_loopback_is_accepted(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISE_DASK_SCHEDULER", address)
    for compute in (CLUSTER, EngineCompute()):
        assert "give a tls:// address" in refused(tmp_path, compute)


def test_missing_certificates_are_named(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISE_DASK_SCHEDULER", "tls://10.0.0.7:8786")
    assert "VISE_DASK_CA must name a PEM file" in refused(tmp_path)
    monkeypatch.setenv("VISE_DASK_CA", str(certificates.ca))
    monkeypatch.setenv("VISE_DASK_CERTIFICATE", str(certificates.certificate))
    monkeypatch.setenv("VISE_DASK_KEY", str(tmp_path / "no such key"))
    assert "VISE_DASK_KEY must name a PEM file" in refused(tmp_path)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1"])
def test_a_scheduler_that_does_not_answer_may_answer_later(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
    monkeypatch.setenv("VISE_DASK_SCHEDULER", address)
    with pytest.raises(ClusterLost, match="does not answer"), engine(CLUSTER, tmp_path, (), nothing):
        pass


@pytest.mark.slow
def test_who_may_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with our certificates and software may, and workers that see its files; nobody else."""
    folder = tmp_path / "dask"
    folder.mkdir()
    with dask_cluster(folder) as cluster:
        for name, value in cluster.settings.items():
            monkeypatch.setenv(name, value)
        with engine(CLUSTER, tmp_path, (), nothing) as used:
            assert sorted(used.finished(work.double, range(5), work.name)) == [0, 2, 4, 6, 8]
            used.surroundings.paths[0].unlink()
            with pytest.raises(
                BadInput, match="put VISE_WORK and the data on a file system that all hosts mount"
            ):
                list(used.finished(work.double, [1], work.name))
        other = {"git_commit": None, "packages": {"numpy": "1.0"}}
        monkeypatch.setattr(dask_engine.provenance, "software", lambda: other)
        with (
            engine(EngineCompute(), tmp_path, (), nothing) as used,
            pytest.raises(BadInput, match=r"has numpy .*, the run's host 1\.0"),
        ):
            list(used.finished(work.double, [1], work.name))
        monkeypatch.undo()
        for name, value in cluster.settings.items():
            monkeypatch.setenv(name, value)
        with engine(CLUSTER, tmp_path, (), nothing) as used:
            for worker in cluster.workers:
                worker.kill()
                worker.wait()
            monkeypatch.setattr(dask_engine, "IDLE_SECONDS", 1)
            with pytest.raises(ClusterLost, match="has no workers"):
                list(used.finished(work.double, [1], work.name))
        foreign = certify(tmp_path / "foreign")
        monkeypatch.setattr(clusters, "CONNECT_SECONDS", 2)
        for name, value in (cluster.settings | {"VISE_DASK_CA": str(foreign.ca)}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises((BadInput, ClusterLost)), engine(CLUSTER, tmp_path, (), nothing):
            pass
