"""The board of a run in a folder and in a bucket: one behaviour, whoever looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeVar
from uuid import uuid4

import numpy as np
import pytest
from scipy import sparse

from backend.store.registry.storage import Storage
from vise_core.board import Board
from vise_core.engagement.clustering.distributed import Leader, help_leader
from vise_core.engagement.clustering.lloyd import MakePass, fit_sparse
from worker.helping.board import board_of

T = TypeVar("T")
Look = Callable[[], Board]
"""The same board, as another process sees it."""


def at_once(use: Callable[[], T], /) -> T:
    """Nothing is away in these tests."""
    return use()


@pytest.fixture(params=["folder", "bucket"])
def look(request: pytest.FixtureRequest, tmp_path: Path) -> Look:
    if request.param == "folder":
        return lambda: board_of(Storage(f"file://{tmp_path}"), at_once)
    request.getfixturevalue("bucket")
    folder = uuid4().hex

    def anew() -> Board:
        storage = Storage(f"s3://bucket/{folder}")
        # fsspec gives one process one instance, with one memory of what it listed.
        storage.fs = type(storage.fs)(skip_instance_cache=True)
        return board_of(storage, at_once)

    return anew


def test_states_in_a_bucket_have_their_board_there(bucket, tmp_path: Path) -> None:
    board_of(Storage("s3://bucket/checkpoints/run/1"), at_once).put("pass-1/claim-3", b"mine")
    assert bucket.objects["checkpoints/run/1/board/pass-1/claim-3"] == b"mine"
    board_of(Storage(f"file://{tmp_path}"), at_once).put("pass-1/claim-3", b"mine")
    assert (tmp_path / "board" / "pass-1" / "claim-3").read_bytes() == b"mine"


def test_a_board_holds_bytes_whole_and_forgets_them(look: Look) -> None:
    board = look()
    board.put("plan", b"one")
    board.put("plan", b"two")
    board.put("pass-1/claim-3", b"")
    board.put("pass-11/claim-4", b"")
    assert [board.get(name) for name in ("plan", "pass-1/claim-3", "pass-1/claim-4")] == [b"two", b"", None]
    assert (board.names("pass-1"), board.names("pass-2")) == ({"claim-3"}, set())
    board.drop("pass-1")
    board.drop("pass-1")
    assert (board.get("pass-1/claim-3"), board.names("pass-1")) == (None, set())
    assert board.names("pass-11") == {"claim-4"}
    board.drop()
    board.drop()
    assert board.get("plan") is None


def test_what_another_does_is_seen_at_once(look: Look) -> None:
    mine, theirs = look(), look()
    theirs.put("pass-1/claim-0", b"")
    assert mine.names("pass-1") == {"claim-0"}
    theirs.put("pass-1/claim-1", b"")
    assert mine.names("pass-1") == {"claim-0", "claim-1"}
    assert mine.names("pass-2") == set()
    theirs.put("pass-2/claim-0", b"")
    assert mine.names("pass-2") == {"claim-0"}
    theirs.drop("pass-1")
    assert mine.names("pass-1") == set()
    theirs.put("pass-3/claim-0", b"")
    mine.drop()
    assert theirs.names("pass-3") == set()


def rows_to_fit() -> sparse.csr_matrix:
    rng = np.random.default_rng(2)
    return sparse.random(1000, 40, density=0.1, format="csr", dtype=np.float32, random_state=rng)


def fit(share: Callable[[sparse.csr_matrix, int], MakePass] | None = None) -> bytes:
    centroids, _ = fit_sparse(rows_to_fit(), 12, 0, max_iter=4, tol=0, threads=1, distribute=share)
    return centroids.toarray().tobytes()


@pytest.mark.parametrize("helpers", [1, 2])
@pytest.mark.slow
def test_helpers_at_the_same_time_change_no_bit_and_leave_with_the_board(look: Look, helpers: int) -> None:
    board, led, done = look(), [], []
    threads = [
        Thread(target=lambda n=n: done.append(help_leader(look(), name=9 * n))) for n in range(helpers)
    ]

    def start() -> None:
        for thread in threads:
            thread.start()
        while not any(name.startswith("done-") for name in board.names("pass-1")):
            time.sleep(0.01)

    def share(rows: sparse.csr_matrix, bits: int) -> MakePass:
        led.append(Leader(board, rows, bits, block_rows=50, ready=start))
        return led[0]

    shared = fit(share)
    board.drop()
    for thread in threads:
        thread.join(20)
    assert shared == fit()
    assert len(done) == helpers, "helpers leave when the board is gone"
    assert 0 < led[0].blocks_helped <= sum(done)
    assert led[0].blocks_made == 4 * 20
    assert not board.names("rows")


@pytest.mark.slow
def test_a_helper_that_dies_with_its_claim_or_never_comes_changes_no_bit(look: Look) -> None:
    board, led = look(), []

    class Dies(Exception):
        pass

    class Deadly:
        """Its helper gets as far as to claim a block."""

        def __getattr__(self, name: str) -> object:
            return getattr(look(), name)

        def put(self, name: str, data: bytes) -> None:
            look().put(name, data)
            raise Dies

    def claim_and_die() -> None:
        with pytest.raises(Dies):
            help_leader(Deadly(), name=7)  # type: ignore[arg-type]

    def share(rows: sparse.csr_matrix, bits: int) -> MakePass:
        led.append(Leader(board, rows, bits, block_rows=50, ready=claim_and_die))
        return led[0]

    assert fit(share) == fit()
    assert (led[0].blocks_made, led[0].blocks_helped) == (4 * 20, 0)


def test_a_helper_that_comes_when_all_is_over_leaves_at_once(look: Look) -> None:
    assert help_leader(look()) == 0
