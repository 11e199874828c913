"""Search files for posts in processes with limits of memory and time: a hostile file ends its process, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from .holding import Searched, Wanted, search_file

MEMORY_BYTES: Final = 2**30
SECONDS: Final = 120.0
BYTES_PER_SECOND: Final = 500_000
"""A process is killed after ``SECONDS``, and a second more for so many bytes of the file."""


class Searcher:
    """Searches files for posts; may be used by several threads, each with a process of its own. Close it with ``with``."""

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = sorted(ids)
        self._unused: list[_Process] = []
        self._closed = False

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        while self._unused:
            self._unused.pop().end()

    def search(self, path: Path) -> Searched:
        """Search a file. Raises FileNotFoundError if there is none.

        A file that ends the process, or takes too much time, has this as its ``problem``.
        """
        seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
        try:
            process = self._unused.pop()
        except IndexError:
            process = _Process(self._ids)
        try:
            searched = process.search(path, seconds)
        except (BrokenPipeError, EOFError):
            code = process.end()
            took = (
                f"it takes more than {seconds:.0f} s to read"
                if process.late
                else f"reading it fails ({code})"
            )
            return Searched(frozenset(), took)
        except BaseException:
            process.end()
            raise
        self._unused.append(process)
        if self._closed:
            self.__exit__()
        return searched


class _Process:
    def __init__(self, ids: list[str]) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve({os.getpid()})"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "TMPDIR": tempfile.gettempdir(),
                "OMP_NUM_THREADS": "1",
                "ARROW_DEFAULT_MEMORY_POOL": "system",
            },
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._write: IO[bytes] = self._process.stdin
        self._read: IO[bytes] = self._process.stdout
        self._ids: list[str] | None = ids
        self.late = False

    def search(self, path: Path, seconds: float) -> Searched:
        """Search a file. Raises EOFError or BrokenPipeError if the process ends."""
        timer = threading.Timer(seconds, self._kill)
        timer.daemon = True
        timer.start()
        try:
            if self._ids is not None:
                self._send(self._ids)
                self._ids = None
            self._send(str(path.resolve()))
            line = self._read.readline()
        finally:
            timer.cancel()
        if not line:
            raise EOFError
        response = json.loads(line)
        if "error" in response:
            raise FileNotFoundError(response["error"])
        return Searched(frozenset(response["posts"]), response["problem"])

    def _send(self, value: object) -> None:
        self._write.write(json.dumps(value).encode() + b"\n")
        self._write.flush()

    def _kill(self) -> None:
        self.late = True
        self._process.kill()

    def end(self) -> int:
        """Close the pipes, kill the process if it does not end, and return its exit code."""
        for pipe in (self._write, self._read):
            with suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def serve(parent: int) -> None:
    """Search the files whose paths come on standard input, until it ends. The main function of a process."""
    read, write = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints does not reach the responses.
    _limit()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    wanted = Wanted(json.loads(read.readline()))
    for line in read:
        path = json.loads(line)
        try:
            searched = search_file(Path(path), wanted)
            response = {"posts": sorted(searched.posts), "problem": searched.problem}
        except FileNotFoundError:
            response = {"error": path}
        write.write(json.dumps(response).encode() + b"\n")
        write.flush()


def _limit() -> None:
    import resource

    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, also in the midst of a file."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
