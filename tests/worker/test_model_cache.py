"""Which models stay in memory: compared with a reference implementation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model_cache import ModelCache


@dataclass
class Weights:
    nbytes: int


def reference(requests: list[str], sizes: dict[str, int], max_bytes: int) -> set[str]:
    """Of the models in the order of their last use, the newest that fit; the newest in any case."""
    cached: list[str] = []
    for name in requests:
        cached = [other for other in cached if other != name] + [name]
        while len(cached) > 1 and sum(sizes[other] for other in cached) > max_bytes:
            cached = cached[1:]
    return set(cached)


@given(
    st.lists(st.sampled_from("abcdef"), max_size=30),
    st.fixed_dictionaries({name: st.integers(1, 9) for name in "abcdef"}),
    st.integers(0, 20),
)
def test_the_models_used_last_stay_as_far_as_they_fit(
    requests: list[str], sizes: dict[str, int], max_bytes: int
) -> None:
    cache = ModelCache(max_bytes)
    for position, name in enumerate(requests):
        model = cache.get(name, lambda name=name: Weights(sizes[name]))
        assert model.nbytes == sizes[name]
        assert cache.keys() == reference(requests[: position + 1], sizes, max_bytes)


def test_threads_that_want_the_same_model_load_it_once() -> None:
    cache, times = ModelCache(10), []

    def load() -> Weights:
        times.append(1)
        return Weights(1)

    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: cache.get("model", load), range(50)))
    assert len(times) == 1
    assert all(model is models[0] for model in models)


def test_a_model_that_cannot_be_loaded_leaves_no_trace() -> None:
    cache = ModelCache(10)

    def broken() -> Weights:
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        cache.get("model", broken)
    assert cache.get("model", lambda: Weights(3)).nbytes == 3
