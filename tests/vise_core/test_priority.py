"""A process of low priority leaves the processor to the others, also to those of other sessions."""

import errno
import os
import subprocess
import sys

import pytest

from vise_core import priority

# Two processes on one core, each in a session of its own, as runs and the API are. Prints their processor times.
RACE = """
import os, sys, time
from vise_core.priority import lower_priority
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
began = time.monotonic()
def busy(by):
    if os.fork() == 0:
        os.setsid()
        if by:
            lower_priority(by)
        while time.monotonic() < began + 1:
            pass
        sys.exit(os.write(1, b"%d %f\\n" % (by, time.process_time())) < 0)
busy(0), busy(10)
os.wait(), os.wait()
"""


def test_a_process_of_low_priority_gives_way_to_one_of_another_session() -> None:
    ended = subprocess.run([sys.executable, "-c", RACE], check=True, capture_output=True, text=True)
    seconds = {int(by): float(took) for by, took in map(str.split, ended.stdout.splitlines())}
    # Linux gives a niceness of 10 a tenth of the time that it gives the ordinary one.
    assert seconds[0] > 4 * seconds[10], seconds


def test_more_than_the_lowest_priority_is_the_lowest() -> None:
    code = "import os; from vise_core.priority import lower_priority as lower; lower(15); lower(15); print(os.nice(0))"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, start_new_session=True
    )
    assert ended.stdout == f"{min(19, os.nice(0) + 30)}\n"


class Busy:
    """A file of /proc that refuses some writes, as that of the session's niceness does after another process's write."""

    def __init__(self, refused: int) -> None:
        self.refused, self.written = refused, ""

    def write_text(self, text: str) -> None:
        self.refused -= 1
        if self.refused >= 0:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self.written = text


@pytest.mark.parametrize(("refused", "written"), [(0, "0"), (3, "0"), (1000, "")])
def test_a_session_s_niceness_is_written_again_while_linux_is_busy(
    monkeypatch: pytest.MonkeyPatch, refused: int, written: str
) -> None:
    file = Busy(refused)
    monkeypatch.setattr(priority, "AUTOGROUP", file)
    monkeypatch.setattr(priority, "TRY_SECONDS", 0.5)
    monkeypatch.setattr(os, "nice", lambda by: by)
    priority.lower_priority(0)
    assert file.written == written
