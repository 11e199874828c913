"""The commands ``vise worker`` and ``vise dispatch``. Each becomes the process it starts, so that signals reach it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def worker(
    queues: Annotated[
        str, typer.Option(help="Queues to serve, comma-separated: cpu, gpu, predict.")
    ] = "cpu,gpu",
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks at a time; default: one run, or two batches of predictions."),
    ] = None,
) -> None:
    """Run queued runs, or compute predictions, until stopped."""
    options = [] if concurrency is None else ["--concurrency", str(concurrency)]
    command = [sys.executable, "-m", "worker", "run", "--queues", queues, *options]
    os.execv(sys.executable, command)


def dispatch() -> None:
    """Publish queued runs to the workers, and requeue runs whose lease has expired."""
    os.execv(sys.executable, [sys.executable, "-m", "worker", "dispatch"])
