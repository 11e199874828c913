"""A whole stack for hostile files: API, workers, a small model; and what its processes cost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from resource import getpagesize

import httpx

from backend.store.database import connect
from backend.store.registry.storage import Storage
from benchmarks.stack.predictions import register
from benchmarks.stack.servers import running, workers
from tests.hostile.case import picture
from vise_client.client import ViseClient
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.models.heads import linear_head

EVERY = 0.05
SERVERS = (b"postgres", b"valkey")
"""In the command lines of processes whose writing is nobody's file."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A process as it was when it was seen last. ``look``: the number of the look that saw it."""

    started: str
    helper: bool
    server: bool
    seconds: float = 0.0
    peak: int = 0
    written: int = 0
    parent: int = 0
    look: int = 0


@dataclass
class Watch:
    """Watches the descendants that this process gets from now on: their memory and processor time."""

    processes: dict[int, Process] = field(default_factory=dict)
    before: frozenset[int] = frozenset()
    looks: int = 0
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        with self._lock:
            self._look()

    def _look(self) -> None:
        children: dict[int, list[int]] = {}
        seen: dict[int, list[str]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                seen[int(entry.name)] = stat
                children.setdefault(int(stat[1]), []).append(int(entry.name))
        pids = [os.getpid()]
        # Counted once all are noted: `written` may be called meanwhile.
        looks = self.looks + 1
        while pids:
            for pid in children.get(pids.pop(), ()):
                if pid not in self.before:
                    pids.append(pid)
                    self._note(pid, seen[pid], looks)
        self.looks = looks

    def _note(self, pid: int, stat: list[str], look: int) -> None:
        known = self.processes.get(pid)
        if known is None or known.started != stat[19]:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                return
            server = any(name in command for name in SERVERS)
            known = self.processes[pid] = Process(stat[19], b"helper import serve" in command, server)
        known.parent, known.look = int(stat[1]), look
        with suppress(OSError, IndexError):
            known.written = int(Path(f"/proc/{pid}/io").read_text().partition("wchar: ")[2].split()[0])
        known.seconds = (int(stat[11]) + int(stat[12])) / _TICK
        known.peak = max(known.peak, int(stat[21]) * getpagesize())

    def peak(self, *, helpers: bool) -> int:
        """The largest memory that a process has had, in bytes, since the last ``forget``."""
        return max((p.peak for p in self.processes.values() if p.helper == helpers), default=0)

    def seconds(self, *, helpers: bool = False) -> float:
        """Processor time of all processes so far, or of the decoding helpers alone."""
        return sum(p.seconds for p in self.processes.values() if p.helper or not helpers)

    def written(self) -> int:
        """Bytes that all processes but the servers have written so far, to files and pipes.

        Linux adds what a process wrote to its parent's count when the parent waits for it: there it counts.
        """
        return sum(
            p.written
            for p in self.processes.values()
            if not p.server and (p.look >= self.looks or p.parent not in self.processes)
        )

    def forget(self) -> None:
        for process in self.processes.values():
            process.peak = 0

    def alive(self) -> list[int]:
        """Processes of the stack that live, wherever they hang now."""
        found = []
        for pid, process in self.processes.items():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if stat[19] == process.started and stat[0] != "Z":
                found.append(pid)
        return found

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        def watch() -> None:
            while not self._done.wait(EVERY):
                self.look()

        self.look()
        self.before = frozenset(self.processes)
        self.processes.clear()
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()


@dataclass
class Site:
    """The started stack. ``statuses``: of every response so far to ``vise``, whose requests are ``token``'s."""

    api: str
    token: str
    vise: ViseClient
    folder: Path
    watch: Watch
    statuses: list[int]

    def left_over(self) -> list[str]:
        """Files that no run should leave: unpacked parts, half uploads, temporary files."""
        places = ("workspaces", "incoming", "tmp")
        found = [path for place in places for path in (self.folder / place).rglob("*") if path.is_file()]
        return sorted(
            str(path.relative_to(self.folder))
            for path in found
            if "predictors" not in path.relative_to(self.folder).parts
        )


@contextmanager
def started(folder: Path) -> Iterator[Site]:
    """Start the stack below ``folder``, which must be empty and readable by all."""
    (folder / "tmp").mkdir(mode=0o1777)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder / "tmp")
    watch = Watch()
    commands = (["dispatch"], ["run", "--queues", "predict"], ["run", "--queues", "cpu,gpu"])
    try:
        with watch.watching(), running(folder, pages=False) as servers:
            add_model(servers, folder)
            with workers(servers, folder, *commands, threads=1):
                yield from _clients(servers, folder, watch)
    finally:
        if before is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = before


def _clients(servers: dict[str, str], folder: Path, watch: Watch) -> Iterator[Site]:
    statuses: list[int] = []
    with ViseClient(servers["api"], servers["token"]) as vise:
        vise._http.event_hooks["response"].append(lambda response: statuses.append(response.status_code))
        wake(vise)
        yield Site(servers["api"], servers["token"], vise, folder, watch, statuses)


def add_model(servers: dict[str, str], folder: Path) -> None:
    """Register an untrained model of two classes as the default one."""
    backbone = build_backbone("resnet18", seed=0)
    classifier = ImageClassifier(
        backbone, linear_head(backbone.feature_dim, 2, seed=0), ("a", "b"), image_size=64
    )
    save_classifier(folder / "predictor", classifier.eval(), {"synthetic": True})
    engine = connect(servers["database"])
    register(engine, Storage(servers["storage"]), folder / "predictor", classifier.classes)
    engine.dispose()


def wake(vise: ViseClient) -> None:
    """Wait until the prediction worker has loaded the model and responds."""
    until = time.monotonic() + 300
    while vise.predict(picture("JPEG"), overlay=False, wait=20).state != "succeeded":
        if time.monotonic() > until:
            raise httpx.ReadTimeout("no prediction in 300 s")
