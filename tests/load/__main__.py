"""Let clients use a started stack while four runs train, and print how long they waited.

python -m tests.load                            50 clients for 5 minutes
python -m tests.load --clients 20 --seconds 60  fewer, for a shorter time

Of fifty clients 26 read a list or a detail every second, 10 load a page every 5 s, 8 have an image predicted every 2 s,
4 write 40 points of curves every second as a run does, and 2 upload an archive every 20 s; each waits from half of that to
one and a half. Exits with 1 for any error, and where the 95th percentile of reads is not below 250 ms.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.load.clients import SHARES, Load, Sample
from tests.load.stack import started

READ_MS = 250.0


def report(load: Load) -> tuple[list[str], list[str]]:
    """Return a table of what the clients did, and what is wrong with it."""
    lines = [f"{'':32} {'requests':>8} {'errors':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}"]
    wrong = []
    for kind in SHARES:
        samples = [sample for sample in load.samples if sample.kind == kind]
        lines.append(_line(kind, samples))
        if not samples:
            wrong.append(f"no {kind} at all")
    reads = [sample for sample in load.samples if sample.kind == "read"]
    if reads and (p95 := _quantile(reads, 0.95)) >= READ_MS:
        wrong.append(f"p95 of reads is {p95:.0f} ms, not below {READ_MS:g} ms")
    errors = Counter(f"{sample.kind}: {sample.error}" for sample in load.samples if sample.error)
    wrong += [f"{count} × {error}" for error, count in errors.most_common(20)]
    return lines, wrong


def slowest(load: Load, most: int) -> list[str]:
    """Return lines of the reads and pages whose 95th percentile is highest."""
    by_name: dict[str, list[Sample]] = {}
    for sample in load.samples:
        if sample.kind in ("read", "page load") and not sample.error:
            by_name.setdefault(f"{sample.kind} {sample.name}"[:60], []).append(sample)
    order = sorted(by_name, key=lambda name: -_quantile(by_name[name], 0.95))
    return [_line(name, by_name[name], width=60) for name in order[:most]]


def _line(name: str, samples: list[Sample], width: int = 32) -> str:
    errors = sum(bool(sample.error) for sample in samples)
    times = [_quantile(samples, share) if samples else 0.0 for share in (0.5, 0.95, 0.99)]
    return f"{name:{width}} {len(samples):8} {errors:6} " + " ".join(f"{ms:8.0f}" for ms in times)


def _quantile(samples: list[Sample], share: float) -> float:
    """Return the milliseconds that this share of the samples do not exceed."""
    rising = sorted(1000 * sample.seconds for sample in samples)
    return rising[min(len(rising) - 1, int(share * len(rising)))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--no-recipe", action="store_true", help="without what the sample recipe makes")
    options = parser.parse_args()
    # The processes of the stack end with this one, also when it is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="vise-load-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        # As root PostgreSQL runs as another account, which must reach the folder.
        folder.chmod(0o755)
        with started(folder, recipe=not options.no_recipe) as site:
            print(
                f"{options.clients} clients, {options.seconds:g} s, {len(site.trainings)} runs train",
                flush=True,
            )
            load, wrong_runs = site.load(options.clients, options.seconds)
            lines, wrong = report(load)
            wrong += wrong_runs
            print("\n".join([*lines, "", "The slowest:", *slowest(load, 12), ""]))
            print("\n".join(f"! {line}" for line in wrong) if wrong else "no error", flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
