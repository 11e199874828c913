"""The engine that computes on the workers of a Dask scheduler."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from distributed import CancelledError, Client, Future, KilledWorker, wait

from vise_core import provenance
from vise_core.errors import BadInput, ClusterLost, WorkerKilled

T = TypeVar("T")
R = TypeVar("R")

POLL_SECONDS = 0.5
IDLE_SECONDS = 120.0
"""Time without a result after which the cluster is asked whether it has workers."""
TASKS_PER_WORKER, MOST_PER_TASK = 32, 16
"""A task takes several items, at most MOST_PER_TASK, where a worker would get more than TASKS_PER_WORKER tasks: each task
costs the scheduler some milliseconds."""
QUEUED_PER_WORKER = 2
JOINED = 8
"""Results that a task of the tree joins."""


@dataclass(frozen=True)
class Surroundings:
    """What a process of another host must share with this one to compute for it: the software, and some paths."""

    git_commit: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raise BadInput, with the name of this process's host, where they differ."""
        own = _software()
        for package, version in self.packages.items():
            if (other := own["packages"].get(package)) != version:
                raise BadInput(
                    f"the Dask worker on {socket.gethostname()} has {package} {other or 'not installed'}, the run's "
                    f"host {version}: install the same versions on both"
                )
        if len({self.git_commit, own["git_commit"]} - {None}) > 1:
            raise BadInput(
                f"the Dask worker on {socket.gethostname()} runs commit {own['git_commit']} of VisE Studio, the run's "
                f"host {self.git_commit}: install the same on both"
            )
        for path in self.paths:
            if not path.exists():
                raise BadInput(
                    f"the Dask worker on {socket.gethostname()} does not see {path}: put VISE_WORK and the data on a "
                    "file system that all hosts mount at the same place"
                )


@cache
def _software() -> dict[str, Any]:
    return provenance.software()


def _apply(surroundings: Surroundings, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return the results of items, in a process of the engine."""
    surroundings.check()
    return [function(item) for item in items]


def _apply_and_join(
    surroundings: Surroundings, function: Callable[[T], R], join: Callable[[list[R]], R], items: Sequence[T]
) -> R:
    return join(_apply(surroundings, function, items))


@dataclass
class DaskEngine:
    """Computes on the workers of a Dask scheduler.

    No data is scattered: scattered data that is lost with its worker cannot be made again, tasks can.
    """

    client: Client
    poll: Callable[[], object]
    surroundings: Surroundings = Surroundings()
    _run: str = field(default_factory=lambda: uuid4().hex[:12])
    _submitted: int = 0
    _polled: float = 0.0

    def finished(
        self, function: Callable[[T], R], items: Sequence[T], name: Callable[[T], str]
    ) -> Iterator[R]:
        batches = iter(self._batches(items))
        most = QUEUED_PER_WORKER * self._workers()
        waiting: dict[Future[Any], Sequence[T]] = {}
        suspects: list[T] = []
        while True:
            for batch in islice(batches, most - len(waiting)):
                waiting[self._submit(_apply, name(batch[0]), function, batch)] = batch
            if not waiting:
                break
            for future in self._done(waiting):
                batch = waiting.pop(future)
                try:
                    results = self._result(future)
                except KilledWorker:
                    suspects += batch
                else:
                    yield from results
        # Tasks share the fate of their worker: only one that dies alone is to blame.
        killers = []
        for item in suspects:
            future = self._submit(_apply, name(item), function, [item])
            self._done([future])
            try:
                results = self._result(future)
            except KilledWorker:
                killers.append(name(item))
            else:
                yield from results
        if killers:
            raise WorkerKilled(_killed(killers))

    def ordered(
        self, function: Callable[[T], R], items: Iterable[T], name: Callable[[T], str]
    ) -> Iterator[R]:
        stream = iter(items)
        most = QUEUED_PER_WORKER * self._workers()
        waiting: deque[tuple[T, Future[Any]]] = deque()
        error: Exception | None = None
        while True:
            while error is None and len(waiting) < most:
                try:
                    item = next(stream)
                except StopIteration:
                    break
                except Exception as raised:
                    error = raised
                else:
                    waiting.append((item, self._submit(_apply, name(item), function, [item])))
            if not waiting:
                break
            item, future = waiting.popleft()
            self._done([future])
            try:
                yield self._result(future)[0]
            except KilledWorker:
                # Nothing else may be at work: see ``finished``.
                for _, other in waiting:
                    self._done([other])
                future = self._submit(_apply, name(item), function, [item])
                self._done([future])
                try:
                    yield self._result(future)[0]
                except KilledWorker as killed:
                    raise WorkerKilled(_killed([name(item)])) from killed
        if error is not None:
            raise error

    def reduced(
        self,
        function: Callable[[T], R],
        join: Callable[[list[R]], R],
        items: Sequence[T],
        name: Callable[[T], str],
    ) -> R:
        level = [
            self._submit(_apply_and_join, name(batch[0]), function, join, batch)
            for batch in self._batches(items)
        ]
        while len(level) > 1:
            groups = [level[start : start + JOINED] for start in range(0, len(level), JOINED)]
            level = [
                self.client.submit(join, group, key=self._key("join"), pure=False)
                if len(group) > 1
                else group[0]
                for group in groups
            ]
        self._done(level)
        try:
            result: R = self._result(level[0])
        except KilledWorker as error:
            raise WorkerKilled(_killed([str(error.task).partition(f"-{self._run}-")[0]])) from error
        return result

    def _submit(self, task: Callable[..., Any], name: str, *arguments: object) -> Future[Any]:
        return self.client.submit(task, self.surroundings, *arguments, key=self._key(name), pure=False)

    def _key(self, name: str) -> str:
        """Return a key that no other task has; Dask's dashboard shows its name."""
        self._submitted += 1
        return f"{name}-{self._run}-{self._submitted}"

    def _workers(self) -> int:
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def _batches(self, items: Sequence[T]) -> list[Sequence[T]]:
        size = min(MOST_PER_TASK, max(1, len(items) // (TASKS_PER_WORKER * self._workers())))
        return [items[start : start + size] for start in range(0, len(items), size)]

    def _done(self, futures: Iterable[Future[Any]]) -> set[Future[Any]]:
        """Wait until at least one of the futures is done, and return those that are."""
        futures, began = list(futures), time.monotonic()
        while True:
            if time.monotonic() - self._polled > POLL_SECONDS:
                self.poll()
                self._polled = time.monotonic()
            try:
                with self.client.as_current():
                    return set(wait(futures, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if self.client.status != "running":
                    raise ClusterLost(f"the Dask scheduler {self._address} is gone") from None
            except (CancelledError, asyncio.CancelledError) as error:
                raise ClusterLost(f"the Dask scheduler {self._address} is gone") from error
            if time.monotonic() - began > IDLE_SECONDS:
                self._require_workers()
                began = time.monotonic()

    def _require_workers(self) -> None:
        """Raise ClusterLost if there are no workers, whose tasks would wait for ever."""
        scheduler = self.client.scheduler
        assert scheduler is not None
        try:
            threads = self.client.sync(scheduler.ncores, callback_timeout=IDLE_SECONDS)
        except (TimeoutError, OSError) as error:
            raise ClusterLost(f"the Dask scheduler {self._address} does not answer") from error
        if not threads:
            raise ClusterLost(f"the Dask scheduler {self._address} has no workers")

    def _result(self, future: Future[Any]) -> Any:
        """Return the result of a future that is done. Raises the task's error, and KilledWorker if it killed each worker."""
        try:
            return future.result()
        except (CancelledError, asyncio.CancelledError) as error:
            raise ClusterLost(f"the Dask scheduler {self._address} is gone") from error

    @property
    def _address(self) -> str:
        return str(self.client.scheduler.address if self.client.scheduler else "")


def _killed(names: list[str]) -> str:
    return (
        f"{', '.join(names)}: every process that worked on this was killed, most likely because memory ran out. All else "
        "that was finished is kept: retry the run with fewer processes or more memory, or leave it out"
    )
