"""The table of all benchmarks: what it reads out of a command's output."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load():
    spec = importlib.util.spec_from_file_location("benchmarks_table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks_table"] = module
    spec.loader.exec_module(module)
    return module


table = load()


def ran(output: str, code: int = 0):
    return table.Ran(
        table.Benchmark("linear", ("--epochs", "1"), "Linear"), ("--epochs", "1"), code, output, 1.0
    )


def test_lines_that_say_what_is_needed_are_figures_and_the_verdict_stands_once() -> None:
    output = "words\n\nvise --help: 0.22 s (< 0.3 s)\n- two: 21.0 × as fast (must be ≥ 20 ×)\nloose (aside)\n"
    assert table.lines(ran(output, 1)) == [
        table.Line("Linear: vise --help", "0.22 s", "< 0.3 s", ""),
        table.Line("Linear: two", "21.0 × as fast", "≥ 20 ×", "no"),
    ]


def test_without_such_lines_the_last_one_stands_for_it() -> None:
    assert table.lines(ran("| a | b |\n| 1 | 2 |\n\n")) == [table.Line("Linear", "/ 1 / 2 /", "", "yes")]


def test_a_command_that_broke_says_so() -> None:
    assert table.lines(ran("x: 1 s (< 2 s)", -9))[0].reached == "exit -9"


def test_every_benchmark_is_a_command_with_these_arguments() -> None:
    for benchmark in table.REGISTRY:
        source = (ROOT / "benchmarks" / f"{benchmark.module}.py").read_text()
        for argument in benchmark.small:
            assert not argument.startswith("--") or f'"{argument}"' in source


def test_the_page_has_machine_versions_date_and_commands() -> None:
    page = table.document([ran("x: 1 s (< 2 s)")], full=False)
    assert "| Linear: x | 1 s | < 2 s | yes |" in page
    assert "torch " in page
    assert "`python -m benchmarks.linear --epochs 1`: 1 s, exit 0" in page


def test_the_linear_benchmark_finds_the_same_points_as_one_head_after_the_other() -> None:
    small = [
        "--images",
        "80",
        "--features",
        "8",
        "--classes",
        "3",
        "--splits",
        "2",
        "--epochs",
        "2",
        "--repeats",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.linear", *small],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Chosen points: the same in 2 splits" in done.stdout, done.stderr
    assert "at most 0.000 points apart" in done.stdout
