"""Noise: a stage of another package. Its spec, its result and its entry; its code is in ``noise.py``."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, model_validator

from vise_core.specs.base import Result, Spec
from vise_core.specs.estimate import Cost, Work
from vise_core.specs.stage import InputRole, Stage


class NoiseSpec(Spec):
    """Draw numbers from a normal distribution."""

    count: int = Field(100, ge=1, description="Numbers to draw.")
    mean: float = Field(0.0, description="Mean of the distribution.")
    from_file: bool = Field(False, description="Take the mean from the input instead.")

    @model_validator(mode="after")
    def _one_mean(self) -> NoiseSpec:
        """Log the validation where a test counts them, then check."""
        if log := os.environ.get("NOISE_VALIDATIONS"):
            with Path(log).open("a") as file:
                file.write(f"{os.getpid()}\n")
        if self.from_file and self.mean:
            raise ValueError("mean: leave it at 0 where the mean is read from the input")
        return self


class NoiseResult(Result):
    """Artifact: ``numbers``."""

    drawn: int = Field(description="Numbers that were drawn.")
    average: float

    def headline(self) -> dict[str, float]:
        return {"average": self.average}


STAGE = Stage(
    name="noise",
    title="Noise",
    help="Draw random numbers.",
    runner="noise:run",
    spec=NoiseSpec,
    result=NoiseResult,
    queue="cpu",
    inputs={"mean": InputRole(help="A file with the mean.", artifact="source", required=False)},
    outputs={"numbers": "One number a line."},
    measures=True,
    presets={"A few": {"count": 3}},
    cost=Cost(work=lambda spec, facts: Work(spec.count, f"{spec.count:,} numbers")),
    needed=lambda spec: ("mean",) if spec.from_file else (),
)
