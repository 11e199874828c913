"""The pause before a restart doubles while something keeps ending, and is short again after it has run well."""

from backend.local.restarts import LONGEST_PAUSE, WELL_SECONDS, Restarts


def pauses(lifetimes: list[float]) -> list[float]:
    """What follows after each of these lifetimes, in seconds."""
    restarts, now, found = Restarts(), 0.0, []
    for lifetime in lifetimes:
        restarts.started(now)
        now += lifetime
        assert restarts.ended(now)
        assert not restarts.ended(now + 0.1), "its end is noted once"
        assert restarts.due_at is not None
        assert not restarts.due(restarts.due_at - 0.1)
        assert restarts.due(restarts.due_at)
        found.append(restarts.due_at - now)
        now = restarts.due_at
    return found


def test_the_pause_doubles_up_to_its_limit() -> None:
    assert pauses([1.0] * 7) == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]


def test_what_has_run_well_is_started_again_soon() -> None:
    assert pauses([1.0, 1.0, 1.0, WELL_SECONDS, 1.0]) == [1, 2, 4, 1, 2]


def test_what_cannot_be_started_is_tried_again_later() -> None:
    restarts = Restarts()
    restarts.started(0.0)
    assert restarts.ended(5.0)
    restarts.postpone(6.0)
    assert restarts.due_at == 8.0


def test_the_pause_is_bounded_however_often_something_ends() -> None:
    restarts = Restarts()
    for _ in range(2000):
        restarts.postpone(0.0)
    assert restarts.due_at == LONGEST_PAUSE
