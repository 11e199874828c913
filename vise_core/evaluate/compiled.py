"""The two halves of a step on combinations (``gram``), compiled: they take half of torch's time.

torch would copy a batch's rows of the Gram matrix together before it multiplies them, and would go over the weights
and their momentum three times. Each number is calculated by one thread, so it does not depend on how many there are.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

TILE = 5
"""Rows and heads that are multiplied together: 25 sums and what they read fit into the processor's registers."""
ALIGNED = 16
"""Columns come in multiples of this many, so that no sum has a rest that is not a whole vector."""

_SUMS = {"reassoc", "contract", "nsz"}
"""Sums in any order. Not all of fastmath, under which a training that diverged would have no defined values."""


@njit(cache=True, fastmath=_SUMS)
def _add(sums, value, weights):  # type: ignore[no-untyped-def]
    return (
        sums[0] + value * weights[0],
        sums[1] + value * weights[1],
        sums[2] + value * weights[2],
        sums[3] + value * weights[3],
        sums[4] + value * weights[4],
    )


@njit(cache=True, fastmath=_SUMS, parallel=True, nogil=True)
def row_products(table, rows, weights, out):  # type: ignore[no-untyped-def]
    """``out[i] = weights[i] · table[rows[i]]ᵀ``.

    ``table`` (n, m) float32, ``rows`` (k, b) int64, ``weights`` (k, heads, m) float32, ``out`` (k, heads, b) float32.
    """
    (k, b), heads = rows.shape, weights.shape[1]
    tiles, zero = (b + TILE - 1) // TILE, np.float32(0)
    for task in prange(k * tiles):
        i, first = task // tiles, TILE * (task % tiles)
        # A tile at the edge does its last row or head again.
        n0, n1, n2 = first, min(first + 1, b - 1), min(first + 2, b - 1)
        n3, n4 = min(first + 3, b - 1), min(first + 4, b - 1)
        x0, x1, x2 = table[rows[i, n0]], table[rows[i, n1]], table[rows[i, n2]]
        x3, x4 = table[rows[i, n3]], table[rows[i, n4]]
        for h0 in range(0, heads, TILE):
            h1, h2 = min(h0 + 1, heads - 1), min(h0 + 2, heads - 1)
            h3, h4 = min(h0 + 3, heads - 1), min(h0 + 4, heads - 1)
            w0, w1, w2, w3, w4 = (
                weights[i, h0],
                weights[i, h1],
                weights[i, h2],
                weights[i, h3],
                weights[i, h4],
            )
            s0 = s1 = s2 = s3 = s4 = (zero, zero, zero, zero, zero)
            for c in range(len(w0)):
                w = (w0[c], w1[c], w2[c], w3[c], w4[c])
                s0 = _add(s0, x0[c], w)
                s1 = _add(s1, x1[c], w)
                s2 = _add(s2, x2[c], w)
                s3 = _add(s3, x3[c], w)
                s4 = _add(s4, x4[c], w)
            for j, h in enumerate((h0, h1, h2, h3, h4)):
                out[i, h, n0], out[i, h, n1], out[i, h, n2] = s0[j], s1[j], s2[j]
                out[i, h, n3], out[i, h, n4] = s3[j], s4[j]


@njit(cache=True, fastmath=_SUMS, parallel=True, nogil=True)
def sgd_step(weights, moments, slopes, columns, rates, decays, momentum):  # type: ignore[no-untyped-def]
    """``torch.optim.SGD`` where the gradient is ``slopes`` in some columns and nothing in the others.

    ``weights`` and ``moments`` (k, g, rows, m) float32 are changed; ``slopes`` (k, g, at least rows, b) float32,
    ``columns`` (k, b) int64; a column that comes twice takes both. ``rates`` and ``decays`` (k, g) float32.
    """
    k, g, rows, m = weights.shape
    for task in prange(k * g * rows):
        i, point, row = task // (g * rows), task // rows % g, task % rows
        weight, moment, slope = weights[i, point, row], moments[i, point, row], slopes[i, point, row]
        rate, decay = rates[i, point], decays[i, point]
        for c in range(m):
            moment[c] = momentum * moment[c] + decay * weight[c]
        for n in range(len(slope)):
            moment[columns[i, n]] += slope[n]
        for c in range(m):
            weight[c] -= rate * moment[c]
