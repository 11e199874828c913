"""Entry point: ``python -m worker run --queues cpu,gpu`` or ``python -m worker dispatch``."""

from __future__ import annotations

import argparse
import os


def main() -> None:
    """Run a worker or the dispatcher until stopped."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute runs and predictions of some queues")
    run.add_argument("--queues", default="cpu,gpu")
    run.add_argument(
        "--concurrency",
        type=int,
        help="Runs or predictions at a time; default: one run, or two batches of predictions.",
    )
    commands.add_parser("dispatch", help="publish queued runs and requeue those with an expired lease")
    options = parser.parse_args()
    if options.command == "dispatch":
        from . import dispatch

        dispatch.main()
        return
    from backend.store.runs.queues import RUN_QUEUES

    from .app import app, stopping
    from .context import get_context, require_schema
    from .predict import CONCURRENCY

    require_schema(get_context(), stopping)

    # Waiting threads of a matrix product must sleep, not spin: beside other load, spinning threads take the cores from
    # the working ones (measured: pretraining at a sixth of its speed beside three test runs).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    runs = set(options.queues.split(",")) & set(RUN_QUEUES)
    if runs:
        from .stage_process import start_fork_server

        # From this thread, which lives as long as the worker: Linux kills the server when its starting thread ends.
        start_fork_server(stages=get_context().settings.preload)
    # Threads suffice, since each stage runs in a process of its own.
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
