"""The benchmarks of this folder as commands, and one table of their results."""

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

from .measures.cores import cores_now
from .measures.rows import Row

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "numba", "fastapi", "sqlalchemy")
GROWTH = "growth.png"
SECTION = "\n## "
CORES = (
    "Cores are how many times as fast large matrix products were with all threads as with one, before and after: a host "
    "may give two virtual processors one core between them for a while, and moves them."
)


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder with ``parser()``, and ``measure(options)`` that returns rows.

    ``small``: arguments in ``make bench``; None where it is not part of that.
    """

    module: str
    small: tuple[str, ...] | None


REGISTRY = (
    Benchmark(
        "labels",
        ("--comments", "40000", "--stage-comments", "80000", "--clusters", "1000", "--peer-comments", "5000"),
    ),
    Benchmark("clustering", ("--comments", "20000", "--clusters", "200", "--vocabulary", "5000")),
    Benchmark(
        "dense",
        ("--rows", "4000", "--columns", "64", "--clusters", "50", "--rounds", "1", "--planted", "400"),
    ),
    Benchmark("near_duplicates", ("--images", "1000", "--copies", "50")),
    Benchmark("linear", ("--epochs", "5", "--peer-splits", "1")),
    Benchmark(
        "training", ("--steps", "10", "--rounds", "3", "--loader-rounds", "3", "--loader-images", "64")
    ),
    Benchmark("gpu", None),
    Benchmark("startup", ("--repeats", "3")),
    Benchmark("prediction", ("--requests", "8", "--images", "32", "--rounds", "1")),
    Benchmark("tracking_pages", ("--runs", "300", "--points", "20000", "--repeats", "3", "--no-browser")),
    # These take minutes; a smaller size would not be meaningful.
    Benchmark("tracking_mlflow", None),
    Benchmark("growth", None),
    Benchmark("science", None),
)


@dataclass(frozen=True)
class Ran:
    """A finished run of a benchmark. ``cores``: ``cores_now`` before and after it."""

    benchmark: Benchmark
    arguments: tuple[str, ...]
    code: int
    rows: tuple[Row, ...]
    seconds: float
    cores: tuple[float, float]

    @property
    def command(self) -> str:
        """Return the command line of the run."""
        return " ".join(["python", "-m", f"benchmarks.{self.benchmark.module}", *self.arguments])


def run(benchmark: Benchmark, *, full: bool, plots: Path | None = None) -> Ran:
    """Run a benchmark in a process of its own. Its output goes to standard error, its plots to the folder ``plots``."""
    arguments = () if full else benchmark.small or ()
    if plots is not None and benchmark.module == "growth":
        arguments += ("--plot", str(plots / GROWTH))
    cores, clock = cores_now(), time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "rows.json"
        command = [sys.executable, "-m", "benchmarks.measures.rows", benchmark.module, str(file), *arguments]
        code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
        # An import error exits with 1 too, but leaves no rows.
        rows = [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []
    if not rows:
        rows = [Row(benchmark.module, f"did not run to its end, exit {code}", reached=False)]
        code = code or 2
    seconds = time.perf_counter() - clock
    return Ran(benchmark, arguments, code, tuple(rows), seconds, (cores, cores_now()))


def broke(ran: Ran) -> bool:
    """Return whether a benchmark broke off without results."""
    return ran.rows[0].ours.startswith("did not run")


def table(ran: Sequence[Ran]) -> str:
    """Return a Markdown table. Repeated runs share a line that lists the results of each."""
    by_name: dict[str, list[Row]] = {}
    for row in (row for each in ran for row in each.rows):
        by_name.setdefault(row.name, []).append(row)
    columns = ("ours", "peer", "ratio", "needed")
    cells = [
        (name, *(_all([getattr(row, column) for row in rows]) for column in columns), _reached(rows))
        for name, rows in by_name.items()
    ]
    head = ("name", "ours", "peer", "ratio", "needed", "reached")
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *cells))


def _all(values: Sequence[str]) -> str:
    """Join the values of several runs; equal ones count once."""
    return "; ".join(values if len(set(values)) > 1 else values[:1])


def _reached(rows: Sequence[Row]) -> str:
    if all(row.reached is None for row in rows):
        return ""
    times = sum(bool(row.reached) for row in rows)
    return f"{times} of {len(rows)}" if len(rows) > 1 else "yes" if times else "no"


def machine() -> str:
    """Return processor, cores, memory, system and versions in one paragraph."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (match := re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)):
        model = match.group(1)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    # Without the name of the build, which differs from one virtual machine of a host to the next.
    kernel = platform.release().partition("-")[0]
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {kernel}; "
        f"Python {platform.python_version()}, {packages}."
    )


def document(ran: Sequence[Ran], *, full: bool, before: str = "") -> str:
    """Return the page that ``--write`` writes: a dated section for each benchmark.

    ``before``: the page so far. Its sections of other benchmarks stay if machine, versions and size are the same.
    """
    size = (
        "Each benchmark at its own size."
        if full
        else "Each benchmark in a small size; the figures are for the full one."
    )
    head = f"# Performance\n\nWritten by `python -m benchmarks --write`. {size} {CORES}\n\n{machine()}\n"
    old_head, *old = before.split(SECTION)
    sections = {part.partition("\n")[0]: part for part in old} if old_head == head else {}
    by_module: dict[str, list[Ran]] = {}
    for each in ran:
        by_module.setdefault(each.benchmark.module, []).append(each)
    sections |= {module: _section(module, runs) for module, runs in by_module.items()}
    order = [benchmark.module for benchmark in REGISTRY if benchmark.module in sections]
    return SECTION.join([head, *(sections[module] for module in order)])


def _section(module: str, ran: Sequence[Ran]) -> str:
    took = ", ".join(
        f"{each.seconds:.0f} s (exit {each.code}; {each.cores[0]:.1f} and {each.cores[1]:.1f} cores)"
        for each in ran
    )
    picture = f"\n![Cost a unit over the size of the work]({GROWTH})\n" if module == "growth" else ""
    return f"{module}\n\n`{ran[0].command}` on {datetime.now(UTC):%Y-%m-%d}: {took}\n\n{table(ran)}{picture}"
