"""Dynamic batching: questions of many threads go through a network together, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

Together = Callable[[Sequence[Q]], Sequence[A]]


@dataclass(frozen=True, eq=False)  # each is itself: a question may hold what cannot be compared, as tensors
class _Asked(Generic[Q, A]):
    question: Q
    together: Together[Q, A]
    answer: Future[A]


class Batches(Generic[Q, A]):
    """Answers whatever waits for the same network at once, at most ``most``.

    Nobody waits for others to come: what is asked while one batch is answered makes up the next, so that a single
    question is answered at once and many are answered in large batches. One thread answers all, as a matrix product
    uses the cores that it may use by itself, and every other thread that asked for one would hold threads of its own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: queue.SimpleQueue[_Asked[Q, A]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, together: Together[Q, A], question: Q) -> Future[A]:
        """The promise of ``together([question])[0]``; equal callables are one network.

        Where a batch raises, each of its questions is answered alone, so that only those that cannot be fail.
        """
        asked = _Asked(question, together, Future[A]())
        self._asked.put(asked)
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
                self._thread.start()
        return asked.answer

    def _serve(self) -> None:
        waiting: list[_Asked[Q, A]] = []
        while True:
            if not waiting:
                waiting.append(self._asked.get())
            while not self._asked.empty():
                waiting.append(self._asked.get())
            first = waiting[0].together
            batch = [one for one in waiting if one.together == first][: self._most]
            waiting = [one for one in waiting if one not in batch]
            _answer(batch)


def _answer(batch: list[_Asked[Q, A]]) -> None:
    try:
        found = batch[0].together([one.question for one in batch])
    except Exception as error:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for one in batch:
            _answer([one])
        return
    for one, answer in zip(batch, found, strict=True):
        one.answer.set_result(answer)
