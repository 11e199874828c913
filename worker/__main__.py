"""``python -m worker run --queues cpu,gpu`` or ``python -m worker dispatch``."""

from __future__ import annotations

import argparse
import os


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="take up runs and predictions from some queues")
    run.add_argument("--queues", default="cpu,gpu")
    run.add_argument(
        "--concurrency",
        type=int,
        help="What it takes up at a time; without: one run, or two batches of predictions.",
    )
    commands.add_parser("dispatch", help="announce queued runs and take back lost ones")
    options = parser.parse_args()
    if options.command == "dispatch":
        from . import dispatch

        dispatch.main()
        return
    from .app import app
    from .predict import CONCURRENCY

    # Threads of a matrix product that wait must sleep: awake they take the cores from each other's work as soon as
    # anything else runs on the host (measured: pretraining at a sixth of its speed beside three test runs).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    runs = set(options.queues.split(",")) & {"cpu", "gpu"}
    if runs:
        from .execute import get_ready

        # From this thread, which lives as long as the worker: Linux ends what a thread has started with it.
        get_ready()
    # Threads: the stage has a process of its own, and a thread can be told to let its run go.
    app.worker_main(
        [
            "worker",
            f"--queues={options.queues}",
            "--pool=threads",
            f"--concurrency={options.concurrency or (1 if runs else CONCURRENCY)}",
            "--loglevel=INFO",
            "--without-gossip",
            "--without-mingle",
        ]
    )


if __name__ == "__main__":
    main()
