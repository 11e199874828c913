"""Random splits of a data set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ..base import Record

SplitName = Literal["train", "val", "test"]


class SplitSpec(Record):
    """Random splits of train / val / test; val and train round down, test takes the rest (Table 8)."""

    count: int = Field(5, ge=1, le=100)
    train: float = Field(0.7, gt=0, lt=1)
    val: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**31)
    stratify: bool = Field(
        True,
        description="Draw from each class by itself, so that every part has the classes in the same shares. Off: from "
        "all images at once, as the paper does; its presets and recipes keep that.",
    )

    @model_validator(mode="after")
    def _leaves_a_test_set(self) -> SplitSpec:
        if self.train + self.val >= 1:
            raise ValueError("train + val must leave a share for test")
        return self
