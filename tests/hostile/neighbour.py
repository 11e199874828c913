"""Another user, who has ordinary images predicted all the time, in a process that making hostile files does not slow down.

python -m tests.hostile.neighbour ADDRESS     with the token on standard input; prints a line for each prediction
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.hostile.case import picture
from tests.hostile.stack import Site
from vise_client.client import ViseClient
from vise_client.errors import ClientError

PAUSE = 0.2


@dataclass
class Neighbour:
    """``seconds``: when each prediction was asked for, by the monotonic clock, and how long it took."""

    seconds: list[tuple[float, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def longest(self, since: float = 0.0) -> float:
        return max((took for began, took in self.seconds if began >= since), default=0.0)

    def usual(self) -> float:
        return statistics.median(took for _, took in self.seconds)


@contextmanager
def neighbour(site: Site) -> Iterator[Neighbour]:
    """Predict ordinary images, each another one, until the block ends."""
    found = Neighbour()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.neighbour", site.api],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"{site.token}\n")
    process.stdin.flush()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            began, took, reason = line.rstrip("\n").split(" ", 2)
            found.seconds.append((float(began), float(took)))
            if reason:
                found.failed.append(reason)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        process.stdin.close()  # which ends the process, after the prediction that it waits for
        if process.wait(timeout=120) != 0:
            found.failed.append("the other user's process failed")
        thread.join()


def predict_until_closed(address: str) -> None:
    """Predict until standard input is closed."""
    token, done = sys.stdin.readline().strip(), threading.Event()

    def wait() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    with ViseClient(address, token) as vise:
        for number in itertools.count():
            if done.wait(PAUSE):
                return
            began, reason = time.monotonic(), ""
            try:
                view = vise.predict(_image(number), overlay=False, wait=60)
                if view.state != "succeeded":
                    reason = view.error or view.state
            except ClientError as error:
                reason = str(error)
            print(began, time.monotonic() - began, " ".join(reason.split()), flush=True)


def _image(number: int) -> bytes:
    """An image that no cache knows, by its comment segment."""
    data, comment = picture("JPEG"), f"neighbour {number}".encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


if __name__ == "__main__":
    predict_until_closed(sys.argv[1])
