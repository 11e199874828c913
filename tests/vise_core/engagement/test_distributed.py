"""k-means by several processes over a board: the bits of one process alone, whoever comes, goes or dies."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from vise_core.engagement.clustering.distributed import Leader, help_leader
from vise_core.engagement.clustering.lloyd import MakePass, fit_sparse


class MemoryBoard:
    """A board in memory, which lets others act when the leader looks at it."""

    def __init__(self, between: Callable[["MemoryBoard"], object] = lambda board: None) -> None:
        self.held: dict[str, bytes] = {}
        self.between, self.busy = between, False

    def put(self, name: str, data: bytes) -> None:
        self.held[name] = data

    def get(self, name: str) -> bytes | None:
        return self.held.get(name)

    def names(self, folder: str) -> set[str]:
        if not self.busy:
            self.busy = True
            self.between(self)
            self.busy = False
        return {name.partition("/")[2] for name in self.held if name.startswith(f"{folder}/")}

    def drop(self, folder: str = "") -> None:
        for name in [name for name in self.held if name.startswith(folder)]:
            del self.held[name]


def fit(rows: sparse.csr_matrix, share: Any = None, **more: Any) -> tuple[list[bytes], int, list[float]]:
    """(the bytes of the centroids, iterations, inertia of each)."""
    inertia: list[float] = []

    def each(_: int, value: float) -> bool:
        inertia.append(value)
        return False

    centroids, iterations = fit_sparse(
        rows, 12, 0, max_iter=6, tol=0, threads=1, distribute=share, on_pass=each, **more
    )
    return [getattr(centroids, part).tobytes() for part in ("indptr", "indices", "data")], iterations, inertia


def random_rows(seed: int, n: int, terms: int = 40) -> sparse.csr_matrix:
    """Few values, so that distances tie; some rows are empty, some equal."""
    rng = np.random.default_rng(seed)
    filled = rng.random((n, terms)) < rng.choice([0.02, 0.1, 0.3])
    return sparse.csr_matrix((rng.choice([0.5, 1 / 3, 1.0], (n, terms)) * filled).astype(np.float32))


def some(board: MemoryBoard, rng: np.random.Generator) -> None:
    """A helper that does a few blocks, from any of them on, and sometimes dies right after its claim."""
    left = int(rng.integers(0, 4))

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    help_leader(board, name=int(rng.integers(0, 50)), stop=stop, pause=lambda _: None)
    if rng.random() < 0.3 and (folders := {n.partition("/")[0] for n in board.held if n.startswith("pass-")}):
        board.put(f"{min(folders)}/claim-{rng.integers(0, 9)}", b"")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200), st.integers(7, 250), st.booleans())
def test_any_help_in_any_order_gives_the_bits_of_one_process(
    seed: int, n: int, block_rows: int, spherical: bool
) -> None:
    rows, rng = random_rows(seed, n), np.random.default_rng(seed)
    board = MemoryBoard(lambda board: some(board, rng))

    def share(rows: sparse.csr_matrix, bits: int) -> MakePass:
        return Leader(board, rows, bits, block_rows=block_rows)

    assert fit(rows, share, spherical=spherical) == fit(rows, spherical=spherical)


def test_a_claim_of_a_dead_helper_is_done_again_and_counts_once() -> None:
    rows = random_rows(1, 90)

    def claims_all(board: MemoryBoard) -> None:
        for name in [n for n in board.held if n.endswith("/centroids")]:
            board.held |= {f"{name.partition('/')[0]}/claim-{block}": b"" for block in range(9)}

    def share(rows: sparse.csr_matrix, bits: int) -> MakePass:
        return Leader(MemoryBoard(claims_all), rows, bits, block_rows=10)

    assert fit(rows, share) == fit(rows)
