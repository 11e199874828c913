"""Which models stay in memory: against a reference that is written to be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model_cache import Loaded


@dataclass
class Weights:
    nbytes: int


def reference(asked: list[str], sizes: dict[str, int], most: int) -> list[str]:
    """The least used first: of the models in the order of their last use, the newest that fit."""
    held: list[str] = []
    for name in asked:
        held = [one for one in held if one != name] + [name]
        while len(held) > 1 and sum(sizes[one] for one in held) > most:
            held = held[1:]
    return held


@given(
    st.lists(st.sampled_from("abcdef"), max_size=30),
    st.fixed_dictionaries({name: st.integers(0, 9) for name in "abcdef"}),
    st.integers(0, 20),
)
def test_the_models_used_last_stay_as_far_as_they_fit(
    asked: list[str], sizes: dict[str, int], most: int
) -> None:
    loaded = Loaded()
    for position, name in enumerate(asked):
        found = loaded.get(name, lambda name=name: Weights(sizes[name]), most)
        assert found.nbytes == sizes[name]
        assert loaded.keys() == reference(asked[: position + 1], sizes, most)
        assert loaded.nbytes <= most or loaded.keys() == [name]


def test_threads_that_want_the_same_model_load_it_once() -> None:
    loaded, times = Loaded(), []

    def load() -> Weights:
        times.append(1)
        return Weights(1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: loaded.get("model", load, 10), range(50)))
    assert len(times) == 1
    assert all(one is found[0] for one in found)


def test_a_model_that_cannot_be_loaded_leaves_no_trace() -> None:
    loaded = Loaded()

    def broken() -> Weights:
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        loaded.get("model", broken, 10)
    assert loaded.get("model", lambda: Weights(3), 10).nbytes == 3
