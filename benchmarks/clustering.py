"""How fast do comments become clusters, against scikit-learn's MiniBatchKMeans on the same matrix to the same inertia?

    python -m benchmarks.clustering [--comments 1000000] [--clusters 5000] [--vocabulary 50000] [--seed 0]

scikit-learn's runs first, with the batch size that its documentation recommends (more than 256 times the cores; here
1024 times) and everything else at its default, until it stops by itself. Then ours, until the inertia over all
comments is no higher. Both use all cores. Time of both includes choosing the first centroids; processor seconds are
those of all threads, and say what a machine that does other things too hides. Comments are synthetic (words by Zipf's
law). Exits 1 where ours is not 5 times as fast.
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
from threadpoolctl import threadpool_info

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
    peer = MiniBatchKMeans(options.clusters, batch_size=batch, random_state=options.seed)
    pools = ", ".join(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info())
    print(f"Peer: {peer.get_params()}; threads: {pools}\n", flush=True)
    clock, spent = time.perf_counter(), time.process_time()
    peer.fit(rows)
    theirs, their_cpu = time.perf_counter() - clock, time.process_time() - spent
    index = InvertedIndex.build(sparse.csr_matrix(peer.cluster_centers_))
    target = float(index.nearest(rows, threads=cores)[1].sum())
    print("| | seconds | processor seconds | inertia over all comments | steps |\n|---|---|---|---|---|")
    print(
        f"| MiniBatchKMeans, batches of {batch} | {theirs:.1f} | {their_cpu:.1f} | {target:,.0f} | {peer.n_steps_} batches |",
        flush=True,
    )
    reached: list[tuple[int, float, float, float]] = []

    def each(iteration: int, inertia: float) -> bool:
        reached.append((iteration, inertia, time.perf_counter() - clock, time.process_time() - spent))
        return inertia <= target

    clock, spent = time.perf_counter(), time.process_time()
    fit_sparse(rows, options.clusters, options.seed, max_iter=MOST_ITERATIONS, tol=0, each=each)
    passes, inertia, ours, our_cpu = reached[-1]
    print(
        f"| ours | {ours:.1f} | {our_cpu:.1f} | {inertia:,.0f} | {passes} passes |\n\n"
        f"Ratio: {theirs / ours:.1f} ×; of processor seconds {their_cpu / our_cpu:.1f} ×"
    )
    good = inertia <= target and theirs >= FACTOR * ours
    return [
        Row(
            f"clustering to inertia {target:,.0f}",
            f"{ours:.1f} s",
            f"MiniBatchKMeans, {theirs:.1f} s",
            f"{theirs / ours:.1f} ×",
            f"≥ {FACTOR:g} ×",
            good,
        ),
        Row(
            "the same, processor seconds",
            f"{our_cpu:.1f} s",
            f"{their_cpu:.1f} s",
            f"{their_cpu / our_cpu:.1f} ×",
        ),
    ]


def _compile(rows: sparse.csr_matrix) -> None:
    fit_sparse(rows, 3, 0, max_iter=2, tol=0)


if __name__ == "__main__":
    sys.exit(main())
