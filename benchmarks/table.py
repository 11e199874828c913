"""The benchmarks of this folder as commands, and one table of what they reach."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from .rows import Row

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "numba", "fastapi", "sqlalchemy")


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder; ``small`` are the arguments of ``make bench``, where it takes part in that.

    ``rows``: it has ``parser()`` and ``measure(options)``, which returns rows. Of others the exit code counts.
    """

    module: str
    small: tuple[str, ...] | None
    rows: bool = True


REGISTRY = (
    Benchmark(
        "labels",
        ("--comments", "40000", "--stage-comments", "80000", "--clusters", "1000", "--peer-comments", "5000"),
    ),
    Benchmark("clustering", ("--comments", "20000", "--clusters", "200", "--vocabulary", "5000")),
    Benchmark("near_duplicates", ("--images", "1000", "--copies", "50")),
    Benchmark("linear", ("--epochs", "5", "--peer-splits", "1")),
    Benchmark("training", ("--steps", "10", "--rounds", "3", "--loader-images", "64")),
    Benchmark("startup", ("--repeats", "3")),
    Benchmark("prediction", ("--requests", "8", "--images", "32", "--rounds", "1")),
    Benchmark(
        "tracking_pages",
        ("--runs", "300", "--points", "20000", "--repeats", "3", "--no-browser"),
        rows=False,
    ),
    # These take minutes; smaller they say nothing.
    Benchmark("tracking_mlflow", None, rows=False),
    Benchmark("growth", None, rows=False),
    Benchmark("science", None),
)


@dataclass(frozen=True)
class Ran:
    """What a benchmark's command did."""

    benchmark: Benchmark
    arguments: tuple[str, ...]
    code: int
    rows: tuple[Row, ...]
    seconds: float

    @property
    def command(self) -> str:
        return " ".join(["python", "-m", f"benchmarks.{self.benchmark.module}", *self.arguments])


def run(benchmark: Benchmark, *, full: bool) -> Ran:
    """Run it in a process of its own; what it prints goes to the error stream."""
    arguments = () if full else benchmark.small or ()
    command = [sys.executable, "-m"]
    clock = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "rows.json"
        if benchmark.rows:
            command += ["benchmarks.rows", benchmark.module, str(file), *arguments]
        else:
            command += [f"benchmarks.{benchmark.module}", *arguments]
        code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
        # An import error exits with 1 too, but leaves no rows.
        found = [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []
    if not benchmark.rows and code in (0, 1):
        found = [Row(benchmark.module, "see its own tables", reached=code == 0)]
    elif not found:
        found = [Row(benchmark.module, f"did not run to its end, exit {code}", reached=False)]
        code = code or 2
    return Ran(benchmark, arguments, code, tuple(found), time.perf_counter() - clock)


def broke(ran: Ran) -> bool:
    """Whether it did not run to its end."""
    return ran.rows[0].ours.startswith("did not run")


def table(ran: Sequence[Ran]) -> str:
    """Markdown."""
    words = {True: "yes", False: "no", None: ""}
    cells = [
        (row.name, row.ours, row.peer, row.ratio, row.needed, words[row.reached])
        for one in ran
        for row in one.rows
    ]
    head = ("name", "ours", "peer", "ratio", "needed", "reached")
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *cells))


def machine() -> str:
    """Processor, cores and memory, system and versions, in one paragraph."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)):
        model = found.group(1)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, {packages}."
    )


def document(ran: Sequence[Ran], *, full: bool) -> str:
    """The page that ``--write`` writes."""
    size = (
        "Each benchmark at its own size."
        if full
        else "Each benchmark in a small size; the figures are for the full one."
    )
    commands = "\n".join(f"- `{one.command}`: {one.seconds:.0f} s, exit {one.code}" for one in ran)
    return (
        "# Performance\n\n"
        f"Written by `python -m benchmarks --write` on {datetime.now(UTC):%Y-%m-%d}. {size}\n\n"
        f"{machine()}\n\n{table(ran)}\n{commands}\n"
    )
