"""What the measurement of outages counts as late, and as a report."""

import pytest

from tests.faults.outages import COLUMNS, KINDS, PARTS, Outage, reports_in_log

IN_TIME = dict(zip(COLUMNS, (0.0, 19.0, 20.0, 5.0), strict=True))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "killed"])
@pytest.mark.parametrize("column", COLUMNS)
def test_what_comes_late_or_never_is_beyond_a_bound(kind: str, column: str) -> None:
    assert not Outage(PARTS[0], kind, dict(IN_TIME)).bad
    for seconds in (20.1, None):
        late = Outage(PARTS[0], kind, IN_TIME | {column: seconds})
        assert late.late() == [column]
        assert late.bad
        assert f"late: {column}" in late.row()


def test_what_is_killed_is_back_within_30_s_and_need_not_be_reported() -> None:
    assert not Outage(PARTS[0], "killed", {"well again": 29.0}).bad
    assert Outage(PARTS[0], "killed", {"well again": 31.0}).late() == ["well again"]


def test_a_failure_is_beyond_a_bound() -> None:
    failed = Outage(PARTS[0], "frozen", dict(IN_TIME), failure="AssertionError: it has failed")
    assert failed.bad
    assert failed.row().endswith("AssertionError: it has failed")


def test_that_a_part_is_well_again_is_no_report_of_an_outage() -> None:
    assert reports_in_log(["workers: one worker has sent no heartbeat for 13 s first\n"], "workers")
    assert not reports_in_log(["workers: well again\n", "broker: the broker does not respond \n"], "workers")
