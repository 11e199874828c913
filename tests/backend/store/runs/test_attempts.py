"""How often a run is tried, and after which pauses, by the kind of failure."""

from backend.store.runs.states.attempts import LONGEST_PAUSE, Failure, RetryPolicy

POLICY = RetryPolicy(lost=5, memory=2, disk=3, seconds=10)


def pauses(failure: Failure, policy: RetryPolicy = POLICY) -> list[float]:
    """The pauses until the last attempt."""
    found, attempt = [], 1
    while (pause := policy.pause(failure, attempt)) is not None:
        found.append(pause)
        attempt += 1
    return found


def test_pauses_double_and_only_a_first_loss_of_a_worker_is_followed_at_once() -> None:
    assert pauses(Failure.lost) == [0, 10, 20, 40]
    assert pauses(Failure.memory) == [10]
    assert pauses(Failure.disk) == [10, 20]


def test_no_pause_is_longer_than_ten_minutes() -> None:
    assert max(pauses(Failure.disk, RetryPolicy(1, 1, 5000, 10))) == LONGEST_PAUSE
