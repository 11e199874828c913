"""Run all benchmarks, each as its command, and print one table.

    python -m benchmarks [--only linear startup] [--full] [--times 3] [--write docs/performance.md]

In a small size unless ``--full`` is given; what has no small size runs with ``--full`` or ``--only``. Exits 1 where a
command did not run to its end; with ``--full`` also where a figure is not reached.
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
    parser.add_argument("--only", nargs="+", choices=[one.module for one in REGISTRY])
    parser.add_argument("--full", action="store_true", help="Each benchmark at its own size.")
    parser.add_argument(
        "--write", type=Path, help="Write the tables here; those of benchmarks that do not run now stay."
    )
    parser.add_argument("--times", type=int, default=1, help="Run each so often; the table has all figures.")
    options = parser.parse_args()
    bench = [one.module for one in REGISTRY if options.full or one.small is not None]
    chosen = [one for one in REGISTRY if one.module in (options.only or bench)]
    plots = options.write and options.write.parent
    ran = [run(one, full=options.full, plots=plots) for one in chosen for _ in range(options.times)]
    print(f"{machine()}\n\n{table(ran)}")
    if options.write:
        before = options.write.read_text() if options.write.exists() else ""
        options.write.write_text(document(ran, full=options.full, before=before))
    if options.full:
        return int(any(one.code for one in ran))
    return int(any(broke(one) for one in ran))


if __name__ == "__main__":
    sys.exit(main())
