"""The table of all benchmarks, and that those which compare compute the same as what they compare with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module

import pytest

from benchmarks import table
from benchmarks.measures.rows import Row, verdict

ROW = Row("start", "0.22 s", "other, 0.4 s", "1.8 ×", "≥ 2 ×", False)
TINY_LINEAR = ("--images=80", "--features=8", "--classes=3", "--splits=2", "--epochs=2")


def ran(*rows: Row, code: int = 0) -> table.Ran:
    return table.Ran(table.Benchmark("linear", ()), ("--epochs", "1"), code, rows, 1.0, (1.94, 1.1))


def test_a_row_of_the_table_is_a_figure_beside_its_peer() -> None:
    assert table.table([ran(ROW, Row("more", "1 s"))]).splitlines()[2:] == [
        "| start | 0.22 s | other, 0.4 s | 1.8 × | ≥ 2 × | no |",
        "| more | 1 s |  |  |  |  |",
    ]


def test_what_was_run_again_is_one_line_and_says_how_often_its_figure_was_reached() -> None:
    again = replace(ROW, ours="0.19 s", ratio="2.1 ×", reached=True)
    assert table.table([ran(ROW), ran(again), ran(ROW)]).splitlines()[2:] == [
        "| start | 0.22 s; 0.19 s; 0.22 s | other, 0.4 s | 1.8 ×; 2.1 ×; 1.8 × | ≥ 2 × | 1 of 3 |"
    ]


def test_what_is_only_reported_has_no_say_in_the_exit_code() -> None:
    assert verdict([Row("more", "1 s"), replace(ROW, reached=True)]) == 0
    assert verdict([Row("more", "1 s"), ROW]) == 1


@pytest.mark.parametrize("benchmark", table.REGISTRY, ids=lambda benchmark: benchmark.module)
def test_every_benchmark_takes_the_arguments_of_its_small_size(benchmark: table.Benchmark) -> None:
    module = import_module(f"benchmarks.{benchmark.module}")
    assert callable(module.measure)
    module.parser().parse_args(benchmark.small or ())


@pytest.mark.slow
def test_a_command_that_broke_says_so() -> None:
    broken = table.run(table.Benchmark("linear", ("--images", "many")), full=False)
    assert table.broke(broken)
    assert broken.rows == (Row("linear", "did not run to its end, exit 2", reached=False),)


def test_the_page_has_machine_versions_date_and_commands() -> None:
    page = table.document([ran(ROW, code=1)], full=False)
    assert "| start | 0.22 s |" in page
    assert "torch " in page
    assert (
        f"`python -m benchmarks.linear --epochs 1` on {datetime.now(UTC):%Y-%m-%d}: 1 s (exit 1; 1.9 and 1.1 cores)"
        in page
    )


def test_what_did_not_run_again_stays_on_the_page_of_the_same_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = replace(ran(Row("first page", "6 s")), benchmark=table.Benchmark("startup", ()))
    page = table.document([ran(ROW), other], full=True)
    again = table.document([ran(replace(ROW, ours="0.19 s"))], full=True, before=page)
    assert again == page.replace("0.22 s", "0.19 s")
    assert "first page" not in table.document([ran(ROW)], full=False, before=page)
    monkeypatch.setattr(table, "PACKAGES", ("torch",))
    assert "first page" not in table.document([ran(ROW)], full=True, before=page)


@pytest.mark.slow
def test_rows_of_the_linear_benchmark_come_back_from_its_process() -> None:
    found = {row.name: row for row in table.run(table.Benchmark("linear", TINY_LINEAR), full=False).rows}
    assert "18 linear heads, 2 epochs" in found
    assert found["their chosen points"].reached
    assert found["their metrics, points apart"].reached
