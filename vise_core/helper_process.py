"""Processes that read untrusted files for this one, with limits: a hostile file ends its process, and nothing else.

A module with a class of ``HelperProcess`` has a function ``serve(parent, …)``, which is the main function of the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO


class HelperProcess:
    """A process that runs ``serve`` of a module; it has no settings and no credentials of this process.

    ``arguments``: further arguments of ``serve``; ``environment``: all that the process has of it.
    """

    def __init__(self, module: str, environment: Mapping[str, str], *arguments: object) -> None:
        given = ", ".join(map(repr, (os.getpid(), *arguments)))
        code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import serve; serve({given})"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._write: IO[bytes] = self._process.stdin
        self._read: IO[bytes] = self._process.stdout

    def end(self) -> int:
        """Close the pipes, kill the process if it does not end, and return its exit code."""
        self.forget()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def forget(self) -> None:
        """Close the pipes."""
        for pipe in (self._write, self._read):
            with suppress(OSError):
                pipe.close()


def begin_serving(parent: int, memory: int) -> tuple[IO[bytes], IO[bytes]]:
    """Return the streams of requests and responses; bound the memory, and end this process once its parent is gone.

    ``memory``: bytes in addition to what the process has. It is the first to be killed where the host has none left.
    """
    import resource

    read, write = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints does not reach the responses.
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return read, write


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, also in the midst of a file."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
