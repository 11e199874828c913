"""Questions of many threads are answered together, and as each would be alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.batches import Batcher


class Network:
    """Squares; remembers its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def together(self, numbers: Sequence[int]) -> list[int]:
        self.open.wait(10)
        self.batches.append(list(numbers))
        if any(number < 0 for number in numbers):
            raise ValueError("negative")
        return [number * number for number in numbers]


def test_what_comes_while_a_batch_is_answered_makes_up_the_next() -> None:
    network, other, batcher = Network(), Network(), Batcher[int, int](4)
    network.open.clear()
    first = batcher.submit(network.together, 0)
    while not batcher._queue.empty():
        pass
    rest = [batcher.submit(network.together, number) for number in range(1, 7)]
    elsewhere = batcher.submit(other.together, 9)
    network.open.set()
    assert [answer.result(10) for answer in (first, *rest)] == [n * n for n in range(7)]
    assert elsewhere.result(10) == 81
    assert network.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert other.batches == [[9]]


def test_questions_are_never_compared() -> None:
    """Tensors in them have no truth value: the thread that answers would end."""

    class Question:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, _: object) -> bool:
            raise RuntimeError("ambiguous")

    gate, batcher = threading.Event(), Batcher[Question, int](2)

    def count(questions: Sequence[Question]) -> list[int]:
        gate.wait(10)
        return [len(questions)] * len(questions)

    asked = [batcher.submit(count, Question()) for _ in range(5)]
    gate.set()
    assert all(answer.result(10) in (1, 2) for answer in asked)


def test_only_who_asks_for_the_impossible_gets_none() -> None:
    network, batcher = Network(), Batcher[int, int](4)
    network.open.clear()
    asked = [batcher.submit(network.together, number) for number in (1, -2, 3, 4)]
    network.open.set()
    wait(asked, 10)
    assert [answer.exception() is None for answer in asked] == [True, False, True, True]
    with pytest.raises(ValueError, match="negative"):
        asked[1].result()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=40), st.integers(1, 5))
def test_everyone_gets_the_answer_they_would_get_alone(asked: list[tuple[int, int]], most: int) -> None:
    networks = [Network() for _ in range(3)]
    batcher = Batcher[int, int](most)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda one: batcher.submit(networks[one[0]].together, one[1]).result(10), asked)
        )
    assert found == [number * number for _, number in asked]
    assert all(0 < len(batch) <= most for network in networks for batch in network.batches)
    for position, network in enumerate(networks):
        assert sorted(n for batch in network.batches for n in batch) == sorted(
            n for which, n in asked if which == position
        )
