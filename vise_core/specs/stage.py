"""A stage of the pipeline: its spec, inputs, outputs and the dotted path of its code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record, Result, Spec

Queue = Literal["cpu", "gpu"]


class InputRole(Record):
    """An input that a stage reads: always a folder or a file, checked before use."""

    help: str
    artifact: str = Field(description="Name of the artifact of another stage that fits.")
    also: tuple[str, ...] = Field((), description="Names of further artifacts that fit.")
    required: bool = True

    def takes(self, artifact: str) -> bool:
        """Whether an artifact of this name fits; a source may be anything."""
        return self.artifact == "source" or artifact in (self.artifact, *self.also)


class StageEntry(Record):
    """A stage: run(spec, inputs, workspace, reporter) -> result, found at ``runner``."""

    title: str
    help: str
    runner: str
    spec: type[Spec]
    result: type[Result]
    queue: Queue = Field(description="Where it runs when nobody says otherwise.")
    inputs: dict[str, InputRole] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    state_format: str = Field(
        "1", description="To be changed with what ``workspace/state`` holds: an older state is then rejected."
    )
    speed_only: tuple[str, ...] = Field(
        (),
        description="Fields of the spec, such as compute.loader_workers, that cannot change one bit of what the stage "
        "makes: a saved state goes on with another value. All others make another run.",
    )


EXCLUDE = InputRole(
    help="Posts to leave out: a result of integrity (those that are copies of test images), or a list of post ids "
    "(.txt with an id a line; .csv, .jsonl or .json with id or post_id).",
    artifact="integrity",
    required=False,
)
