"""The growth benchmark: what it calls flat, and that it measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth import Measured, label_posts, plot, table, worst


def test_what_costs_a_fifth_more_a_unit_than_at_first_grows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Measured("flat", 10, 10, 1.0, 1000),
        Measured("flat", 100, 100, 11.9, 9000),
        Measured("slow", 10, 10, 1.0, 1000),
        Measured("slow", 100, 100, 12.1, 1000),
        Measured("large", 10, 1, 1.0, 1000),
        Measured("large", 100, 1, 1.0, 1201),
    ]
    assert [(row.name, row.ratio, row.reached) for row in worst(rows)] == [
        ("growth: flat, 10 to 100", "time 1.19 ×, memory 0.90 ×", True),
        ("growth: slow, 10 to 100", "time 1.21 ×, memory 0.10 ×", False),
        ("growth: large, 10 to 100", "time 1.00 ×, memory 1.20 ×", False),
    ]
    table(rows)
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)


def test_the_picture_is_the_same_each_time(tmp_path: Path) -> None:
    rows = [Measured("flat", n, n, n / 1000, 1000) for n in (10, 100, 1000)]
    plot(rows, tmp_path / "a.png")
    plot(rows, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_posts_are_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.growth.SHARD", 100)
    (found,) = label_posts(300, 1)
    assert found.units == 300
    assert found.seconds > 0
