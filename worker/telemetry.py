"""Telemetry of a run: CPU and memory of its processes and its GPUs, as metrics under ``system/``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import psutil
from sqlalchemy.exc import SQLAlchemyError

from backend.store.errors import StaleToken
from backend.store.metrics import points as metrics
from backend.store.metrics.points import SYSTEM, Point
from backend.store.runs.states.lease import Claim

from .context import Context

log = logging.getLogger("vise.worker")
Gpus = Callable[[], dict[str, float]]


@contextmanager
def watch(context: Context, claim: Claim, pid: int) -> Iterator[None]:
    """Sample a process and its descendants every few seconds until the block ends.

    The step of a point is the time in whole seconds since the run was first claimed; it grows over attempts and pauses.
    """
    done = threading.Event()

    def sample() -> None:
        measure = ProcessTree(pid)
        gpus = _gpus(context.settings.cuda_visible_devices)
        while not done.wait(context.settings.telemetry_seconds):
            now = datetime.now(UTC)
            values = measure() | gpus()
            if not values:
                return
            step = max(0, int((now - claim.started_at).total_seconds()))
            points = [Point(SYSTEM + key, step, value, None, now) for key, value in values.items()]
            try:
                with context.sessions.begin() as db:
                    metrics.append(db, claim.run_id, claim.token, points)
            except StaleToken:
                return
            except SQLAlchemyError as error:
                log.warning("run %s: a sample of telemetry is missing: %s", claim.run_id, error)

    thread = threading.Thread(target=sample, name="telemetry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class ProcessTree:
    """Measures CPU and memory of a process and its descendants; the CPU since the last call.

    ``cpu_percent``: 100 is one core at work all the time. ``memory_bytes``: sum of the resident sets; what
    processes share counts in each. Empty once the process is gone.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._spent: dict[int, float] = {}
        self._at = time.monotonic()
        self()

    def __call__(self) -> dict[str, float]:
        try:
            root = psutil.Process(self._pid)
            family = [root, *root.children(recursive=True)]
        except psutil.Error:
            return {}
        spent, memory = {}, 0
        for process in family:
            with suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                spent[process.pid] = times.user + times.system
                memory += process.memory_info().rss
        now = time.monotonic()
        used = sum(value - self._spent.get(pid, 0.0) for pid, value in spent.items())
        passed, self._spent, self._at = now - self._at, spent, now
        if memory == 0:
            return {}
        return {"cpu_percent": 100 * max(0.0, used) / max(passed, 1e-6), "memory_bytes": float(memory)}


def _gpus(visible: str | None) -> Gpus:
    """Utilisation and memory of the GPUs that this worker may use; nothing without NVML (package nvidia-ml-py)."""
    try:
        import pynvml

        pynvml.nvmlInit()
        names = (
            [name.strip() for name in visible.split(",") if name.strip()]
            if visible is not None
            else [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
        )
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(int(name))
            if name.isdigit()
            else pynvml.nvmlDeviceGetHandleByUUID(name)
            for name in names
        ]
    except Exception as error:  # No package, no driver, no GPU: NVML raises errors of its own for each.
        log.info("no telemetry of GPUs: %s", error)
        return dict

    def measure() -> dict[str, float]:
        values: dict[str, float] = {}
        for number, handle in enumerate(handles):
            with suppress(pynvml.NVMLError):
                values[f"gpu{number}/utilisation_percent"] = float(
                    pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                )
                values[f"gpu{number}/memory_bytes"] = float(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
        return values

    return measure
