"""How fast do comments become clusters, against scikit-learn's MiniBatchKMeans on the same matrix to the same inertia?

    python -m benchmarks.clustering [--comments 1000000] [--clusters 5000] [--vocabulary 50000] [--seed 0]

scikit-learn's runs first, with the batch size that its documentation recommends (more than 256 times the cores; here
1024 times) and everything else at its default, until it stops by itself. Then ours, until the inertia over all
comments is no higher. Time of both includes choosing the first centroids. Comments are synthetic (words by Zipf's law).
Exits 1 where ours is not 5 times as fast.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

import sklearn
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans

from vise_core.engagement.inverted import InvertedIndex
from vise_core.engagement.lloyd import fit_sparse

from .rows import Row, verdict
from .zipf import tfidf, word_counts

FACTOR = 5.0
MOST_ITERATIONS = 100


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
    batch = 1024 * cores
    clock = time.perf_counter()
    peer = MiniBatchKMeans(options.clusters, batch_size=batch, random_state=options.seed).fit(rows)
    theirs = time.perf_counter() - clock
    index = InvertedIndex.build(sparse.csr_matrix(peer.cluster_centers_))
    target = float(index.nearest(rows, threads=cores)[1].sum())
    print("| | seconds | inertia over all comments | steps |\n|---|---|---|---|")
    print(
        f"| MiniBatchKMeans, batches of {batch} | {theirs:.1f} | {target:,.0f} | {peer.n_steps_} batches |",
        flush=True,
    )
    reached: list[tuple[int, float, float]] = []

    def each(iteration: int, inertia: float) -> bool:
        reached.append((iteration, inertia, time.perf_counter() - clock))
        return inertia <= target

    clock = time.perf_counter()
    fit_sparse(rows, options.clusters, options.seed, max_iter=MOST_ITERATIONS, tol=0, each=each)
    iteration, inertia, ours = reached[-1]
    print(f"| ours | {ours:.1f} | {inertia:,.0f} | {iteration} passes |\n\nRatio: {theirs / ours:.1f} ×")
    good = inertia <= target and theirs >= FACTOR * ours
    return [
        Row(
            f"clustering to inertia {target:,.0f}",
            f"{ours:.1f} s",
            f"MiniBatchKMeans, {theirs:.1f} s",
            f"{theirs / ours:.1f} ×",
            f"≥ {FACTOR:g} ×",
            good,
        )
    ]


def _compile(rows: sparse.csr_matrix) -> None:
    fit_sparse(rows, 3, 0, max_iter=2, tol=0)


if __name__ == "__main__":
    sys.exit(main())
