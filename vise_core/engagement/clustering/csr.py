"""Sparse matrices by row (CSR): their arrays for compiled loops, norms, and unit rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse


class Csr(NamedTuple):
    """The three arrays of a CSR matrix, in the dtypes that compiled loops are built for.

    Attributes
    ----------
    starts: (n + 1,) int64; the entries of row i lie at starts[i] to starts[i + 1].
    columns: (nnz,) int32. values: (nnz,) float32.
    """

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix | sparse.csc_matrix) -> Csr:
        """Return the arrays of a (rows, columns) CSR matrix, or of a CSC matrix's transpose.

        These are (rows + 1,) int64 starts, (nnz,) int32 columns and (nnz,) float32 values. Only arrays of other dtypes
        are copied.
        """
        return cls(
            matrix.indptr.astype(np.int64, copy=False),
            matrix.indices.astype(np.int32, copy=False),
            matrix.data.astype(np.float32, copy=False),
        )


def half_squared_norms(rows: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """Return half the squared L2 norm of each row, (n,) float64, added up in 64 bits."""
    squares = rows.data.astype(np.float64) ** 2
    owners = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.asarray(0.5 * np.bincount(owners, weights=squares, minlength=rows.shape[0]), np.float64)


def unit_rows(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the (n, dim) rows scaled to L2 norm 1, as float32; empty rows stay empty."""
    norms = np.sqrt(2 * half_squared_norms(rows))
    norms[norms == 0] = 1
    scaled = rows.copy()
    scaled.data = (rows.data / np.repeat(norms, np.diff(rows.indptr))).astype(np.float32)
    return scaled


def canonical(sums: sparse.csr_matrix) -> sparse.csr_matrix:
    """Sort the entries of a sparse matrix and drop zeros, in place; equal matrices then have equal arrays."""
    sums.eliminate_zeros()
    sums.sort_indices()
    return sums
