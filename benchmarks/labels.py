"""Throughput of pseudo-labelling, beside scikit-learn's KMeans.predict on the same matrix.

    python -m benchmarks.labels [--comments 200000] [--stage-comments 8000000] [--clusters 5000] [--vocabulary 50000]

1. The nearest centroid of each row of a sparse TF-IDF matrix: ours and scikit-learn's, same threads, labels compared.
2. The whole stage, from shards of posts to shards of labels: on one process and on two, and on a tenth of the posts
   for its memory, each in a process of its own. The shards of ``--comments`` are repeated.
3. The extrapolated cost of labelling the paper's posts.
Comments are synthetic (words by Zipf's law, 7 a comment on average), centroids come from k-means on other comments of
the same kind. Rates are by wall-clock time, and by processor time, which other load on the machine changes less. Exits
with 1 where ours is not 10 times as fast as scikit-learn, labels differ by more than rounding, the stage does not reach
60,000 comments/s on one process, two are not 1.9 times as fast as one, or ten times the posts take a tenth more memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import sklearn
from PIL import Image
from scipy import sparse
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits

from vise_core.engagement.clusterer import Clusterer
from vise_core.engagement.clustering.inverted import InvertedIndex
from vise_core.engagement.clustering.lloyd import fit_sparse
from vise_core.engagement.features.tfidf import TfidfExtractor
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardEntry, ShardWriter, shard_name, write_index
from vise_core.posts.images.decode import encode_jpeg
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.label import LabelSpec
from vise_core.stage import run_stage

from .measures.memory import RSS_UNIT, own_peak_bytes
from .measures.rows import Row, parser_of, verdict
from .measures.zipf import as_text, tfidf, word_counts

COMMENTS_A_POST, SHARDS = 20, 8
PAPER_POSTS, PAPER_CPUS, PAPER_HOURS = 270_000_000, 144, 9
FACTOR, PER_CORE, SCALING, GROWTH = 10.0, 60_000, 1.9, 1.1


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, comments=200_000, clusters=5000, vocabulary=50_000, seed=0)
    parser.add_argument(
        "--stage-comments", type=int, default=8_000_000, help="Comments that the stage labels."
    )
    parser.add_argument(
        "--peer-comments", type=int, default=20_000, help="Comments that scikit-learn labels."
    )
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the tables and return their rows, in comments/s."""
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
    return rows + whole_stage(counts, fitted, centroids, options.stage_comments)


def nearest(
    rows: sparse.csr_matrix, centroids: sparse.csr_matrix, density: float, peer_rows: int, cores: int
) -> list[Row]:
    """Measure the comments/s of the assignment to centroids, ours and scikit-learn's."""
    index = InvertedIndex.build(centroids)
    index.nearest(rows[:100], threads=cores)  # compiles
    peer = KMeans(centroids.shape[0], n_init=1, init=centroids.toarray(), max_iter=1)
    peer.fit(rows[: centroids.shape[0]])
    peer.cluster_centers_ = centroids.toarray()
    sample = rows[:peer_rows]
    peer.predict(sample[:100])
    pools = sorted({f"{pool['internal_api']} {pool['version'] or ''}".strip() for pool in threadpool_info()})
    settings = peer.get_params() | {"init": "the same centroids"}
    print(f"Peer: KMeans {settings}, float32 CSR, {', '.join(pools)}, threads as in the table.\n")
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


def _gap(row: sparse.csr_matrix, a: sparse.csr_matrix, b: sparse.csr_matrix) -> float:
    """Return the difference of the row's squared distances to the centroids ``a`` and ``b``."""
    exact = [((row - c).astype(np.float64).power(2)).sum() for c in (a, b)]
    return abs(float(exact[0] - exact[1]))


@dataclass(frozen=True)
class Ran:
    """Cost of a run of the stage: wall-clock and processor seconds, and the peak memory of a process."""

    seconds: float
    processor: float
    peak_bytes: int


def whole_stage(
    counts: sparse.csr_matrix, fitted: sparse.csr_matrix, centroids: sparse.csr_matrix, stage_comments: int
) -> list[Row]:
    """Measure the comments/s of the stage, from shards of posts to shards of labels."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spec = ClusterSpec.model_validate({"subset": {"cluster_fraction": 1e-9}, "reactions": None})
        assert spec.comments is not None
        extractor = TfidfExtractor.fit(as_text(fitted), spec.comments.extractor)
        columns = _columns(extractor.terms, counts.shape[1])
        Clusterer(spec, extractor, centroids[:, columns].tocsr(), None, True).save(folder / "clusterer")
        shards = write_posts(folder / "once", as_text(counts))
        many = repeat(folder, "many", shards, round(stage_comments / counts.shape[0] * SHARDS))
        few = repeat(folder, "few", shards, max(1, many // 10))
        alone, both = (run_alone(folder, "many", processes) for processes in (1, 2))
        small = run_alone(folder, "few", 1)
    comments = many * counts.shape[0] / SHARDS
    print(f"The stage `label`, shards to shards, {comments:,.0f} comments, start of processes included:\n")
    print("| processes | comments | comments/s | comments per processor second | peak memory of a process |")
    print("|---|---|---|---|---|")
    for processes, share, ran in ((1, few / many, small), (1, 1, alone), (2, 1, both)):
        print(
            f"| {processes} | {share * comments:,.0f} | {share * comments / ran.seconds:,.0f} "
            f"| {share * comments / ran.processor:,.0f} | {ran.peak_bytes / 2**20:,.0f} MiB |"
        )
    scaling, growth = alone.seconds / both.seconds, alone.peak_bytes / small.peak_bytes
    extra = both.processor / alone.processor
    print(f"\nTwo processes: {scaling:.2f} × as fast as one, with {extra:.2f} × the processor time.")
    # By processor time, since other load on the machine is no cost of this work.
    core_hours = PAPER_POSTS * COMMENTS_A_POST / (comments / both.processor) / 3600
    cost = f"{core_hours:,.0f} core hours: {core_hours / PAPER_CPUS:.1f} hours on {PAPER_CPUS} CPUs"
    print(
        f"{PAPER_POSTS:,} posts with {COMMENTS_A_POST} comments each, extrapolated from the rate of two processes: "
        f"{cost}, {core_hours / 16:,.0f} on 16, {core_hours:,.0f} on one. "
        f"Published (App. C.1): {PAPER_HOURS} hours on {PAPER_CPUS} CPUs, {PAPER_HOURS * PAPER_CPUS:,} CPU hours."
    )
    rate = comments / alone.seconds
    return [
        Row(
            "stage label, one process",
            f"{rate:,.0f} comments/s",
            needed=f"≥ {PER_CORE:,}",
            reached=rate >= PER_CORE,
        ),
        Row("the same, a processor second", f"{comments / alone.processor:,.0f} comments"),
        Row(
            "stage label, two processes against one",
            f"{comments / both.seconds:,.0f} comments/s",
            f"one, {rate:,.0f}",
            f"{scaling:.2f} ×",
            f"≥ {SCALING:g} ×",
            scaling >= SCALING,
        ),
        Row(
            "stage label, memory of ten times the posts",
            f"{alone.peak_bytes / 2**20:,.0f} MiB",
            f"a tenth, {small.peak_bytes / 2**20:,.0f} MiB",
            f"{growth:.2f} ×",
            f"≤ {GROWTH:g} ×",
            growth <= GROWTH,
        ),
        Row(f"{PAPER_POSTS / 1e6:.0f}M posts", cost, f"published, {PAPER_HOURS} hours on {PAPER_CPUS} CPUs"),
    ]


def run_alone(folder: Path, posts: str, processes: int) -> Ran:
    """Run the stage in a process of its own, whose peak memory is the stage's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_label, folder, posts, processes).result()


def run_label(folder: Path, posts: str, processes: int) -> Ran:
    """Run the stage; return the cost of this process and its children."""
    work = folder / f"run-{posts}-{processes}"
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    clock = time.perf_counter()
    run_stage(
        "label",
        LabelSpec.model_validate({"compute": {"processes": processes}}),
        {"posts": folder / posts, "clusterer": folder / "clusterer"},
        work,
        LocalReporter(work / "artifacts"),
    )
    seconds = time.perf_counter() - clock
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    spent = sum(a.ru_utime + a.ru_stime - b.ru_utime - b.ru_stime for a, b in zip(after, before, strict=True))
    return Ran(seconds, spent, max(own_peak_bytes(), after[1].ru_maxrss * RSS_UNIT))


def repeat(folder: Path, name: str, shards: list[ShardEntry], many: int) -> int:
    """Make a folder of ``many`` shards that repeat those of ``once``; return ``many``."""
    (folder / name).mkdir()
    entries = [shards[n % len(shards)].model_copy(update={"name": shard_name(n)}) for n in range(many)]
    for n, entry in enumerate(entries):
        (folder / name / entry.name).hardlink_to(folder / "once" / shards[n % len(shards)].name)
    write_index(folder / name, entries, synthetic=True)
    return many


def write_posts(folder: Path, comments: list[str]) -> list[ShardEntry]:
    """Write the comments as posts of ``COMMENTS_A_POST`` comments, in ``SHARDS`` shards."""
    folder.mkdir()
    image = encode_jpeg(Image.new("RGB", (8, 8)))
    shards = []
    for number, part in enumerate(np.array_split(np.arange(0, len(comments), COMMENTS_A_POST), SHARDS)):
        writer = ShardWriter(folder / f"shard-{number:06d}.tar")
        for start in part.tolist():
            post = Post(f"post-{start}", tuple(comments[start : start + COMMENTS_A_POST]), (0, 0, 0, 0, 0))
            writer.write(PostRecord(post, image, "jpg"))
        shards.append(writer.close())
    return shards


def _columns(terms: list[str], vocabulary: int) -> list[int]:
    """Return the column of each of the extractor's terms in the matrix of counts."""
    words = {name: i for i, name in enumerate(as_text(sparse.identity(vocabulary, np.float32, format="csr")))}
    return [words[term] for term in terms]


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
