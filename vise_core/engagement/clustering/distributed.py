"""Passes of k-means that several processes make together, over blocks of rows on a board.

The leader puts the rows on the board once, and the centroids before each pass; helpers claim blocks and put their
results on the board. The leader claims blocks too; when none is left, it computes every block without a result itself.
It never waits for a helper, which may start late, be killed or never start. A block computed twice has the same result
twice. Blocks add up exactly (``lloyd.join_blocks``), so the result has the bits of a pass by one process.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.board import Board
from vise_core.device import pick_device
from vise_core.specs.compute import Device

from .lloyd import Assigned, block_assigner, join_blocks

BLOCK_ROWS = 2**16
KEEP_BLOCKS = 256
"""Blocks of rows that a helper caches in memory, about 4 MB each for the words of comments."""
IDLE_SECONDS = 0.05


class Leader:
    """A function like ``lloyd.assign`` over (n, d) float32 rows, computed together with the helpers of a board.

    The caller drops the board after the last pass, and helpers then return.

    Attributes
    ----------
    blocks_made: blocks of all passes so far. blocks_helped: those of them that helpers computed.
    """

    def __init__(
        self,
        board: Board,
        rows: sparse.csr_matrix,
        bits: int,
        *,
        ready: Callable[[], object] = lambda: None,
        block_rows: int | None = None,
        threads: int = 1,
        device: Device = "cpu",
    ) -> None:
        """Put the rows on the board; ``ready`` is called once, when helpers can begin.

        ``block_rows`` is BLOCK_ROWS by default.
        """
        step = block_rows or BLOCK_ROWS
        self.blocks_made = self.blocks_helped = 0
        self._board, self._ready = board, ready
        self._blocks = [rows[start : start + step] for start in range(0, rows.shape[0], step)]
        self._bits, self._threads, self._device = bits, threads, device
        self._passes = 0
        for number, block in enumerate(self._blocks):
            board.put(f"rows/{number}", _pack(block))

    def __call__(self, centroids: sparse.csr_matrix) -> Assigned:
        self._passes += 1
        folder, blocks = f"pass-{self._passes}", len(self._blocks)
        self._board.put(f"{folder}/centroids", _pack(centroids))
        plan = {"folder": folder, "blocks": blocks, "bits": self._bits, "device": self._device}
        self._board.put("plan", json.dumps(plan).encode())
        if self._passes == 1:
            self._ready()
        assign_block = block_assigner(
            centroids, bits=self._bits, threads=self._threads, device=pick_device(self._device)
        )
        results: dict[int, Assigned] = {}
        while (number := _unclaimed(self._board, folder, range(blocks))) is not None:
            self._board.put(f"{folder}/claim-{number}", b"")
            results[number] = assign_block(self._blocks[number])
        for number, block in enumerate(self._blocks):
            if number not in results:
                data = self._board.get(f"{folder}/done-{number}")
                # Claimed by a helper that is slow or dead: computing the block is quicker than waiting.
                results[number] = assign_block(block) if data is None else _unpack_assigned(data)
                self.blocks_helped += data is not None
        self.blocks_made += blocks
        self._board.drop(folder)
        return join_blocks([results[number] for number in range(blocks)])


def help_leader(
    board: Board,
    *,
    threads: int = 1,
    name: int = 0,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Compute blocks until the board is dropped or ``stop`` returns True; return how many were computed.

    Helpers with different ``name`` begin at different blocks. Raises BadInput if the leader's run uses a GPU and this
    machine has none.
    """
    cache: dict[int, sparse.csr_matrix] = {}  # in order of use, for evicting the least recently used block
    folder, done = "", 0
    assign_block: Callable[[sparse.csr_matrix], Assigned] | None = None
    while not stop() and (plan_json := board.get("plan")) is not None:
        plan = json.loads(plan_json)
        blocks = int(plan["blocks"])
        order = sorted(range(blocks), key=lambda block: (block not in cache, (block - name) % blocks))
        number = _unclaimed(board, plan["folder"], order)
        if number is None:
            pause(IDLE_SECONDS)
            continue
        if plan["folder"] != folder or assign_block is None:
            data = board.get(f"{plan['folder']}/centroids")
            if data is None:  # the pass has just ended
                continue
            folder = plan["folder"]
            assign_block = block_assigner(
                _unpack(data), bits=plan["bits"], threads=threads, device=pick_device(plan["device"])
            )
        board.put(f"{folder}/claim-{number}", b"")
        block = cache.pop(number, None)
        if block is None:
            data = board.get(f"rows/{number}")
            if data is None:
                break
            block = _unpack(data)
        cache[number] = block
        if len(cache) > KEEP_BLOCKS:
            del cache[next(iter(cache))]
        board.put(f"{folder}/done-{number}", _pack_assigned(assign_block(block)))
        done += 1
    return done


def _unclaimed(board: Board, folder: str, order: Iterable[int]) -> int | None:
    """Return the first block in ``order`` without a claim, or None."""
    names = board.names(folder)
    return next((number for number in order if f"claim-{number}" not in names), None)


def _pack(matrix: sparse.csr_matrix, **more: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape, **more)
    return file.getvalue()


def _unpack(data: bytes) -> sparse.csr_matrix:
    return _matrix(np.load(io.BytesIO(data), allow_pickle=False))


def _pack_assigned(assigned: Assigned) -> bytes:
    return _pack(assigned.sums, labels=assigned.labels, squared=assigned.squared)


def _unpack_assigned(data: bytes) -> Assigned:
    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    return Assigned(arrays["labels"], arrays["squared"], _matrix(arrays))


def _matrix(arrays: Mapping[str, npt.NDArray[Any]]) -> sparse.csr_matrix:
    return sparse.csr_matrix(
        (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
    )
