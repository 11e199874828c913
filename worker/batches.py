"""Dynamic batching: requests of many threads share forward passes, which run in one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")

RunBatch = Callable[[Sequence[Input]], Sequence[Output]]


@dataclass(frozen=True, eq=False)  # by identity: inputs may be tensors, which cannot be compared
class _Item(Generic[Input, Output]):
    input: Input
    run_batch: RunBatch[Input, Output]
    output: Future[Output]


class Batcher(Generic[Input, Output]):
    """Runs all waiting inputs of one network together, at most ``max_batch`` at a time.

    A batch never waits to be filled: what is submitted while one batch runs makes up the next, so that a single input
    runs at once and many run in large batches. One thread runs all batches, since a matrix product already uses the
    cores that it may use.
    """

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._queue: queue.SimpleQueue[_Item[Input, Output]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, run_batch: RunBatch[Input, Output], input: Input) -> Future[Output]:
        """Return the future of ``run_batch([input])[0]``; equal callables stand for one network.

        If a batch raises, each of its inputs runs alone, so that only the faulty ones fail.
        """
        item = _Item(input, run_batch, Future[Output]())
        self._queue.put(item)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
                self._thread.start()
        return item.output

    def _serve(self) -> None:
        waiting: list[_Item[Input, Output]] = []
        while True:
            if not waiting:
                waiting.append(self._queue.get())
            while not self._queue.empty():
                waiting.append(self._queue.get())
            first = waiting[0].run_batch
            batch = [item for item in waiting if item.run_batch == first][: self._max_batch]
            waiting = [item for item in waiting if item not in batch]
            _run(batch)


def _run(batch: list[_Item[Input, Output]]) -> None:
    try:
        outputs = batch[0].run_batch([item.input for item in batch])
    except Exception as error:
        if len(batch) == 1:
            batch[0].output.set_exception(error)
            return
        for item in batch:
            _run([item])
        return
    for item, output in zip(batch, outputs, strict=True):
        item.output.set_result(output)
