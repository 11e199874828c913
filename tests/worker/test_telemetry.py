"""What a run asks of its machine is measured while it runs, and does not mix with what it says itself."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from backend.store.metrics import points as metrics
from vise_client.schemas.metrics import MetricQuery
from vise_client.schemas.run_states import RunState
from worker import telemetry
from worker.telemetry import ProcessTree

BUSY = "import time\nx = bytearray(64 * 2**20)\nx[::4096] = b'1' * len(x[::4096])\nwhile True: pass"


def test_a_busy_process_and_its_child_are_seen_and_a_dead_one_is_not() -> None:
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    parent = subprocess.Popen([sys.executable, "-c", command], start_new_session=True)
    try:
        measure = ProcessTree(parent.pid)
        deadline = time.monotonic() + 30
        while (values := measure())["memory_bytes"] < 64 * 2**20 or values["cpu_percent"] < 5:
            assert time.monotonic() < deadline, values
            time.sleep(0.5)
        assert values["cpu_percent"] < 150, "one of them works, on one core"
    finally:
        import os
        import signal

        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
    assert measure() == {}


def test_a_run_s_machine_is_drawn_beside_its_own_curves(running) -> None:
    run_id = running.create(spec={"steps": 20, "pause": 0.2})
    run = running.wait_final(run_id)
    assert run.state is RunState.succeeded, (run.reason, run.error)
    assert set(run.latest) == {"count", "square"}
    with running.sessions() as db:
        found = metrics.curves(db, MetricQuery(run_ids=[run_id], prefix=metrics.SYSTEM))
        earliest = db.execute(
            text("SELECT min(step) FROM metric_points WHERE starts_with(key, 'system/')")
        ).scalar_one()
    curves = {curve.key: curve for curve in found}
    assert {"system/cpu_percent", "system/memory_bytes"} <= set(curves)
    assert all(v is not None and v > 10 * 2**20 for v in curves["system/memory_bytes"].values)
    assert 0 <= earliest < 60, "seconds since the run was taken up"


@pytest.mark.parametrize(
    ("visible", "expected"), [(None, [0, 1]), ("1", [1]), ("GPU-b, 0", ["GPU-b", 0]), ("", [])]
)
def test_only_the_gpus_that_the_worker_may_use_are_measured(
    visible: str | None, expected: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML is outside of us, and absent where tests run: a stand-in with two GPUs that answers as it does."""

    class NVMLError(Exception):
        pass

    def utilisation(handle):
        if handle == 0:
            raise NVMLError("not supported")
        return SimpleNamespace(gpu=40)

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetUtilizationRates=utilisation,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=2**30),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    values = telemetry._gpus(visible)()
    known = {f"gpu{n}/utilisation_percent": 40.0 for n, name in enumerate(expected) if name != 0}
    assert {k: v for k, v in values.items() if "utilisation" in k} == known
    assert [k for k in values if k.startswith("gpu") and "memory" not in k] == list(known)


def test_without_nvml_there_are_no_gpu_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert telemetry._gpus(None)() == {}
