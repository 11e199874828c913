"""Results of a benchmark as rows of one table.

    python -m benchmarks.measures.rows MODULE FILE [arguments of the module]

runs ``benchmarks.MODULE`` and writes its rows as JSON to FILE.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A result of a benchmark, as text.

    Attributes
    ----------
    peer: result of the alternative in the same run; empty without one.
    needed, reached: required figure, and whether ``ours`` has it; empty and None without a requirement.
    """

    name: str
    ours: str
    peer: str = ""
    ratio: str = ""
    needed: str = ""
    reached: bool | None = None


def parser_of(description: str | None, **defaults: int) -> argparse.ArgumentParser:
    """Return a parser with an integer option for each default: ``--image-size`` for ``image_size``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser


def verdict(rows: Sequence[Row]) -> int:
    """Return the exit code: 1 where a required figure is not reached."""
    return int(any(row.reached is False for row in rows))


def main() -> int:
    module, file, *arguments = sys.argv[1:]
    benchmark = import_module(f"benchmarks.{module}")
    rows: list[Row] = benchmark.measure(benchmark.parser().parse_args(arguments))
    Path(file).write_text(json.dumps([asdict(row) for row in rows]))
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(main())
