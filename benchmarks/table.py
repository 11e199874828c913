"""The benchmarks of this folder as commands, and one table of what they reach."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "numba", "fastapi", "sqlalchemy")
NEEDED = re.compile(r"^(?:- )?(?P<name>[^:|]+): (?P<figure>.+?) \((?:must be )?(?P<needed>[≥≤<>] ?[^()]+)\)$")
"""A line such as ``vise --help: 0.22 s (< 0.3 s)``."""


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder; ``small`` are the arguments of ``make bench``.

    A module prints lines that NEEDED matches, or else its last line stands for it. It exits with 1 where a figure
    is not reached; whether a small size reaches it says little, so ``--full`` runs the module's own sizes.
    """

    module: str
    small: tuple[str, ...] = ()
    title: str = ""


REGISTRY = (
    Benchmark(
        "labels", ("--comments", "40000", "--clusters", "1000", "--peer-comments", "5000"), "Pseudo-labels"
    ),
    Benchmark(
        "clustering", ("--comments", "20000", "--clusters", "200", "--vocabulary", "5000"), "Clustering"
    ),
    Benchmark("near_duplicates", ("--images", "1000", "--copies", "50"), "Near duplicates"),
    Benchmark("linear", ("--epochs", "5", "--peer-splits", "1"), "Linear evaluation"),
    Benchmark("training", ("--steps", "10", "--rounds", "3", "--loader-images", "64"), "Training"),
    Benchmark("startup", ("--repeats", "3"), "Start-up"),
    Benchmark(
        "tracking_pages",
        ("--runs", "300", "--points", "20000", "--repeats", "3", "--no-browser"),
        "Lists and pages",
    ),
    Benchmark("science", ("--posts", "300", "--evaluation-images", "120", "--epochs", "1"), "Engagement"),
)


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    name: str
    figure: str
    needed: str
    reached: str


@dataclass(frozen=True)
class Ran:
    """What a benchmark's command did."""

    benchmark: Benchmark
    arguments: tuple[str, ...]
    code: int
    output: str
    seconds: float

    @property
    def command(self) -> str:
        return " ".join(["python", "-m", f"benchmarks.{self.benchmark.module}", *self.arguments])


def run(benchmark: Benchmark, *, full: bool) -> Ran:
    """Run it as its command; what it prints goes on to the error stream as well."""
    arguments = () if full else benchmark.small
    clock = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark.module}", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, file=sys.stderr, flush=True)
    return Ran(benchmark, arguments, done.returncode, done.stdout, time.perf_counter() - clock)


def lines(ran: Ran) -> list[Line]:
    """Its figures: of lines that say what is needed one each, else its last line; and its exit code."""
    title = ran.benchmark.title or ran.benchmark.module
    reached = "yes" if ran.code == 0 else "no"
    found = [match for text in ran.output.splitlines() if (match := NEEDED.match(text.strip()))]
    if ran.code not in (0, 1):
        return [Line(title, "did not run to its end", "", f"exit {ran.code}")]
    if not found:
        printed = [text.strip() for text in ran.output.splitlines() if text.strip()]
        last = (printed or ["printed nothing"])[-1].replace("|", "/")
        return [Line(title, last, "", reached)]
    rows = [Line(f"{title}: {m['name']}", m["figure"], m["needed"], "") for m in found]
    # The exit code is the module's verdict on all its figures together; it stands once, at the last.
    last_row = rows[-1]
    return [*rows[:-1], Line(last_row.name, last_row.figure, last_row.needed, reached)]


def table(rows: list[Line]) -> str:
    """Markdown."""
    head = "| name | figure | needed | reached |\n|---|---|---|---|\n"
    return head + "".join(f"| {row.name} | {row.figure} | {row.needed} | {row.reached} |\n" for row in rows)


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


def document(ran: list[Ran], *, full: bool) -> str:
    """The page that ``--write`` writes."""
    size = (
        "Each benchmark at its own size."
        if full
        else "Each benchmark in a small size; the figures are for the full one."
    )
    commands = "\n".join(f"- `{one.command}`: {one.seconds:.0f} s, exit {one.code}" for one in ran)
    rows = table([line for one in ran for line in lines(one)])
    return (
        "# Performance\n\n"
        f"Written by `python -m benchmarks --write` on {datetime.now(UTC):%Y-%m-%d}. {size} A command's exit code "
        f"judges all its figures together and stands at its last.\n\n{machine()}\n\n{rows}\n{commands}\n"
    )
