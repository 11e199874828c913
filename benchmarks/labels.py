"""How fast do comments get their pseudo-labels, against scikit-learn's KMeans.predict on the same matrix?

    python -m benchmarks.labels [--comments 200000] [--clusters 5000] [--vocabulary 50000] [--seed 0]

1. The nearest of the centroids for a sparse TF-IDF matrix: ours and scikit-learn's, same threads, labels compared.
2. The whole stage, from shards of posts to shards of labels, on one and on two processes.
Comments are synthetic (words by Zipf's law, 7 a comment on average), centroids come from k-means on other comments of the same kind.
Exits 1 where ours is not 10 times as fast as scikit-learn, labels differ in more than rounding explains, the stage
does not reach 60,000 comments a second and core, or two processes are not 1.9 times as fast as one.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sklearn
from PIL import Image
from scipy import sparse
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from vise_core.engagement.clusterer import Clusterer
from vise_core.engagement.inverted import InvertedIndex
from vise_core.engagement.lloyd import fit_sparse
from vise_core.engagement.tfidf import TfidfExtractor
from vise_core.posts.images import encode_jpeg
from vise_core.posts.records import Post, PostRecord
from vise_core.posts.shards import ShardWriter, write_index
from vise_core.reporter import LocalReporter
from vise_core.specs.engagement import ClusterSpec, LabelSpec
from vise_core.stage import run_stage

from .rows import Row, verdict
from .zipf import as_text, tfidf, word_counts

COMMENTS_A_POST, SHARDS = 20, 8
PAPER_POSTS, PAPER_CPUS, PAPER_HOURS = 270_000_000, 144, 9
FACTOR, PER_CORE, SCALING = 10.0, 60_000, 1.9


def main() -> int:
    return verdict(measure(parser().parse_args()))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comments", type=int, default=200_000)
    parser.add_argument("--clusters", type=int, default=5000)
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--peer-comments", type=int, default=20_000, help="As many go through scikit-learn.")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the tables; comments a second."""
    cores = os.cpu_count() or 1
    print(
        f"{options.comments:,} synthetic comments, vocabulary {options.vocabulary:,}, {options.clusters:,} clusters; "
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, scikit-learn {sklearn.__version__}\n"
    )
    fitted = word_counts(10 * options.clusters, options.vocabulary, options.seed)
    centroids, _ = fit_sparse(tfidf(fitted), options.clusters, options.seed, max_iter=5, tol=0)
    density = centroids.nnz / (centroids.shape[0] * centroids.shape[1])
    counts = word_counts(options.comments, options.vocabulary, options.seed + 1)
    rows = nearest(tfidf(counts), centroids, density, options.peer_comments, cores)
    return rows + whole_stage(counts, fitted, centroids)


def nearest(
    rows: sparse.csr_matrix, centroids: sparse.csr_matrix, density: float, peer_rows: int, cores: int
) -> list[Row]:
    """Comments a second of the bare assignment, ours and scikit-learn's."""
    index = InvertedIndex.build(centroids)
    index.nearest(rows[:100], threads=cores)  # compiles
    peer = KMeans(centroids.shape[0], n_init=1, init=centroids.toarray(), max_iter=1)
    peer.fit(rows[: centroids.shape[0]])
    peer.cluster_centers_ = centroids.toarray()
    sample = rows[:peer_rows]
    peer.predict(sample[:100])
    rates: dict[tuple[str, int], float] = {}
    for threads in sorted({1, cores}):
        clock = time.perf_counter()
        labels, _ = index.nearest(rows, threads=threads)
        rates["ours", threads] = rows.shape[0] / (time.perf_counter() - clock)
        with threadpool_limits(limits=threads):
            clock = time.perf_counter()
            theirs = peer.predict(sample)
            rates["scikit-learn", threads] = sample.shape[0] / (time.perf_counter() - clock)
    print(
        f"Nearest centroid (centroids {density:.2%} dense):\n\n| threads | ours, comments/s | KMeans.predict | ratio |"
    )
    print("|---|---|---|---|")
    for threads in sorted({1, cores}):
        ours, other = rates["ours", threads], rates["scikit-learn", threads]
        print(f"| {threads} | {ours:,.0f} | {other:,.0f} | {ours / other:.1f} × |")
    differ = np.flatnonzero(labels[: len(theirs)] != theirs)
    gaps = [_gap(sample[[i]], centroids[[labels[i]]], centroids[[theirs[i]]]) for i in differ.tolist()]
    worst = max(gaps, default=0.0)
    print(
        f"\nLabels: {len(differ)} of {len(theirs):,} differ, all between centroids whose distances differ by at most "
        f"{worst:.1e} (scikit-learn adds up in 32 bits).\n"
    )
    ours, other = rates["ours", cores], rates["scikit-learn", cores]
    return [
        Row(
            "nearest centroid",
            f"{ours:,.0f} comments/s",
            f"KMeans.predict, {other:,.0f}",
            f"{ours / other:.1f} ×",
            f"≥ {FACTOR:g} ×",
            ours >= FACTOR * other,
        ),
        Row("labels that differ, by distance", f"{worst:.1e}", needed="< 1e-05", reached=worst < 1e-5),
    ]


def _gap(row: sparse.csr_matrix, one: sparse.csr_matrix, other: sparse.csr_matrix) -> float:
    """How much nearer the one centroid is than the other, in squared distance."""
    exact = [((row - c).astype(np.float64).power(2)).sum() for c in (one, other)]
    return abs(float(exact[0] - exact[1]))


def whole_stage(
    counts: sparse.csr_matrix, fitted: sparse.csr_matrix, centroids: sparse.csr_matrix
) -> list[Row]:
    """Comments a second from shards of posts to shards of labels."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spec = ClusterSpec.model_validate({"subset": {"cluster_fraction": 1e-9}, "reactions": None})
        assert spec.comments is not None
        extractor = TfidfExtractor.fit(as_text(fitted), spec.comments.extractor)
        columns = _columns(extractor.terms, counts.shape[1])
        Clusterer(spec, extractor, centroids[:, columns].tocsr(), None, True).save(folder / "clusterer")
        write_posts(folder / "posts", as_text(counts))
        rates = {}
        for processes in (1, 2):
            run = folder / f"run-{processes}"
            clock = time.perf_counter()
            run_stage(
                "label",
                LabelSpec.model_validate({"compute": {"processes": processes}}),
                {"posts": folder / "posts", "clusterer": folder / "clusterer"},
                run,
                LocalReporter(run / "artifacts"),
            )
            rates[processes] = counts.shape[0] / (time.perf_counter() - clock)
    print("The stage `label`, shards to shards, start of processes included:\n")
    for processes, rate in rates.items():
        print(f"- {processes} process(es): {rate:,.0f} comments/s, {rate / processes:,.0f} a core")
    print(f"- two processes against one: {rates[2] / rates[1]:.2f} ×")
    hours = PAPER_POSTS * COMMENTS_A_POST / (rates[2] / 2) / 3600
    print(
        f"- {PAPER_POSTS:,} posts with {COMMENTS_A_POST} comments each would take {hours:,.0f} core hours at this rate; "
        f"published (App. C.1): {PAPER_HOURS} hours on {PAPER_CPUS} CPUs, {PAPER_HOURS * PAPER_CPUS:,} CPU hours"
    )
    scaling = rates[2] / rates[1]
    return [
        Row(
            "stage label, one process",
            f"{rates[1]:,.0f} comments/s",
            needed=f"≥ {PER_CORE:,}",
            reached=rates[1] >= PER_CORE,
        ),
        Row(
            "stage label, two processes against one",
            f"{rates[2]:,.0f} comments/s",
            f"one, {rates[1]:,.0f}",
            f"{scaling:.2f} ×",
            f"≥ {SCALING:g} ×",
            scaling >= SCALING,
        ),
    ]


def write_posts(folder: Path, comments: list[str]) -> None:
    """The comments as posts of COMMENTS_A_POST each, in SHARDS shards."""
    folder.mkdir()
    image = encode_jpeg(Image.new("RGB", (8, 8)))
    shards = []
    for number, part in enumerate(np.array_split(np.arange(0, len(comments), COMMENTS_A_POST), SHARDS)):
        writer = ShardWriter(folder / f"shard-{number:06d}.tar")
        for start in part.tolist():
            post = Post(f"post-{start}", tuple(comments[start : start + COMMENTS_A_POST]), (0, 0, 0, 0, 0))
            writer.write(PostRecord(post, image, "jpg"))
        shards.append(writer.close())
    write_index(folder, shards, synthetic=True)


def _columns(terms: list[str], vocabulary: int) -> list[int]:
    """Where each term of the extractor stands in the matrix of counts."""
    words = {name: i for i, name in enumerate(as_text(sparse.identity(vocabulary, np.float32, format="csr")))}
    return [words[term] for term in terms]


if __name__ == "__main__":
    sys.exit(main())
