"""Training on combinations (``gram``), compiled: it takes half of torch's time.

torch would copy a batch's rows of the Gram matrix together before it multiplies them, would go over the weights and
their momentum three times, and needs a dozen small operations for the softmax and its gradient between. Each number is
calculated by one thread, so it does not depend on how many there are.
"""

from __future__ import annotations

import math

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


@njit(cache=True, nogil=True)
def train_epoch(  # type: ignore[no-untyped-def]
    table,
    starts,
    columns,
    labels,
    images,
    batch,
    weights,
    moments,
    bias,
    bias_moments,
    rates,
    decays,
    momentum,
    losses,
):
    """One epoch of k splits, those with most images first; what it changes are weights, bias and their moments.

    Parameters
    ----------
    table: (n, m) float32; of split i's training image with column c of ``weights``, the row is c + starts[i].
    starts: (k,) int64. columns and labels: (k, steps · batch) int64, of which images[i] count. images: (k,) int64.
    weights and moments: (k, g, classes - 1, m) float32. bias and bias_moments: (k, g, classes) float32.
    rates and decays: (k, g) float32. losses: (k, g) float64, to which each image's cross-entropy is added.
    """
    g, free = weights.shape[1:3]
    flat = weights.reshape(len(weights), g * free, weights.shape[3])
    for start in range(0, images[0], batch):
        k = np.sum(images > start)
        end = start + min(images[0] - start, batch)
        at, truth = columns[:k, start:end], labels[:k, start:end]
        products = np.empty((k, g * free, end - start), np.float32)
        row_products(table, at + starts[:k].reshape(k, 1), flat, products)
        slopes = products.reshape(k, g, free, end - start)
        softmax_step(slopes, truth, images - start, bias, bias_moments, rates, decays, momentum, losses)
        sgd_step(weights, moments, slopes, at, rates, decays, momentum)


@njit(cache=True, fastmath=_SUMS, parallel=True, nogil=True)
def row_products(table, rows, weights, out):  # type: ignore[no-untyped-def]
    """``out[i] = weights[i] · table[rows[i]]ᵀ``.

    ``table`` (n, m) float32, ``rows`` (k, b) int64, ``weights`` (at least k, heads, m) float32, ``out`` (k, heads, b)
    float32.
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
def softmax_step(products, labels, sizes, bias, moments, rates, decays, momentum, losses):  # type: ignore[no-untyped-def]
    """Cross-entropies, the slopes of their means, and the step of the biases.

    ``products`` (k, g, classes - 1, b) float32: logits without their bias, which add up to nothing over the classes.
    In their place come the slopes. ``labels`` (k, b) int64; ``sizes`` (k,) int64: how many of a batch count, where it
    has as many. ``bias`` and ``moments`` (k, g, classes) float32 are changed as by ``torch.optim.SGD``, with ``rates``
    and ``decays`` (k, g) float32. The images' cross-entropies before the step are added to ``losses`` (k, g) float64.
    """
    (k, g, free, b), classes = products.shape, bias.shape[2]
    for task in prange(k * g):
        i, point = task // g, task % g
        offsets, moment = bias[i, point], moments[i, point]
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


@njit(cache=True, fastmath=_SUMS, parallel=True, nogil=True)
def sgd_step(weights, moments, slopes, columns, rates, decays, momentum):  # type: ignore[no-untyped-def]
    """``torch.optim.SGD`` where the gradient is ``slopes`` in some columns and nothing in the others.

    ``weights`` and ``moments`` (at least k, g, rows, m) float32 are changed; ``slopes`` (k, g, rows, b) float32,
    ``columns`` (k, b) int64; a column that comes twice takes both. ``rates`` and ``decays`` (k, g) float32.
    """
    (k, g, rows, _), m = slopes.shape, weights.shape[3]
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
