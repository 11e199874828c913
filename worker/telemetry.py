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

from backend.store.errors import StaleToken, in_words
from backend.store.metrics import points as metrics
from backend.store.metrics.points import SYSTEM, Point
from backend.store.runs.states.lease import Claim

from .context import Context

log = logging.getLogger("vise.worker")
Gpus = Callable[[], dict[str, float]]


@contextmanager
def watch(context: Context, claim: Claim, pid: int) -> Iterator[None]:
    """Sample a process and its descendants at intervals until the block ends.

    A point's step is the time in whole seconds since the run was first claimed; it grows over attempts and pauses.
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
                log.warning("run %s: telemetry sample not written: %s", claim.run_id, in_words(error))

    thread = threading.Thread(target=sample, name="telemetry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        # Not for as long as a database takes to respond: the end of the run is to be recorded.
        thread.join(1)


class ProcessTree:
    """Measures CPU and memory of a process and its descendants; empty once the process is gone.

    ``cpu_percent``: since the last call; 100 is one busy core. ``memory_bytes``: sum of the resident sets, so that
    shared memory counts in each process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._spent: dict[int, float] = {}
        self._at = time.monotonic()
        self()

    def __call__(self) -> dict[str, float]:
        try:
            root = psutil.Process(self._pid)
            processes = [root, *root.children(recursive=True)]
        except psutil.Error:
            return {}
        spent, memory = {}, 0
        for process in processes:
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
    """Return a function that measures utilisation and memory of this worker's GPUs; needs NVML (nvidia-ml-py)."""
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
    except Exception as error:  # no package, driver or GPU: each raises its own class
        log.info("no GPU telemetry: %s", error)
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
