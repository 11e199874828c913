"""How a run, a recipe's step or a sweep names an input."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from pydantic import Field, model_validator

from ..base import Name, Record


class InputRef(Record):
    """The origin of an input: an artifact of a run, a data set, an upload, or a step or an input of the recipe."""

    run: UUID | None = None
    step: Name | None = Field(None, description="Inside a recipe: the step that makes the artifact.")
    artifact: Name | None = Field(
        None,
        description="The artifact's name, such as posts or checkpoint; of a run it may be left out where one fits.",
    )
    dataset: UUID | None = None
    upload: UUID | None = Field(None, description="An uploaded file, to be unpacked.")
    given: Name | None = Field(None, description="Inside a recipe: the name of the recipe's input.")

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> InputRef:
        origins = [self.run, self.step, self.dataset, self.upload, self.given]
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("give exactly one of run, step, dataset, upload or given")
        if self.step is not None and self.artifact is None:
            raise ValueError("step needs the name of an artifact")
        if self.run is None and self.step is None and self.artifact is not None:
            raise ValueError("only a run or a step has artifacts: leave out artifact")
        return self


def fitting_artifact(made: Collection[str], fitting: Collection[str], preferred: str = "") -> str:
    """Return the artifact of a run that fits an input: ``preferred`` if it fits, else the only one that does.

    If none fits, or several do, raises ValueError, which names those that fit, or all that there are.
    """
    able = [name for name in made if name in fitting]
    if preferred in able:
        return preferred
    if len(able) != 1:
        reason = f"several of its artifacts fit: {', '.join(able)}" if able else f"it makes {', '.join(made)}"
        raise ValueError(f"{reason}; this input takes {' or '.join(fitting)}: write RUN:artifact")
    return able[0]
