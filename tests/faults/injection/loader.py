"""A process that counts for a stage, as those of a data loader read images for one."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def counting(first: int) -> Iterator[Iterator[int]]:
    """Yield the numbers from ``first``, made by a process that is killed when the block ends."""
    # As training starts its loaders: not a fork of this process, which has threads.
    context = multiprocessing.get_context("forkserver")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_count, args=(send, first), daemon=True)
    process.start()
    send.close()
    try:
        yield iter(receive.recv, None)
    finally:
        process.kill()
        process.join()


def _count(send: Connection, first: int) -> None:
    """Send one number after the other; stay when nobody reads them any more, as a loader that hangs does."""
    try:
        for number in itertools.count(first):
            send.send(number)
    except OSError:
        while True:
            time.sleep(60)
