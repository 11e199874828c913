"""Times as they are told: the median, and what 95 % are not above."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.measures.times import Times


@pytest.mark.parametrize(
    ("took", "found"),
    [
        ([7.0], (7, 7)),
        ([1, 4], (2.5, 4)),
        ([3, 1, 2], (2, 3)),
        (range(1, 21), (10.5, 19)),
        (range(101), (50, 95)),
    ],
)
def test_percentiles_of_a_few(took, found) -> None:
    assert Times.of(Random(0).sample(list(took), len(took))) == found


def test_they_are_written_in_whole_milliseconds() -> None:
    assert str(Times(12.4, 130.6)) == "p50 12 ms, p95 131 ms"
