"""Send all hostile files to a started stack and print a table of what came of each.

python -m tests.hostile                        all of them
python -m tests.hostile --kind archive         those of one kind; also --name PART
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.case import Case
from tests.hostile.corpus import corpus
from tests.hostile.drive import Outcome, drive
from tests.hostile.neighbour import neighbour
from tests.hostile.stack import started

MOST_DELAY = 1.0
"""Seconds by which hostile files may delay a prediction of another user, beyond what the machine does by itself."""
QUIET = 20.0
TRACE = Path("/tmp/vise-hostile-trace")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--kind", default="")
    parser.add_argument("--name", default="")
    options = parser.parse_args()
    cases = [c for c in corpus() if options.kind in c.kind and options.name in c.name]
    TRACE.unlink(missing_ok=True)
    # The processes of the stack end with this one, also when it is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="vise-hostile-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o755)
        with started(Path(temporary)) as site, neighbour(site) as other:
            time.sleep(QUIET)
            usual, before = other.usual(), other.longest()
            outcomes = [told(drive(site, case), other.longest()) for case in cases]
        left = [*site.left_over(), *([str(TRACE)] if TRACE.exists() else [])]
        alive = site.watch.alive()
        server_errors = sum(status >= 500 for status in site.statuses)
    broken = [outcome for outcome in outcomes if outcome.faults]
    print(f"\n{len(outcomes)} files, {len(broken)} with a fault, {server_errors} responses of 5xx")
    print(
        f"another user's prediction: {usual:.2f} s, at most {before:.2f} s before the files, {other.longest():.2f} s "
        f"during them; failed: {other.failed[:5]}"
    )
    print(f"processes left: {alive}; files left: {left[:20]}")
    late = other.longest() - before > MOST_DELAY
    return int(bool(broken or server_errors or late or left or alive or other.failed))


def told(outcome: Outcome, longest: float) -> Outcome:
    """Print the row of an outcome."""
    case: Case = outcome.case
    print(
        f"{case.kind:10} {case.name[:44]:44} {outcome.state:10} {outcome.seconds:6.1f} s {outcome.peak >> 20:5} MB "
        f"{outcome.helper >> 20:4} MB {outcome.written >> 20:5} MB written {longest:5.2f} s  {outcome.said[:110]!r} {' !! ' if outcome.faults else ''}"
        f"{'; '.join(outcome.faults)}",
        flush=True,
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
