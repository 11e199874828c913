"""Passes of k-means over sparse rows that the processes of an engine make together.

Blocks of rows are files, and so are the centroids of each pass: a process that dies takes nothing with it. Blocks add up
exactly (``lloyd.join_blocks``), so the result has the bits of a pass by one process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from uuid import uuid4

import numpy as np
from scipy import sparse

from vise_core.device import pick_device
from vise_core.engine import Engine
from vise_core.files.whole import whole_file
from vise_core.specs.compute import Device

from .lloyd import Assigned, block_assigner, join_blocks

BLOCK_ROWS = 2**16


class SharedPasses:
    """A function like ``lloyd.assign`` over (n, d) float32 rows, computed by an engine."""

    def __init__(
        self, engine: Engine, folder: Path, rows: sparse.csr_matrix, bits: int, device: Device = "cpu"
    ) -> None:
        """Write the rows into an empty folder that all processes of the engine see."""
        self._engine, self._folder, self._bits, self._device = engine, folder, bits, device
        self._blocks = range(-(-rows.shape[0] // BLOCK_ROWS))
        for number in self._blocks:
            _save(block_file(folder, number), rows[number * BLOCK_ROWS : (number + 1) * BLOCK_ROWS])

    def __call__(self, centroids: sparse.csr_matrix) -> Assigned:
        # A process keeps the index of one file of centroids: each file has a name of its own.
        path = self._folder / f"centroids-{uuid4().hex}.npz"
        _save(path, centroids)
        assign = partial(assign_block, self._folder, path, self._bits, self._device)
        assigned = self._engine.reduced(assign, join_blocks, self._blocks, _block_name)
        path.unlink()
        return assigned


def assign_block(folder: Path, centroids: Path, bits: int, device: Device, number: int) -> Assigned:
    """Assign the rows of one block to the centroids in a file."""
    return _assigner(centroids, bits, device)(_load(block_file(folder, number)))


def block_file(folder: Path, number: int) -> Path:
    """Return the file of a block of rows."""
    return folder / f"rows-{number}.npz"


def _block_name(number: int) -> str:
    return f"block {number} of the comments"


@lru_cache(maxsize=1)
def _assigner(centroids: Path, bits: int, device: Device) -> Callable[[sparse.csr_matrix], Assigned]:
    return block_assigner(_load(centroids), bits=bits, device=pick_device(device))


def _save(path: Path, matrix: sparse.csr_matrix) -> None:
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape)


def _load(path: Path) -> sparse.csr_matrix:
    with np.load(path, allow_pickle=False) as arrays:
        return sparse.csr_matrix(
            (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
        )
