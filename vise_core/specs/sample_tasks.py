"""Sample tasks: synthetic stand-ins for the paper's downstream tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Result, Spec

TaskKind = Literal["unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"]


class SampleTasksSpec(Spec):
    """Synthetic stand-ins for the paper's tasks, in the layouts in which the real ones are published."""

    kinds: tuple[TaskKind, ...] = Field(
        ("unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"), min_length=1
    )
    images: int = Field(240, ge=56, le=100_000, description="Images of each task.")
    image_size: int = Field(64, ge=32, le=512, description="Side of the generated images, pixels.")


class SampleTasksResult(Result):
    """Artifacts: a folder for each task, by its kind."""

    images: int

    def headline(self) -> dict[str, float]:
        return {"images": self.images}
