"""The code of the stage noise."""

from __future__ import annotations

import random
import time
from pathlib import Path

from noise_spec import NoiseResult, NoiseSpec

from vise_core.reporter import Reporter


def run(spec: NoiseSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> NoiseResult:
    mean = float(inputs["mean"].read_text()) if spec.from_file else spec.mean
    generator = random.Random(spec.seed)
    numbers = []
    for step in range(spec.count):
        time.sleep(0.002)
        numbers.append(generator.gauss(mean))
        reporter.metrics(step, {"number": numbers[-1]})
    (workspace / "numbers.txt").write_text("\n".join(map(str, numbers)))
    reporter.artifact("numbers", workspace / "numbers.txt")
    return NoiseResult(drawn=spec.count, average=sum(numbers) / spec.count)
