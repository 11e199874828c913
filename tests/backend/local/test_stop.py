"""``vise up`` gives its workers time to save the state of their runs."""

import subprocess
import sys
import time

import pytest

from backend.local import up

# Ends some seconds after SIGTERM, as a worker whose stage saves its state.
SAVES = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), sys.exit())); print(flush=True); time.sleep(600)"


@pytest.mark.parametrize(("grace", "saved"), [(4.0, True), (1.0, False)])
def test_a_worker_is_killed_only_after_the_grace_time_of_its_run(
    monkeypatch: pytest.MonkeyPatch, grace: float, saved: bool
) -> None:
    for name in ("DATABASE", "BROKER", "STORAGE"):
        monkeypatch.setenv(f"VISE_{name}_URL", "none")
    monkeypatch.setenv("VISE_CANCEL_GRACE_SECONDS", str(grace))
    monkeypatch.setattr(up, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(up, "END_SECONDS", 1.0)
    popen = subprocess.Popen([sys.executable, "-c", SAVES], stdout=subprocess.PIPE)
    assert popen.stdout is not None
    popen.stdout.readline()
    began = time.monotonic()
    up._stop([up.Process("worker", [], popen=popen)])
    assert time.monotonic() - began < 10
    assert (popen.returncode == 0) is saved
