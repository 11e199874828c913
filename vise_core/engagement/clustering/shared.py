"""A pass of k-means made by several processes, over blocks of rows that lie on a board.

Who leads lays out the rows once, and for each pass the centroids; who helps takes a block that nobody has claimed
and lays what it found beside it. The leader works too, and makes itself whatever has no result when nothing is left
to claim: it never waits for anybody, so a helper may come late, be killed or never come. A block that two worked on
has the same result twice, and only one of them is taken. Blocks add up exactly (``lloyd.joined``), so the result has
the bits of a pass that one process makes alone.
"""

from __future__ import annotations

import io
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.board import Board
from vise_core.device import pick_device
from vise_core.specs.compute import Device

from .lloyd import Assigned, assigner, joined

BLOCK_ROWS = 2**16
KEEP_BLOCKS = 256
"""Blocks of rows that a helper keeps in memory; of a comment's words about 4 MB each."""
IDLE_SECONDS = 0.05


class Lead:
    """Makes passes as ``lloyd.assign`` does over (n, d) float32 rows, with whoever comes to the board.

    The caller drops the board when there will be no further pass; helpers leave then.

    Attributes
    ----------
    made: blocks that the passes so far had. helped: those of them that others did.
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
        """``ready`` is called once, when there is something that others can do; blocks have BLOCK_ROWS by default."""
        step = block_rows or BLOCK_ROWS
        self.made = self.helped = 0
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
        work = assigner(centroids, bits=self._bits, threads=self._threads, device=pick_device(self._device))
        found: dict[int, Assigned] = {}
        while (number := _free(self._board, folder, range(blocks))) is not None:
            self._board.put(f"{folder}/claim-{number}", b"")
            found[number] = work(self._blocks[number])
        for number, block in enumerate(self._blocks):
            if number not in found:
                data = self._board.get(f"{folder}/done-{number}")
                # Claimed by one that is slow or dead: doing it is quicker than to find out which.
                found[number] = work(block) if data is None else _unpack_found(data)
                self.helped += data is not None
        self.made += blocks
        self._board.drop(folder)
        return joined([found[number] for number in range(blocks)])


def assist(
    board: Board,
    *,
    threads: int = 1,
    name: int = 0,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Work on blocks until the board is dropped or ``stop`` says so; returns how many were done.

    ``name`` says at which block to begin, so that several do not all reach for the same. Raises BadInput where the
    leader's run was told to use a GPU and there is none here.
    """
    kept: OrderedDict[int, sparse.csr_matrix] = OrderedDict()
    folder, done = "", 0
    work: Callable[[sparse.csr_matrix], Assigned] | None = None
    while not stop() and (told := board.get("plan")) is not None:
        plan = json.loads(told)
        blocks = int(plan["blocks"])
        order = sorted(range(blocks), key=lambda block: (block not in kept, (block - name) % blocks))
        number = _free(board, plan["folder"], order)
        if number is None:
            pause(IDLE_SECONDS)
            continue
        if plan["folder"] != folder or work is None:
            data = board.get(f"{plan['folder']}/centroids")
            if data is None:  # The pass has just ended.
                continue
            folder = plan["folder"]
            work = assigner(
                _unpack(data), bits=plan["bits"], threads=threads, device=pick_device(plan["device"])
            )
        board.put(f"{folder}/claim-{number}", b"")
        if number not in kept:
            data = board.get(f"rows/{number}")
            if data is None:
                break
            kept[number] = _unpack(data)
        kept.move_to_end(number)
        if len(kept) > KEEP_BLOCKS:
            kept.popitem(last=False)
        board.put(f"{folder}/done-{number}", _pack_found(work(kept[number])))
        done += 1
    return done


def _free(board: Board, folder: str, order: Iterable[int]) -> int | None:
    """The first block that nobody has claimed."""
    taken = board.names(folder)
    return next((number for number in order if f"claim-{number}" not in taken), None)


def _pack(matrix: sparse.csr_matrix, **more: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape, **more)
    return file.getvalue()


def _unpack(data: bytes) -> sparse.csr_matrix:
    return _matrix(np.load(io.BytesIO(data), allow_pickle=False))


def _pack_found(found: Assigned) -> bytes:
    return _pack(found.sums, labels=found.labels, squared=found.squared)


def _unpack_found(data: bytes) -> Assigned:
    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    return Assigned(arrays["labels"], arrays["squared"], _matrix(arrays))


def _matrix(arrays: Mapping[str, npt.NDArray]) -> sparse.csr_matrix:
    return sparse.csr_matrix(
        (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
    )
