"""Start, find and stop server processes on this machine."""

import atexit
import fcntl
import os
import pwd
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from vise_core.errors import ViseError

LOG_LIMIT_BYTES = 10 * 2**20


class ServerError(ViseError):
    """An embedded server did not start, or its folder is in use."""


@dataclass(frozen=True)
class Server:
    """An embedded server. ``stop`` ends it cleanly and may be called more than once."""

    url: str
    pid: int
    running: Callable[[], bool]
    stop: Callable[[], None]


@dataclass(frozen=True)
class Account:
    """The unprivileged account that a server runs as when we are root."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return the account `nobody` if we are root, else None. PostgreSQL refuses to run as root.

    `nobody` exists everywhere, so nothing is added to the system.
    """
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def let_others_pass(path: Path) -> None:
    """Add the search permission (never read) for other accounts to ``path`` and the folders above it."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)


def let_others_read(tree: Path) -> None:
    """Make programs and libraries below ``tree`` readable for other accounts, after an installation with a strict umask."""
    for path in (tree, *tree.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        readable = mode | stat.S_IROTH
        if mode & stat.S_IXUSR:
            readable |= stat.S_IXOTH
        if readable != mode:
            path.chmod(readable)


def lock_folder(folder: Path) -> IO[str]:
    """Lock ``folder`` for this process; the kernel releases the lock when the process ends. Raises ServerError if locked."""
    handle = (folder / "lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise ServerError(f"{folder} is in use by another running process: stop that one first") from None
    return handle


def open_log(path: Path) -> IO[bytes]:
    """Open a log to append to, for this account only; one above the size limit is renamed first."""
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    # One of an earlier version, or one that was copied.
    path.chmod(0o600)
    return path.open("ab")


def spawn(
    command: Sequence[str | Path], log: Path, cwd: Path, account: Account | None
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, so that a Ctrl-C in our terminal reaches only us."""
    with open_log(log) as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def find_server(pid_file: Path, program: str, cwd: Path) -> psutil.Process | None:
    """Return the live process named in ``pid_file``, if it is ``program`` working in ``cwd``; else None."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = process.name() == program and Path(process.cwd()).resolve() == cwd.resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if ours and process.status() != psutil.STATUS_ZOMBIE else None


def is_running(process: subprocess.Popen[bytes]) -> bool:
    """Return True if the process has not ended."""
    return process.poll() is None


def end(
    process: psutil.Process | subprocess.Popen[bytes], ladder: Sequence[tuple[signal.Signals, float]]
) -> None:
    """End a process: send each signal of ``ladder`` in turn, and wait that many seconds for the exit."""
    for number, seconds in ladder:
        try:
            process.send_signal(number)
            process.wait(seconds)
        except psutil.NoSuchProcess:
            return
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
        return


def stopper(
    process: subprocess.Popen[bytes],
    ladder: Sequence[tuple[signal.Signals, float]],
    after: Callable[[], None],
) -> Callable[[], None]:
    """Return the ``stop`` of a `Server`: it ends ``process``, then calls ``after`` once.

    It also runs when this process exits, but not in processes forked from it.
    """
    owner, stopped = os.getpid(), threading.Event()

    def stop() -> None:
        if stopped.is_set() or os.getpid() != owner:
            return
        stopped.set()
        end(process, ladder)
        after()
        atexit.unregister(stop)

    atexit.register(stop)
    return stop


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a file; empty where there is none."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], seconds: float) -> bool:
    """Poll ``ready`` until it holds, the process is gone or the time is up; True if it became ready."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and alive():
        if ready():
            return True
        time.sleep(0.05)
    return False
