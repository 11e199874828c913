"""Time of clustering comments to the inertia that scikit-learn's MiniBatchKMeans reaches on the same matrix.

    python -m benchmarks.clustering [--comments 1000000] [--clusters 5000] [--vocabulary 50000] [--seed 0] [--limit 6]

Ours runs first, until a pass lowers the inertia by less than a thousandth. scikit-learn's follows, with the batch size
that its documentation recommends (more than 256 times the cores; here 1024 times) and defaults otherwise, until it
stops by itself or has taken ``--limit`` times our time: with many clusters it would take hours. The inertia of its
final centroids over all comments is the target; the ratio is its time divided by our time to that inertia. Both use
all cores. Times include the choice of the first centroids, and for the peer exclude the labels of all comments, which
ours computes in each pass. Processor seconds are the sum over all threads; other load on the machine changes them less
than wall-clock time. Comments are synthetic (words by Zipf's law). Exits with 1 where ours is not 5 times as fast.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sklearn
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_info

from vise_core.engagement.clustering.inverted import InvertedIndex
from vise_core.engagement.clustering.lloyd import fit_sparse

from .measures.rows import Row, parser_of, verdict
from .measures.zipf import tfidf, word_counts

FACTOR = 5.0
LEAST_GAIN = 1e-3
MOST_PASSES = 100


@dataclass(frozen=True)
class Moment:
    """Inertia of the centroids over all comments, with the time since the start."""

    seconds: float
    processor_seconds: float
    inertia: float


class Clock:
    """Wall-clock and processor time since its creation."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


class Limited(MiniBatchKMeans):
    """MiniBatchKMeans with a time limit, checked in the hook that its ``fit`` calls after each step.

    ``out_of_time``: whether the limit ended it. ``first``, ``last``: times after its first and last step.
    """

    # Arguments of the constructor would become parameters of the estimator.
    def fit_within(self, rows: sparse.csr_matrix, seconds: float) -> Limited:
        self._clock, self._seconds, self.out_of_time = Clock(), seconds, False
        self.fit(rows)
        return self

    def _mini_batch_convergence(self, step: int, *args: Any) -> bool:
        self.last = self._clock.read()
        if step == 0:
            self.first = self.last
        done = bool(super()._mini_batch_convergence(step, *args))
        # Its inertia is not known before the second step.
        self.out_of_time = not done and step > 0 and self.last[0] > self._seconds
        return done or self.out_of_time


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, comments=1_000_000, clusters=5000, vocabulary=50_000, seed=0)
    parser.add_argument(
        "--limit", type=float, default=6, help="Time limit of the peer, as a multiple of our time."
    )
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the table and return the row of the time to the peer's inertia."""
    cores = os.cpu_count() or 1
    print(
        f"{options.comments:,} synthetic comments, vocabulary {options.vocabulary:,}, {options.clusters:,} clusters; "
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, scikit-learn {sklearn.__version__}\n",
        flush=True,
    )
    rows = tfidf(word_counts(options.comments, options.vocabulary, options.seed))
    _compile(rows[:200])
    # Its time ends with its last step; labels of all comments would come after.
    peer = Limited(options.clusters, batch_size=1024 * cores, random_state=options.seed, compute_labels=False)
    pools = ", ".join(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info())
    print(f"Peer: {peer.get_params()}; threads: {pools}\n", flush=True)

    print("| | seconds | processor seconds | inertia over all comments |\n|---|---|---|---|")
    ours = fit_ours(rows, options.clusters, options.seed)
    limit = options.limit * ours[-1].seconds
    peer.fit_within(rows, limit)
    index = InvertedIndex.build(sparse.csr_matrix(peer.cluster_centers_))
    theirs = Moment(*peer.last, float(index.nearest(rows, threads=cores)[1].sum()))
    _print(f"MiniBatchKMeans, {peer.n_steps_:,} batches of {peer.batch_size}", theirs)
    ending = f"stopped at its limit of {limit:.1f} s" if peer.out_of_time else "stopped by itself"
    print(f"\nThe peer's first step was done after {peer.first[0]:.1f} s; it {ending}.\n", flush=True)
    results = judge(ours, theirs, out_of_time=peer.out_of_time)
    for row in results:
        print(f"{row.name}: {row.ours}; {row.peer}; {row.ratio}")
    return results


def fit_ours(rows: sparse.csr_matrix, clusters: int, seed: int) -> list[Moment]:
    """Cluster with ours; return the time and inertia after each pass, that of the centroids before the pass."""
    moments: list[Moment] = []
    clock = Clock()

    def on_pass(iteration: int, inertia: float) -> bool:
        moments.append(Moment(*clock.read(), inertia))
        _print(f"ours, pass {iteration}", moments[-1])
        return iteration > 1 and inertia > (1 - LEAST_GAIN) * moments[-2].inertia

    fit_sparse(rows, clusters, seed, max_iter=MOST_PASSES, tol=0, on_pass=on_pass)
    return moments


def judge(ours: Sequence[Moment], theirs: Moment, *, out_of_time: bool) -> list[Row]:
    """Compare the times at which both reached the peer's final inertia.

    Where the peer ran out of time above our last inertia, a further row has a lower bound of its time to that inertia.
    """
    last = ours[-1]
    at_limit = " when out of time" if out_of_time else ""
    peer = f"{theirs.seconds:.1f} s{at_limit}, inertia {theirs.inertia:,.0f}"
    name, needed = "clustering to MiniBatchKMeans's inertia", f"≥ {FACTOR:g} ×"
    met = next((moment for moment in ours if moment.inertia <= theirs.inertia), None)
    if met is None:
        never = f"not reached: {last.seconds:.1f} s, inertia {last.inertia:,.0f}"
        return [Row(name, never, peer, needed=needed, reached=False)]
    ratio = theirs.seconds / met.seconds
    results = [
        Row(
            name,
            f"{met.seconds:.1f} s, inertia {met.inertia:,.0f}",
            peer,
            f"{ratio:.1f} ×",
            needed,
            ratio >= FACTOR,
        ),
        Row(
            "the same, processor seconds",
            f"{met.processor_seconds:.1f} s",
            f"{theirs.processor_seconds:.1f} s",
            f"{theirs.processor_seconds / met.processor_seconds:.1f} ×",
        ),
    ]
    if out_of_time and last.inertia < theirs.inertia:
        results.append(
            Row(
                "clustering to our last inertia",
                f"{last.seconds:.1f} s, inertia {last.inertia:,.0f}",
                f"more than {theirs.seconds:.1f} s",
                f"> {theirs.seconds / last.seconds:.1f} ×",
            )
        )
    return results


def _print(name: str, moment: Moment) -> None:
    times = f"{moment.seconds:.1f} | {moment.processor_seconds:.1f}"
    print(f"| {name} | {times} | {moment.inertia:,.0f} |", flush=True)


def _compile(rows: sparse.csr_matrix) -> None:
    fit_sparse(rows, 3, 0, max_iter=2, tol=0)


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
