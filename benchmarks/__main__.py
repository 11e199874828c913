"""Run all benchmarks, each as its command, and print one table.

    python -m benchmarks [--only linear startup] [--full] [--write docs/performance.md]

In a small size unless ``--full`` is given. Exits 1 where a command did not run to its end; with ``--full`` also
where a figure is not reached.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .table import REGISTRY, document, lines, machine, run, table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [benchmark.module for benchmark in REGISTRY]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--full", action="store_true", help="Each benchmark at its own size.")
    parser.add_argument("--write", type=Path, help="Write the table here, with machine, versions and date.")
    options = parser.parse_args()
    chosen = [benchmark for benchmark in REGISTRY if benchmark.module in options.only]
    ran = [run(benchmark, full=options.full) for benchmark in chosen]
    print(machine() + "\n")
    print(table([line for one in ran for line in lines(one)]))
    if options.write:
        options.write.write_text(document(ran, full=options.full))
    worst = 0 if options.full else 1
    return int(any(one.code > worst or one.code < 0 for one in ran))


if __name__ == "__main__":
    sys.exit(main())
