"""States that grow by parts are saved at each part, and saving never takes most of the time."""

from pathlib import Path

import pytest

from vise_core import reporter as module
from vise_core.errors import Stopped, WorkerKilled
from vise_core.reporter import SAVE_SECONDS, LocalReporter, PacedCheckpoints


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Saver(LocalReporter):
    """Counts saves, each of which takes some seconds."""

    def __init__(self, folder: Path, clock: Clock, seconds: float) -> None:
        super().__init__(folder)
        self.clock, self.seconds, self.saves = clock, seconds, 0

    def checkpoint(self, path: Path) -> None:
        self.saves += 1
        self.clock.now += self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_quick_saves_are_made_after_each_part(clock: Clock, tmp_path: Path) -> None:
    saver = Saver(tmp_path, clock, 0.05)
    with PacedCheckpoints(saver, tmp_path) as saves:
        for part in range(200):
            clock.now += 0.5
            saves.save()
            assert saver.saves == part + 1


def test_slow_saves_take_a_tenth_of_the_time_and_nothing_stays_unsaved(clock: Clock, tmp_path: Path) -> None:
    saver = Saver(tmp_path, clock, 3)
    with PacedCheckpoints(saver, tmp_path) as saves:
        for _ in range(1001):
            clock.now += 1
            saves.save()
        passed, during = clock.now - 100, saver.saves
    assert 0.08 * passed < 3 * during <= SAVE_SECONDS + 3 + passed / 10
    assert saver.saves == during + 1, "the last parts were saved at the end"


@pytest.mark.parametrize(
    ("error", "saved"), [(Stopped("asked to"), 1), (WorkerKilled("shard 3"), 0), (KeyboardInterrupt(), 0)]
)
def test_an_end_without_new_parts_saves_only_where_the_run_is_stopped(
    clock: Clock, tmp_path: Path, error: BaseException, saved: int
) -> None:
    saver = Saver(tmp_path, clock, 0.1)
    with pytest.raises(type(error)), PacedCheckpoints(saver, tmp_path):
        raise error
    assert saver.saves == saved


def two_parts_and_an_error(saver: Saver, state: Path) -> None:
    with PacedCheckpoints(saver, state) as saves:
        for _ in range(2):
            saves.save()
        assert saver.saves == 1
        raise WorkerKilled("shard 3")


def test_an_error_of_the_stage_saves_what_is_pending(clock: Clock, tmp_path: Path) -> None:
    saver = Saver(tmp_path, clock, 60)
    with pytest.raises(WorkerKilled):
        two_parts_and_an_error(saver, tmp_path)
    assert saver.saves == 2
