"""Run all benchmarks, each in a process of its own, and print one table of their results.

    python -m benchmarks [--only linear startup] [--full] [--times 3] [--write docs/performance.md]

Runs small sizes by default; benchmarks without a small size run with ``--full`` or ``--only``. Exits with 1 where a
command breaks off and, with ``--full``, where a figure is not reached.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .table import REGISTRY, broke, document, machine, run, table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[benchmark.module for benchmark in REGISTRY])
    parser.add_argument("--full", action="store_true", help="Each benchmark at its own size.")
    parser.add_argument(
        "--write", type=Path, help="Markdown page to write; tables of benchmarks that do not run now stay."
    )
    parser.add_argument(
        "--times", type=int, default=1, help="Number of runs of each benchmark; the table lists all results."
    )
    options = parser.parse_args()
    names = [benchmark.module for benchmark in REGISTRY if options.full or benchmark.small is not None]
    chosen = [benchmark for benchmark in REGISTRY if benchmark.module in (options.only or names)]
    plots = options.write and options.write.parent
    ran = [
        run(benchmark, full=options.full, plots=plots) for benchmark in chosen for _ in range(options.times)
    ]
    print(f"{machine()}\n\n{table(ran)}")
    if options.write:
        before = options.write.read_text() if options.write.exists() else ""
        options.write.write_text(document(ran, full=options.full, before=before))
    if options.full:
        return int(any(each.code for each in ran))
    return int(any(map(broke, ran)))


if __name__ == "__main__":
    sys.exit(main())
