"""Sample tasks: synthetic stand-ins for the paper's downstream tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Result, Spec
from .estimate import Cost, InputFacts, Work
from .stage import Stage
from .tasks.catalogue import TASKS

TaskKind = Literal["unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"]


class SampleTasksSpec(Spec):
    """Generate synthetic stand-ins for the paper's tasks, in the layouts in which the real ones are published."""

    kinds: tuple[TaskKind, ...] = Field(
        ("unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"), min_length=1, max_length=5
    )
    images: int = Field(240, ge=56, le=100_000, description="Images of each task.")
    image_size: int = Field(64, ge=32, le=512, description="Side of the generated images, pixels.")


class SampleTasksResult(Result):
    """Result of ``sample_tasks``. Artifacts: a folder for each task, named by its kind."""

    images: int

    def headline(self) -> dict[str, float]:
        return {"images": self.images}


def _work(spec: SampleTasksSpec, _: InputFacts) -> Work:
    images = spec.images * len(spec.kinds)
    return Work(images, f"{images:,} images to generate", (spec.image_size,))


STAGE = Stage(
    name="sample_tasks",
    title="Sample tasks",
    help="Write synthetic stand-ins for the paper's downstream tasks, in their published layouts.",
    runner="vise_core.tasks.sample:run",
    spec=SampleTasksSpec,
    result=SampleTasksResult,
    queue="cpu",
    outputs={kind: f"{entry.title}: {entry.layout}." for kind, entry in TASKS.items()},
    makes_data=True,
    cost=Cost(work=_work),
    facts=lambda artifact, spec, result: InputFacts(items=spec["images"]),
)
