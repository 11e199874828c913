"""Dense k-means and nearest centroids, beside faiss and scikit-learn on the same rows.

    python -m benchmarks.dense [--rows 60000] [--columns 384] [--clusters 500] [--passes 20] [--rounds 3] [--seed 0]

1. k-means: faiss makes ``--passes`` passes. Ours runs until a pass finds that its centroids have the inertia of faiss's
   last ones. Times include the choice of the first centroids. Both use all cores, take turns, and the best of
   ``--rounds`` counts. scikit-learn makes ``--peer-passes`` passes once, on one thread: more change its sums' order.
2. The nearest centroid of each row, of the same centroids: ours, faiss's exact index and KMeans.predict, all cores.
3. Labels of rows with planted near ties (midway between two centroids, beside a centroid that exists twice), compared
   with brute force in 64 bits.
Rows are synthetic unit vectors in topics of Zipf's sizes. Exits with 1 where ours is slower than faiss's k-means, has
less than 0.9 times the rate of its search, or a label differs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable

import faiss
import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from vise_core.engagement.clustering.dense import DenseIndex
from vise_core.engagement.clustering.lloyd_dense import fit_dense, unit_dense

from .measures.rows import Row, parser_of, verdict
from .measures.times import clocked

Rows = npt.NDArray[np.float32]
FIT, SEARCH = 1.0, 0.9
MOST_PASSES = 100
TOPICS_PER_CLUSTER, NOISE, DECAY, ZIPF = 6, 0.9, 0.35, 0.8
"""Of the generated rows: noise relative to a topic's vector, decay of the columns' scale, and of the topics' sizes."""


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rows=60_000, columns=384, clusters=500, passes=20, rounds=3, seed=0)
    parser.add_argument("--peer-passes", type=int, default=7, help="Passes of scikit-learn.")
    parser.add_argument("--planted", type=int, default=4000, help="Rows with planted near ties.")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the results and return their rows."""
    cores = os.cpu_count() or 1
    faiss.omp_set_num_threads(cores)
    print(
        f"{options.rows:,} x {options.columns} synthetic unit vectors, {options.clusters} clusters; {cores} cores, "
        f"{platform.machine()}, faiss {faiss.__version__}, scikit-learn {sklearn.__version__}\n",
        flush=True,
    )
    rows = embeddings(options.rows, options.columns, options.clusters, options.seed)
    fit_dense(rows[:1000], 5, 0, max_iter=2, tol=0, threads=cores)  # compiles
    kmeans, centroids = fits(rows, options, cores)
    results = [*kmeans, search(rows, centroids, options.rounds, cores), exactness(rows, centroids, options)]
    for row in results:
        print(f"{row.name}: {row.ours}; {row.peer}; {row.ratio}")
    return results


def embeddings(n: int, d: int, clusters: int, seed: int) -> Rows:
    """Return (n, d) float32 unit vectors in topics."""
    rng = np.random.default_rng(seed)
    scale = (1 + np.arange(d)) ** -DECAY
    topics = rng.standard_normal((TOPICS_PER_CLUSTER * clusters, d)) * scale
    sizes = (1 + np.arange(len(topics))) ** -ZIPF
    rows = rng.standard_normal((n, d), np.float32) * (NOISE * scale).astype(np.float32)
    rows += topics[rng.choice(len(topics), n, p=sizes / sizes.sum())].astype(np.float32)
    return unit_dense(rows)


def fits(rows: Rows, options: argparse.Namespace, cores: int) -> tuple[list[Row], Rows]:
    """Measure k-means; return its rows and faiss's centroids."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        peer = faiss.Kmeans(
            rows.shape[1],
            options.clusters,
            niter=options.passes,
            seed=options.seed + 1,
            # All rows are training points, as for ours.
            max_points_per_centroid=options.rows,
            min_points_per_centroid=1,
        )
        theirs.append(clocked(lambda peer=peer: peer.train(rows)) / 1000)
        centroids = peer.centroids.reshape(options.clusters, -1)
        target = float(DenseIndex.build(centroids).nearest(rows, threads=cores)[1].sum())
        ours.append(fit_ours(rows, options, target, cores))
        print(f"faiss {theirs[-1]:.2f} s, inertia {target:,.1f}; ours {ours[-1]}", flush=True)
    seconds, passes, inertia = min(ours)
    reached = inertia <= target
    ratio = min(theirs) / seconds
    model = KMeans(options.clusters, n_init=1, max_iter=options.peer_passes, tol=0, random_state=options.seed)
    with threadpool_limits(1):
        one_thread = clocked(lambda: model.fit(rows)) / 1000
    text = f"{seconds:.2f} s, {passes} passes, inertia {inertia:,.0f}"
    return [
        Row(
            "dense k-means to faiss's inertia",
            text if reached else f"not reached: {text}",
            f"faiss, {min(theirs):.2f} s, {options.passes} passes, inertia {target:,.0f}",
            f"{ratio:.2f} ×",
            f"≥ {FIT:g} ×",
            reached and ratio >= FIT,
        ),
        Row(
            "the same, beside scikit-learn",
            text,
            f"KMeans on one thread, {one_thread:.2f} s, {model.n_iter_} passes, inertia {model.inertia_:,.0f}",
            f"{one_thread / seconds:.1f} ×",
        ),
    ], centroids


def fit_ours(rows: Rows, options: argparse.Namespace, target: float, cores: int) -> tuple[float, int, float]:
    """Return (seconds, passes, inertia) at which ours has at most the inertia ``target``."""
    last = (0.0, 0, np.inf)
    clock = time.perf_counter()

    def on_pass(number: int, inertia: float) -> bool:
        nonlocal last
        last = (time.perf_counter() - clock, number, inertia)
        return inertia <= target

    fit_dense(
        rows, options.clusters, options.seed, max_iter=MOST_PASSES, tol=0, threads=cores, on_pass=on_pass
    )
    return last


def search(rows: Rows, centroids: Rows, rounds: int, cores: int) -> Row:
    """Measure the rows/s of the assignment to centroids."""
    peer = KMeans(len(centroids), n_init=1, init=centroids, max_iter=1).fit(rows[: 2 * len(centroids)])
    peer.cluster_centers_ = centroids
    flat = faiss.IndexFlatL2(rows.shape[1])
    flat.add(centroids)
    index = DenseIndex.build(centroids)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: index.nearest(rows, threads=cores),
        "faiss": lambda: flat.search(rows, 1),
        "KMeans.predict": lambda: peer.predict(rows),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(clocked(call))
    rates = {name: 1000 * len(rows) / min(each) for name, each in times.items()}
    ratio = rates["ours"] / rates["faiss"]
    return Row(
        "nearest dense centroid",
        f"{rates['ours']:,.0f} rows/s",
        f"faiss, {rates['faiss']:,.0f}, KMeans.predict, {rates['KMeans.predict']:,.0f}",
        f"{ratio:.2f} ×",
        f"≥ {SEARCH:g} ×",
        ratio >= SEARCH,
    )


def exactness(rows: Rows, centroids: Rows, options: argparse.Namespace) -> Row:
    """Count labels of rows with near ties that differ from brute force in 64 bits."""
    rng = np.random.default_rng(options.seed)
    twice = centroids.copy()
    twice[1::2] = twice[: 2 * (len(twice) // 2) : 2]
    # The second of each pair is the first, or differs from it in the last bit of some columns.
    moved = rng.random(twice.shape) < rng.choice([0, 0.1], (len(twice), 1))
    twice[moved] = np.nextafter(twice[moved], np.float32(1))
    one, other = rng.integers(0, len(twice), (2, options.planted))
    planted = ((twice[one] + twice[other]) / 2).astype(np.float32)
    planted[::4] = rows[: len(planted[::4])]
    planted[1::4] = twice[one[1::4]]
    labels, _ = DenseIndex.build(twice).nearest(planted, threads=os.cpu_count() or 1)
    expected = brute_force(planted, twice)
    flat = faiss.IndexFlatL2(rows.shape[1])
    flat.add(twice)
    differ = int((labels != expected).sum())
    theirs = int((flat.search(planted, 1)[1][:, 0] != expected).sum())
    return Row(
        "labels that differ from brute force in 64 bits, near ties",
        f"{differ} of {len(planted):,}",
        f"faiss, {theirs:,}",
        needed="0",
        reached=differ == 0,
    )


def brute_force(rows: Rows, centroids: Rows) -> npt.NDArray[np.int64]:
    """Return the first of the nearest centroids of each row, by distances in 64 bits."""
    labels = np.empty(len(rows), np.int64)
    wide = centroids.astype(np.float64)
    for i, row in enumerate(rows.astype(np.float64)):
        # The sum over the columns in their order, as a plain loop adds them up.
        labels[i] = np.add.reduce(np.ascontiguousarray(((row - wide) ** 2).T), axis=0).argmin()
    return labels


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
