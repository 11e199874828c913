"""Search files for posts in processes with limits of memory and time: a hostile file ends its process, and nothing else."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

from vise_core.helper_process import HelperProcess, begin_serving

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


class _Process(HelperProcess):
    def __init__(self, ids: list[str]) -> None:
        environment = {
            "TMPDIR": tempfile.gettempdir(),
            "OMP_NUM_THREADS": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        super().__init__(__name__, environment)
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


def serve(parent: int) -> None:
    """Search the files whose paths come on standard input, until it ends. The main function of a process."""
    read, write = begin_serving(parent, MEMORY_BYTES)
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
