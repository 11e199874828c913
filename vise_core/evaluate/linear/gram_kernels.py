"""Compiled steps of linear heads under SGD in the basis of their training features (``gram``).

They take half of torch's time: torch would gather a batch's rows of the Gram matrix before multiplying them, pass over
the weights and their momentum three times, and start a dozen small operations for the softmax. Each number is computed
by one thread, so results do not depend on the number of threads. The symbols are those of
``docs/reference/numerics.md``: k splits, g grid points, m columns of a split's coefficients A.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from vise_core.kernels import kernel

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

TILE = 5
"""Rows and heads per tile: 25 sums and their operands fit into the processor's registers."""
ALIGNED = 16
"""Divisor of m, so that sums consist of whole SIMD vectors."""

_SUMS = {"reassoc", "contract", "nsz"}
"""Fast-math flags that let sums be reordered. Full fastmath would leave NaN and infinity undefined."""


class GramTable(NamedTuple):
    """The products of all images with the bases of their splits.

    Attributes
    ----------
    products: (n, m) float32, B x for each training and val image x of each split.
    offsets: (k,) int64; the training image with column c of split i's A has row c + offsets[i].
    """

    products: Float32
    offsets: Int64


class Heads(NamedTuple):
    """The heads of k splits at g grid points, and their optimizer; a training changes the first four arrays.

    Attributes
    ----------
    coefficients, coefficient_momentum: (k, g, classes - 1, m) float32, A and its momentum.
    bias, bias_momentum: (k, g, classes) float32.
    rates, decays: (k, g) float32, learning rate and weight decay. momentum: float32.
    """

    coefficients: Float32
    coefficient_momentum: Float32
    bias: Float32
    bias_momentum: Float32
    rates: Float32
    decays: Float32
    momentum: Any


class Batches(NamedTuple):
    """The images of an epoch in the order of training, splits with more images first.

    Attributes
    ----------
    columns: (k, steps · size) int64, the image's column of its split's A. labels: (k, steps · size) int64.
    images: (k,) int64, number of a split's columns that count; the others pad its last batch.
    size: images per batch.
    """

    columns: Int64
    labels: Int64
    images: Int64
    size: int


@kernel(fastmath=_SUMS)
def _add(sums, value, weights):  # type: ignore[no-untyped-def]
    return (
        sums[0] + value * weights[0],
        sums[1] + value * weights[1],
        sums[2] + value * weights[2],
        sums[3] + value * weights[3],
        sums[4] + value * weights[4],
    )


@kernel(nogil=True)
def train_epoch(table, heads, batches, losses):  # type: ignore[no-untyped-def]
    """Train one epoch of SGD with momentum, in place.

    ``table`` is a GramTable, ``heads`` Heads, ``batches`` Batches. Each image's cross-entropy before its step is added
    to ``losses`` (k, g) float64.
    """
    k_all, g, free, m = heads.coefficients.shape
    coefficients = heads.coefficients.reshape(k_all, g * free, m)
    for start in range(0, batches.images[0], batches.size):
        # The splits that still have images at this step.
        k = np.sum(batches.images > start)
        end = start + min(batches.images[0] - start, batches.size)
        columns, labels = batches.columns[:k, start:end], batches.labels[:k, start:end]
        products = np.empty((k, g * free, end - start), np.float32)
        rows = columns + table.offsets[:k].reshape(k, 1)
        row_products(table.products, rows, coefficients, products)
        slopes = products.reshape(k, g, free, end - start)
        softmax_step(slopes, labels, batches.images - start, heads, losses)
        sgd_step(heads, slopes, columns)


@kernel(fastmath=_SUMS, parallel=True, nogil=True)
def row_products(table, rows, weights, out):  # type: ignore[no-untyped-def]
    """Set ``out[i] = weights[i] · table[rows[i]]ᵀ``.

    ``table`` (n, m) float32, ``rows`` (k, b) int64, ``weights`` (at least k, heads, m) float32, ``out`` (k, heads, b)
    float32.
    """
    (k, b), heads = rows.shape, weights.shape[1]
    tiles, zero = (b + TILE - 1) // TILE, np.float32(0)
    for task in prange(k * tiles):
        i, first = task // tiles, TILE * (task % tiles)
        # A tile at the edge repeats its last row or head.
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


@kernel(fastmath=_SUMS, parallel=True, nogil=True)
def softmax_step(products, labels, sizes, heads, losses):  # type: ignore[no-untyped-def]
    """Replace logits with the gradient of the mean cross-entropy, and step the biases.

    ``products`` (k, g, classes - 1, b) float32: the logits without bias, which add up to 0 over all classes; they are
    overwritten by the slopes. ``labels`` (k, b) int64; ``sizes`` (k,) int64: how many images of a batch count, at most
    b. The biases of ``heads`` change as under ``torch.optim.SGD``. Each image's cross-entropy before the step is added
    to ``losses`` (k, g) float64.
    """
    _, _, bias, bias_momentum, rates, decays, momentum = heads
    (k, g, free, b), classes = products.shape, bias.shape[2]
    for task in prange(k * g):
        i, point = task // g, task % g
        offsets, moment = bias[i, point], bias_momentum[i, point]
        logits, slopes = np.empty(classes, np.float32), np.zeros(classes, np.float32)
        size, loss = min(sizes[i], b), 0.0
        share = np.float32(1 / size)
        for n in range(size):
            last = offsets[free]
            for c in range(free):
                last -= products[i, point, c, n]
                logits[c] = products[i, point, c, n] + offsets[c]
            logits[free] = last
            top, truth = logits.max(), labels[i, n]
            loss += top - logits[truth]
            total = np.float32(0)
            for c in range(classes):
                logits[c] = math.exp(logits[c] - top)
                total += logits[c]
            loss += math.log(total)
            for c in range(classes):
                slope = share * (logits[c] / total - np.float32(c == truth))
                slopes[c] += slope
                if c < free:
                    products[i, point, c, n] = slope
        products[i, point, :, size:] = 0
        losses[i, point] += loss
        for c in range(classes):
            moment[c] = momentum * moment[c] + decays[i, point] * offsets[c] + slopes[c]
            offsets[c] -= rates[i, point] * moment[c]


@kernel(fastmath=_SUMS, parallel=True, nogil=True)
def sgd_step(heads, slopes, columns):  # type: ignore[no-untyped-def]
    """Step A as ``torch.optim.SGD`` does, where the gradient is ``slopes`` in ``columns`` and 0 in all others.

    ``slopes`` (k, g, classes - 1, b) float32, ``columns`` (k, b) int64; a column that occurs twice gets both slopes.
    """
    coefficients, coefficient_momentum, _, _, rates, decays, momentum = heads
    (k, g, rows, _), m = slopes.shape, coefficients.shape[3]
    for task in prange(k * g * rows):
        i, point, row = task // (g * rows), task // rows % g, task % rows
        weight, moment = coefficients[i, point, row], coefficient_momentum[i, point, row]
        slope = slopes[i, point, row]
        rate, decay = rates[i, point], decays[i, point]
        for c in range(m):
            moment[c] = momentum * moment[c] + decay * weight[c]
        for n in range(len(slope)):
            moment[columns[i, n]] += slope[n]
        for c in range(m):
            weight[c] -= rate * moment[c]
