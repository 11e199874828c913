"""Run fault schedules: ``python -m tests.faults SEED…``; exits with 1 if an invariant does not hold."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from vise_core.specs.stages import register

from .cluster import STAGES
from .history import OLD_SECONDS
from .left import objects, processes
from .schedule import Outcome, Schedule
from .world import World, world

SWEPT_SECONDS = OLD_SECONDS + 10
"""Time after the last schedule within which the storage holds nothing that no row names."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("seeds", nargs="*", help="numbers, or ranges such as 1-200; default: 1-20")
    parser.add_argument("--verbose", action="store_true", help="list the faults of each schedule")
    parser.add_argument(
        "--patience", type=float, default=1, help="factor of all bounds of time, for a machine that is busy"
    )
    options = parser.parse_args()
    seeds: list[int] = []
    for text in options.seeds or ["1-20"]:
        first, _, last = text.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    # Stopped from outside, it still stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.path.insert(0, str(STAGES))
    register(import_module("stages").COUNT)
    folder = Path(tempfile.mkdtemp(prefix="vise-f-"))
    began = time.monotonic()
    outcomes: list[Outcome] = []
    remains: list[str] = []
    with world(folder) as made:
        if broken_before := Schedule(made, 0, options.patience).run(faults=False).violations:
            print("\n".join(["VIOLATION without faults", *map(str, broken_before)]))
            return 1
        print(f"started within {time.monotonic() - began:.0f} s", flush=True)
        for seed in seeds:
            outcome = Schedule(made, seed, options.patience).run()
            outcomes.append(outcome)
            state = "ok" if not outcome.violations else "VIOLATION"
            print(
                f"{state} seed {seed}: {len(outcome.faults)} faults, {len(outcome.actions)} actions, "
                f"{outcome.seconds:.1f} s, recovered {outcome.recovery:.1f} s after the last",
                flush=True,
            )
            shown = options.verbose or outcome.violations
            lines = [*outcome.faults, *outcome.actions, *outcome.responses] if shown else []
            for line in [*lines, *(f"! {v.invariant}: {v.sentence}" for v in outcome.violations)]:
                print(f"    {line}", flush=True)
        remains += swept(made, options.patience * SWEPT_SECONDS)
    remains += [f"the process {pid} {command}" for pid, command, _ in processes(folder, ())]
    for line in remains:
        print(f"! left at the end: {line}")
    broken = [str(outcome.seed) for outcome in outcomes if outcome.violations]
    print(
        f"{len(outcomes)} schedules, {sum(len(outcome.faults) for outcome in outcomes)} faults, "
        f"{time.monotonic() - began:.0f} s, {cpu_seconds():.0f} s of a core; slowest recovery "
        f"{max(outcome.recovery for outcome in outcomes):.1f} s; "
        + (f"violations with the seeds {', '.join(broken)}; " if broken else "no violation; ")
        + (f"{len(remains)} things left" if remains else "nothing left")
        + (f"; logs in {folder}" if broken or remains else "")
    )
    if not (broken or remains):
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken or remains else 0


def swept(made: World, seconds: float) -> list[str]:
    """Wait until all objects are removed that no row names; return those that are still there after some seconds."""
    until = time.monotonic() + seconds
    while True:
        with made.cluster.sessions() as db:
            left = list(objects(db, made.cluster.storage, seconds=0))
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.5)


def cpu_seconds() -> float:
    """Return the processor time of this process and of those that it has started and that have ended."""
    spent = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


if __name__ == "__main__":
    sys.exit(main())
