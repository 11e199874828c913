"""Growth of time and memory a unit with the size: posts to label, runs to list and search, points to log and draw.

    python -m benchmarks.growth [--largest 10000000] [--only posts runs points] [--repeats 20] [--plot growth.png]

Sizes grow tenfold: posts 1e4 to 1e6, runs 1e2 to 1e5, points of one curve 1e4 to 1e7, up to ``--largest``. Each size
is measured in processes and a database of its own, so that the peak of memory is that of the size.

- labelling: the stage ``label`` on posts with two short comments, shards to shards, in one process that has
  labelled before; a unit is a post.
- list, search: a page of 25 runs through the API, newest first, or with a filter and sorted by a metric; a unit
  is a page. For the search that also counts all matches, as the run list does, a unit is a run.
- logging: the reporter of a worker's run, one metric; a unit is a point.
- curve: that curve down-sampled to 500 points through the API; a unit is a point.

Times of pages and curves are the p50; memory is the peak of the measured process: the API's, or this one without.
Exits with 1 where a unit costs over 20 % more at any size than at the smallest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import text

from backend.store.database import connect
from benchmarks.measures.times import time_calls
from benchmarks.stack.database import fill_database
from benchmarks.stack.servers import running
from benchmarks.tracking_mlflow import held_run
from vise_client.client import ViseClient
from vise_client.schemas.metrics import MetricQuery
from worker.reporter import StoreReporter

from .measures.memory import own_peak_bytes, peak_bytes
from .measures.rows import Row, parser_of, verdict

SIZES = {
    "posts": (10_000, 100_000, 1_000_000),
    "runs": (100, 1000, 10_000, 100_000),
    "points": (10_000, 100_000, 1_000_000, 10_000_000),
}
SHARD, CLUSTERS, VOCABULARY = 10_000, 500, 5000
TOLERANCE = 1.2


@dataclass(frozen=True)
class Measured:
    """Seconds and peak memory of work of ``units`` units."""

    what: str
    size: int
    units: int
    seconds: float
    peak_bytes: int

    def against(self, first: Measured) -> tuple[float, float]:
        """Return the seconds and the bytes a unit, relative to those of ``first``."""
        units = first.units / self.units
        return units * self.seconds / first.seconds, units * self.peak_bytes / first.peak_bytes


def main() -> int:
    options = parser().parse_args()
    if options.one:
        rows = MEASURES[options.one[0]](int(options.one[1]), options.repeats)
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    return verdict(measure(options))


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, largest=10_000_000, repeats=20)
    parser.add_argument("--only", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--plot", type=Path, help="PNG file to write a plot to.")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "SIZE"), help=argparse.SUPPRESS)
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the table of all sizes; return the worst size of each kind of work."""
    rows: list[Measured] = []
    for what in options.only:
        for size in SIZES[what]:
            if size <= options.largest:
                command = [sys.executable, "-m", "benchmarks.growth", "--one", what, str(size)]
                command += ["--repeats", str(options.repeats)]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                rows += [Measured(**each) for each in json.loads(output.splitlines()[-1])]
                print(f"{what} {size:,}: done", file=sys.stderr, flush=True)
    table(rows)
    if options.plot:
        plot(rows, options.plot)
    return worst(rows)


def worst(rows: list[Measured]) -> list[Row]:
    """Return the greatest cost a unit of each kind of work, relative to its smallest size."""
    worst_rows = []
    for what in dict.fromkeys(row.what for row in rows):
        first, *larger = sorted((row for row in rows if row.what == what), key=lambda row: row.size)
        slower, fatter = map(max, zip(*(row.against(first) for row in larger or [first]), strict=True))
        last = larger[-1] if larger else first
        worst_rows.append(
            Row(
                f"growth: {what}, {first.size:,} to {last.size:,}",
                f"{1e6 * last.seconds / last.units:,.2f} µs a unit at last",
                ratio=f"time {slower:.2f} ×, memory {fatter:.2f} ×",
                needed=f"≤ {TOLERANCE:g} ×",
                reached=max(slower, fatter) <= TOLERANCE,
            )
        )
    return worst_rows


def table(rows: list[Measured]) -> None:
    """Print all measurements as a Markdown table."""
    print("| what | size | µs a unit | against the first | peak, MB | kB a unit | against the first |")
    print("|---|---|---|---|---|---|---|")
    first: dict[str, Measured] = {}
    for row in sorted(rows, key=lambda row: (row.what, row.size)):
        slower, fatter = row.against(first.setdefault(row.what, row))
        print(
            f"| {row.what} | {row.size:,} | {1e6 * row.seconds / row.units:,.2f} | {slower:.2f} "
            f"| {row.peak_bytes / 1e6:,.0f} | {row.peak_bytes / row.units / 1e3:,.2f} | {fatter:.2f} |"
        )


def plot(rows: list[Measured], path: Path) -> None:
    """Draw time and memory per unit over the size, both relative to the first size, as a small PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for what in dict.fromkeys(row.what for row in rows):
        rising = sorted((row for row in rows if row.what == what), key=lambda row: row.size)
        sizes = [row.size for row in rising]
        costs = zip(*(row.against(rising[0]) for row in rising), strict=True)
        for axes, ratios in zip((left, right), costs, strict=True):
            axes.plot(sizes, ratios, marker="o", label=what)
    for axes, title in ((left, "time a unit"), (right, "peak memory a unit")):
        axes.axhline(TOLERANCE, color="grey", linestyle=":")
        axes.set(xscale="log", yscale="log", xlabel="size", title=f"{title}, first size = 1")
    left.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=80)


def label_posts(posts: int, _: int) -> list[Measured]:
    """Measure the stage ``label`` on repeated copies of one shard: making a million posts takes longer than labelling."""
    from PIL import Image
    from scipy import sparse

    from benchmarks.measures.zipf import as_text, tfidf, word_counts
    from vise_core.engagement.clusterer import Clusterer
    from vise_core.engagement.clustering.lloyd import fit_sparse
    from vise_core.engagement.features.tfidf import TfidfExtractor
    from vise_core.formats.post import Post, PostRecord
    from vise_core.formats.posts import ShardWriter, write_index
    from vise_core.posts.images.decode import encode_jpeg
    from vise_core.reporter import LocalReporter
    from vise_core.specs.cluster import ClusterSpec
    from vise_core.specs.label import LabelSpec
    from vise_core.stage import run_stage

    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        fitted = word_counts(20 * CLUSTERS, VOCABULARY, 0)
        spec = ClusterSpec.model_validate({"subset": {"cluster_fraction": 1e-9}, "reactions": None})
        assert spec.comments is not None
        extractor = TfidfExtractor.fit(as_text(fitted), spec.comments.extractor)
        words = as_text(sparse.identity(VOCABULARY, format="csr"))
        place = {name: number for number, name in enumerate(words)}
        centroids, _inertia = fit_sparse(tfidf(fitted), CLUSTERS, 0, max_iter=5, tol=0)
        columns = [place[term] for term in extractor.terms]
        Clusterer(spec, extractor, centroids[:, columns].tocsr(), None, True).save(folder / "clusterer")

        comments = as_text(word_counts(2 * SHARD, VOCABULARY, 1))
        image = encode_jpeg(Image.new("RGB", (8, 8)))
        (folder / "one").mkdir()
        writer = ShardWriter(folder / "one" / "shard-000000.tar")
        for number in range(SHARD):
            pair = (comments[2 * number], comments[2 * number + 1])
            writer.write(PostRecord(Post(f"post-{number}", pair, (0, 0, 0, 0, 0)), image, "jpg"))
        shard = writer.close()
        write_index(folder / "one", [shard], synthetic=True)
        (folder / "all").mkdir()
        shards = [
            shard.model_copy(update={"name": f"shard-{number:06d}.tar"}) for number in range(posts // SHARD)
        ]
        for each in shards:
            (folder / "all" / each.name).hardlink_to(folder / "one" / shard.name)
        write_index(folder / "all", shards, synthetic=True)

        def label(name: str) -> float:
            inputs = {"posts": folder / name, "clusterer": folder / "clusterer"}
            work = folder / f"work-{name}"
            label_spec = LabelSpec.model_validate({"compute": {"processes": 1}})
            began = time.perf_counter()
            run_stage("label", label_spec, inputs, work, LocalReporter(work / "artifacts"))
            return time.perf_counter() - began

        label("one")
        return [Measured("labelling", posts, posts, label("all"), own_peak_bytes())]


def list_runs(size: int, repeats: int) -> list[Measured]:
    """Measure listing and searching ``size`` runs through the API."""
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with running(folder, pages=False) as servers:
            fill_database(servers["database"], size, 8 * size)
            query, sort = "stage = evaluate and metric.val_accuracy > 60", "-metric.val_accuracy"
            page = {"limit": 25, "all": True}
            with ViseClient(servers["api"], servers["token"]) as client:
                calls: dict[str, Callable[[], object]] = {
                    "list": lambda: client.runs(**page),
                    "search": lambda: client.runs(**page, query=query, sort=sort),
                    "search and count": lambda: client.runs(**page, query=query, sort=sort, count=True),
                }
                took = time_calls(calls, repeats)
            units = {"list": 1, "search": 1, "search and count": size}
            peak = peak_bytes(int(servers["pid"]))
            return [Measured(what, size, units[what], p50 / 1000, peak) for what, (p50, _) in took.items()]


def log_and_draw(points: int, repeats: int) -> list[Measured]:
    """Measure logging ``points`` points of one metric, and reading them back as a curve."""
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with running(folder, pages=False) as servers:
            with held_run(servers) as (context, run_id, token):
                reporter = StoreReporter(context, run_id, token)
                began = time.perf_counter()
                for step in range(points):
                    reporter.metrics(step, {"loss": 1 / (1 + step)}, epoch=step / 100)
                reporter.close()
                logged = Measured("logging", points, points, time.perf_counter() - began, own_peak_bytes())
            engine = connect(servers["database"])
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE metric_points, metric_chunks"))
            engine.dispose()
            query = MetricQuery(run_ids=[run_id], keys=["loss"], points=500)
            with ViseClient(servers["api"], servers["token"]) as client:
                assert client.curves(query)[0].total == points
                ((p50, _),) = time_calls({"curve": lambda: client.curves(query)}, repeats).values()
            return [logged, Measured("curve", points, points, p50 / 1000, peak_bytes(int(servers["pid"])))]


MEASURES: dict[str, Callable[[int, int], list[Measured]]] = {
    "posts": label_posts,
    "runs": list_runs,
    "points": log_and_draw,
}

if __name__ == "__main__":
    sys.exit(main())
