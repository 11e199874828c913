"""The guardian of a stage: the process between worker and stage, which leaves no process of the stage behind.

It forks the stage and adopts all processes that the stage starts (data loaders, trainers), also those whose parent has
died. When the stage ends, or the worker is killed, it kills them all. It exits as the stage exited.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable

import psutil

from backend.settings import settings
from vise_core.priority import lower_priority

KILL, SUSPEND, RESUME = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
"""Signals that a guardian applies to all processes of its stage. Linux sends KILL when the worker dies."""
WATCHED = {KILL, SUSPEND, RESUME, signal.SIGTERM, signal.SIGCHLD}
PARENT_DIED, ADOPT = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """On Linux, have this process sent a signal when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DIED, number)


def guard(run: Callable[[], int], environment: dict[str, str]) -> None:
    """Run a function in a process of its own, with this environment and low priority, and exit with its exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    os.setsid()
    # By way of the fork server, which dies with the worker: a run must never have two processes.
    die_with_parent(KILL)
    worker = multiprocessing.parent_process()
    if worker is None or not worker.is_alive():
        os._exit(1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ADOPT, 1)
    guardian = os.getpid()
    stage = os.fork()
    if stage == 0:
        die_with_parent()
        if os.getppid() != guardian:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        os.environ.clear()
        os.environ.update(environment)
        lower_priority(settings().run_niceness)
        sys.exit(run())
    code = _watch(stage)
    _kill_all()
    if code < 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(guardian, -code)
    sys.exit(code)


def _watch(stage: int) -> int:
    """Pass signals on to the stage until it ends; return its exit code, negative for a signal."""
    while True:
        number = signal.sigwait(WATCHED)
        if number == signal.SIGTERM:
            os.kill(stage, signal.SIGTERM)
        elif number == KILL:
            return -signal.SIGKILL
        elif number in (SUSPEND, RESUME):
            _send_all(signal.SIGSTOP if number == SUSPEND else signal.SIGCONT)
        elif (code := _reap(stage)) is not None:
            return code


def _reap(stage: int | None) -> int | None:
    """Collect all processes that have ended; return the exit code of the stage if it is among them."""
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == stage:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        pass
    return code


def _kill_all() -> None:
    while _send_all(signal.SIGKILL):
        time.sleep(0.01)
        _reap(None)


def _send_all(number: signal.Signals) -> int:
    """Send a signal to all descendants; return how many there are."""
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    return len(descendants)
