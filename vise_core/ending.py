"""End a process in time after SIGTERM, also while a server that it waits for does not respond."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

END_SECONDS = 6.0
"""Time in which a process ends by itself; container engines kill after 10 s."""
LAST_SECONDS = 1.0
"""Time that remains at least when a process is no longer busy."""
log = logging.getLogger("vise.ending")


def end_in_time(busy: Callable[[], bool] = lambda: False) -> None:
    """End this process ``END_SECONDS`` from now unless it has ended by then; not while it is ``busy``.

    What a killed process leaves behind is repaired, so that this one loses nothing either.
    """

    def watch() -> None:
        end_at = time.monotonic() + END_SECONDS
        while time.monotonic() < end_at:
            if busy():
                end_at = max(end_at, time.monotonic() + LAST_SECONDS)
            time.sleep(0.1)
        log.warning("this process waits for a server that does not respond, and is ended")
        os._exit(0)

    threading.Thread(target=watch, name="ending", daemon=True).start()


def end_in_time_after_signals() -> None:
    """Have SIGTERM and SIGINT also call ``end_in_time``, besides what they do now; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return  # no process of ours, but a test's application in a thread
    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, _with_end(handler))


def _with_end(
    handler: Callable[[int, FrameType | None], object],
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        end_in_time()
        handler(number, frame)

    return handle
