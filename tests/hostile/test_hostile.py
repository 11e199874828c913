"""A part of the hostile files, sent to a started stack; ``make hostile`` sends all of them and measures delays."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.__main__ import TRACE
from tests.hostile.case import Case
from tests.hostile.corpus import corpus
from tests.hostile.drive import drive
from tests.hostile.neighbour import neighbour
from tests.hostile.stack import Site, started

pytestmark = [pytest.mark.stack, pytest.mark.processes]
PART = {
    "picture": (
        "JPEG cut at 60%", "GIF with noise 1", "claims 2147483647 by 2147483647", "1 by 65,500",
        "50 Mpx of grey with alpha", "a million chunks", "text of 200 MB", "EXIF in a circle", "SVG", "program",
        "a PNG's first 19 bytes", "a WebP's first 18 bytes",
    ),
    "archive": ("overlapping members", "long name of 2^33 bytes", "tar with '../up.png'", "zip of LZMA cut in half"),
    "checkpoint": ("pickle: os.system", "zip with pickle: 200,000 levels", "packed again"),
    "posts": (
        "200,000 levels of lists", "image is 5,000 characters", "lines that each open a quote",
        "Parquet of a value of 1 MB, 20,000 times", "index of 10^30 posts",
    ),
    "table": ("path outside", "dataset.json 200,000 deep"),
}  # fmt: skip
MOST_DELAY = 3.0
"""``make hostile`` holds 1 s, on a machine of its own. Here two other test processes, with stacks, share the cores."""
CASES = {(case.kind, case.name): case for case in corpus()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The stack; at its end nothing of it may live, and no file but its store may lie there."""
    TRACE.unlink(missing_ok=True)
    # Not pytest's own folder: as root PostgreSQL runs as another account, which cannot reach it.
    with tempfile.TemporaryDirectory(prefix="vise-test-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        with started(folder) as running:
            yield running
        assert running.left_over() == []
        assert running.watch.alive() == []
    assert not TRACE.exists(), "a pickle ran"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    kinds = Counter(case.kind for case in corpus())
    assert len(CASES) == kinds.total() >= 300
    assert min(kinds.values()) >= 30


@pytest.mark.parametrize(
    "case", [CASES[kind, name] for kind, names in PART.items() for name in names], ids=str
)
def test_a_hostile_file_costs_no_more_than_the_bounds(site: Site, case: Case) -> None:
    outcome = drive(site, case)
    assert outcome.faults == []
    assert outcome.said or outcome.state == "succeeded", "a rejection says why"


def test_a_costly_picture_delays_nobody_else(site: Site) -> None:
    with neighbour(site) as other:
        while not other.seconds:
            time.sleep(0.1)
        began = time.monotonic()
        outcome = drive(site, CASES["picture", "10,000 scans"])
        ended = time.monotonic()
    assert outcome.faults == []
    assert "processor time" in outcome.said
    assert other.failed == []
    served = [start + took for start, took in other.seconds if start > began and start + took < ended]
    assert len(served) >= 2, "another user's predictions are made while the costly one is decoded"
    assert other.longest(began) - other.usual() < MOST_DELAY
