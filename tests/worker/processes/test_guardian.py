"""The guardian of a stage leaves no process of it behind, and a stage does not outlive its guardian."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from worker.guardian import KILL, guard

IDLE = "import time; time.sleep(600)"
FORK = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}], start_new_session=True)"


def stage(folder: Path, ends: bool) -> int:
    """Start a process in a session of its own, whose parent is dead, then end or wait."""
    subprocess.run([sys.executable, "-c", FORK], check=True)
    (folder / "pid").write_text(str(os.getpid()))
    if not ends:
        time.sleep(600)
    return 7


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def guarded(
    folder: Path, *, ends: bool
) -> Iterator[tuple[multiprocessing.process.BaseProcess, list[psutil.Process]]]:
    """(guardian, the stage and what it has started)."""
    environment = dict(os.environ) | {"VISE_TEST_STAGE": str(folder)}
    process = multiprocessing.get_context("spawn").Process(
        target=guard, args=(partial(stage, folder, ends), environment)
    )
    process.start()
    processes: list[psutil.Process] = []
    try:
        if not ends:
            until(
                lambda: (
                    len(psutil.Process(process.pid).children(recursive=True)) == 2
                    and (folder / "pid").exists()
                )
            )
            processes = psutil.Process(process.pid).children(recursive=True)
        yield process, processes
    finally:
        for left in [p for p in processes if p.is_running()]:
            left.kill()
        process.kill()
        process.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the settings of a process need; nothing is reached through it."""
    for name in ("DATABASE", "BROKER", "STORAGE"):
        monkeypatch.setenv(f"VISE_{name}_URL", "nowhere://")


def dead(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def orphans(folder: Path) -> list[psutil.Process]:
    """Processes that this folder's stage has started and that are left, by the folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("VISE_TEST_STAGE") == str(folder) and not dead(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_nothing_is_left_of_a_stage_that_ends(tmp_path: Path) -> None:
    with guarded(tmp_path, ends=True) as (guardian, _):
        guardian.join(60)
        left = orphans(tmp_path)
        for process in left:
            process.kill()
        assert (guardian.exitcode, left) == (7, [])


def test_nothing_is_left_of_a_stage_that_is_killed_through_its_guardian(tmp_path: Path) -> None:
    with guarded(tmp_path, ends=False) as (guardian, processes):
        os.kill(guardian.pid or 0, KILL)
        guardian.join(60)
        assert all(map(dead, processes))


def test_a_stage_ends_with_a_guardian_that_is_killed(tmp_path: Path) -> None:
    with guarded(tmp_path, ends=False) as (guardian, processes):
        (own,) = [p for p in processes if p.pid == int((tmp_path / "pid").read_text())]
        guardian.kill()
        until(lambda: dead(own))


def test_no_stage_begins_without_a_worker(tmp_path: Path) -> None:
    code = (
        "import os; from worker.guardian import guard; "
        "guard(lambda: print('began', flush=True) or 0, dict(os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
