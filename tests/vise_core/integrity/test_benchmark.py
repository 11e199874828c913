"""The benchmark that a lab runs: it prints what it measured and fails where that is too little."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.near_duplicates", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_it_prints_recall_precision_and_seconds() -> None:
    done = run("--images", "400", "--copies", "40", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    recalls = {
        kind: float(value) for kind, value in re.findall(r"\| ([a-z5% ]+) \| 40 \| ([\d.]+) \|", done.stdout)
    }
    assert set(recalls) == {"resized", "recompressed", "cropped by 5 %", "flipped", "all at once"}
    assert all(value >= 0.95 for kind, value in recalls.items() if kind != "all at once")
    assert float(re.search(r"precision ([\d.]+)", done.stdout)[1]) >= 0.99
    assert float(re.search(r"search after hashing ([\d.]+) s", done.stdout)[1]) < 60
    assert "synthetic" in done.stdout


def test_it_fails_where_copies_are_missed() -> None:
    """Of images of 32 pixels, halved and compressed hard, too little is left."""
    done = run("--images", "300", "--copies", "100", "--size", "32", "--seed", "3")
    recall = min(float(value) for value in re.findall(r"\| 100 \| ([\d.]+) \|", done.stdout)[:4])
    assert recall < 0.95
    assert done.returncode == 1
