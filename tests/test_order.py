"""The order in which the files of tests are dealt out to processes."""

from itertools import groupby
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.conftest import LONG, pytest_collection_modifyitems, pytest_xdist_make_scheduler

TESTS = Path(__file__).parent


def test_browser_tests_come_first_and_then_the_files_with_most_long_tests(
    request: pytest.FixtureRequest,
) -> None:
    items = list(reversed(request.session.items))
    pytest_collection_modifyitems(items)
    assert sorted(items, key=id) == sorted(request.session.items, key=id)
    files = [(path, list(of_file)) for path, of_file in groupby(items, key=lambda item: item.path)]
    assert len(files) == len({path for path, _ in files}), "a file's tests stay together"
    browser = [path.parent == TESTS / "browser" for path, _ in files]
    assert browser == sorted(browser, reverse=True)
    long = [sum(bool(LONG & {mark.name for mark in item.iter_markers()}) for item in of) for _, of in files]
    long = long[sum(browser) :]
    assert long == sorted(long, reverse=True)


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/browser/test_session.py::test_a_one_time_link_opens_once", "tests/browser"),
        ("tests/browser/test_journey.py::test_an_upload[tests/browser/]", "tests/browser"),
        ("tests/frontend/test_theme.py::test_colours[a::b]", "tests/frontend/test_theme.py"),
    ],
)
def test_browser_tests_share_a_process_and_others_a_file_each(
    test: str, scope: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(pytestconfig.option, "dist", "loadfile")
    monkeypatch.setattr(pytestconfig.option, "tx", ["popen"])
    scheduler = pytest_xdist_make_scheduler(pytestconfig, None)
    assert isinstance(scheduler, LoadFileScheduling)
    assert scheduler._split_scope(test) == scope
