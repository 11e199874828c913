"""How fast do comments become clusters, against scikit-learn's MiniBatchKMeans on the same matrix to the same inertia?

    python -m benchmarks.clustering [--comments 1000000] [--clusters 5000] [--vocabulary 50000] [--seed 0] [--limit 6]

Ours runs first, until a pass gains less than a thousandth of the inertia. Then scikit-learn's, with the batch size that
its documentation recommends (more than 256 times the cores; here 1024 times) and everything else at its default, until
it stops by itself or has had ``--limit`` times our time: with many clusters it would take hours. The inertia over all
comments of the centroids that it then has is the target; the ratio is its time over the time after which ours had
measured one no higher. Both use all cores. Time of both includes choosing the first centroids, of the peer not the
labels of all comments, which ours has with each inertia. Processor seconds are those of all threads, and say what a
machine that does other things too hides. Comments are synthetic (words by Zipf's law). Exits 1 where ours is not 5
times as fast.
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

from .measures.rows import Row, verdict
from .measures.zipf import tfidf, word_counts

FACTOR = 5.0
LEAST_GAIN = 1e-3
MOST_PASSES = 100


@dataclass(frozen=True)
class Moment:
    """The inertia over all comments that centroids have, and when they had it, counted from the start."""

    seconds: float
    processor_seconds: float
    inertia: float


class Clock:
    """Wall-clock and processor time since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


class Limited(MiniBatchKMeans):
    """Its own ``fit``, which after each step asks this hook whether to stop; past the limit the answer is yes.

    ``out_of_time``: whether that was why. ``first``, ``last``: the times after its first and its last step.
    """

    # No arguments of its own: scikit-learn takes those of the constructor for its parameters.
    def fit_within(self, rows: sparse.csr_matrix, seconds: float) -> Limited:
        self._clock, self._seconds, self.out_of_time = Clock(), seconds, False
        self.fit(rows)
        return self

    def _mini_batch_convergence(self, step: int, *args: Any) -> bool:
        self.last = self._clock.read()
        if step == 0:
            self.first = self.last
        done = bool(super()._mini_batch_convergence(step, *args))
        # It has no inertia to give before its second step.
        self.out_of_time = not done and step > 0 and self.last[0] > self._seconds
        return done or self.out_of_time


def main() -> int:
    return verdict(measure(parser().parse_args()))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comments", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=5000)
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=6, help="How many times our time the peer may have.")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the table; time to the peer's inertia."""
    cores = os.cpu_count() or 1
    print(
        f"{options.comments:,} synthetic comments, vocabulary {options.vocabulary:,}, {options.clusters:,} clusters; "
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, scikit-learn {sklearn.__version__}\n",
        flush=True,
    )
    rows = tfidf(word_counts(options.comments, options.vocabulary, options.seed))
    _compile(rows[:200])
    # Labels of all comments would be found after its last step, which is when its time ends.
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
    why = f"stopped at its limit of {limit:.1f} s" if peer.out_of_time else "stopped by itself"
    print(f"\nThe peer's first step was done after {peer.first[0]:.1f} s; it {why}.\n", flush=True)
    found = judge(ours, theirs, out_of_time=peer.out_of_time)
    for row in found:
        print(f"{row.name}: {row.ours}; {row.peer}; {row.ratio}")
    return found


def fit_ours(rows: sparse.csr_matrix, clusters: int, seed: int) -> list[Moment]:
    """Each pass measures the inertia of the centroids that the passes before it made: at its end, that is known."""
    moments: list[Moment] = []
    clock = Clock()

    def on_pass(iteration: int, inertia: float) -> bool:
        moments.append(Moment(*clock.read(), inertia))
        _print(f"ours, pass {iteration}", moments[-1])
        return iteration > 1 and inertia > (1 - LEAST_GAIN) * moments[-2].inertia

    fit_sparse(rows, clusters, seed, max_iter=MOST_PASSES, tol=0, on_pass=on_pass)
    return moments


def judge(ours: Sequence[Moment], theirs: Moment, *, out_of_time: bool) -> list[Row]:
    """How much sooner than the peer ours had an inertia no higher than that which it has come to.

    Where the peer ran out of time above our last inertia, one row more says how much longer at least it takes to that.
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
    found = [
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
        found.append(
            Row(
                "clustering to our last inertia",
                f"{last.seconds:.1f} s, inertia {last.inertia:,.0f}",
                f"more than {theirs.seconds:.1f} s",
                f"> {theirs.seconds / last.seconds:.1f} ×",
            )
        )
    return found


def _print(name: str, moment: Moment) -> None:
    times = f"{moment.seconds:.1f} | {moment.processor_seconds:.1f}"
    print(f"| {name} | {times} | {moment.inertia:,.0f} |", flush=True)


def _compile(rows: sparse.csr_matrix) -> None:
    fit_sparse(rows, 3, 0, max_iter=2, tol=0)


if __name__ == "__main__":
    sys.exit(main())
