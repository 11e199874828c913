"""A stage: its spec and result, its code, and what the rest of the product asks about it.

Each ``specs/<stage>.py`` ends with its ``STAGE``; ``specs.stages`` collects them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from .base import Record, Result, Spec
from .estimate import Cost, InputFacts
from .paths import difference, without
from .tasks.catalogue import TASKS

S = TypeVar("S", bound=Spec)

Queue = Literal["cpu", "gpu"]
Best = Literal["max", "min"]
Json = Mapping[str, Any]


class InputRole(Record):
    """An input of a stage: a folder or a file, checked before use."""

    help: str
    artifact: str = Field(description="Name of the artifact of another stage that fits.")
    also: tuple[str, ...] = Field((), description="Names of further artifacts that fit.")
    required: bool = True

    def takes(self, artifact: str) -> bool:
        """Return True if an artifact of this name fits the input; a source may be any artifact."""
        return self.artifact == "source" or artifact in (self.artifact, *self.also)


POSTS = InputRole(help="Shards made by ingest.", artifact="posts")

LABELLED_IMAGES = InputRole(
    help="Folder of labelled images.", artifact="evaluation_set", also=(*TASKS, "data")
)

EXCLUDE = InputRole(
    help="Posts to leave out: a result of integrity (those that are copies of test images), or a list of post ids "
    "(.txt with an id a line; .csv, .jsonl or .json with id or post_id).",
    artifact="integrity",
    required=False,
)


def counted_items(artifact: str, spec: Json, result: Json) -> InputFacts:
    """Return the facts of an artifact: as many items as its result counts posts, or else images."""
    return InputFacts(items=result.get("posts") or result.get("images"))


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[S]):
    """A stage of the pipeline: ``run(spec, inputs, workspace, reporter) -> result``.

    Attributes
    ----------
    runner: ``module:function`` of its code, imported where it runs.
    queue: the queue that its runs wait in.
    inputs, outputs: role → input; name of an artifact → what it is.
    state_format: to be changed with what ``workspace/state`` holds: an older state is then rejected.
    speed_only: dotted fields, such as compute.loader_workers, that cannot change one bit of what the stage makes: a
        saved state goes on with another value. All others make another run.
    names: dotted fields that name a run or its task, and change nothing of what is computed.
    replicates: dotted fields that make a run a repetition of another, not another experiment.
    repeats: dotted fields that say how many repetitions there are within one run.
    makes_data: whether it generates data, so that another seed is another experiment for whatever reads the data.
    measures: whether it reports curves while it runs.
    for_admins: whether only admins launch it, as it brings data in from outside.
    presets: name → what differs from the spec's defaults.
    cost: what one run takes.
    needed: (spec) → roles of optional inputs that this spec needs.
    missing: (spec as plain data) → artifacts that a run with this spec does not make, with the reason.
    leading: (spec as plain data) → the curve that says which step is best, and whether high or low is good.
    per_split: (result as plain data) → {metric: its value on each split}.
    facts: (artifact, spec, result, both plain data) → what is known of an artifact for the runs that read it.
    """

    name: str
    title: str
    help: str
    runner: str
    spec: type[S]
    result: type[Result]
    queue: Queue
    inputs: Mapping[str, InputRole] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    state_format: str = "1"
    speed_only: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    replicates: tuple[str, ...] = ("seed",)
    repeats: tuple[str, ...] = ()
    makes_data: bool = False
    measures: bool = False
    for_admins: bool = False
    presets: Mapping[str, Json] = field(default_factory=dict)
    cost: Cost[S] = field(default_factory=Cost)
    needed: Callable[[S], Collection[str]] = lambda spec: ()
    missing: Callable[[Json], Mapping[str, str]] = lambda spec: {}
    leading: Callable[[Json], tuple[str, Best]] = lambda spec: ("val_loss", "min")
    per_split: Callable[[Json], dict[str, list[float]]] = lambda result: {}
    facts: Callable[[str, Json, Json], InputFacts] = counted_items

    def needed_inputs(self, spec: S) -> set[str]:
        """Return the roles of the inputs that a run with this spec needs."""
        return {role for role, entry in self.inputs.items() if entry.required} | set(self.needed(spec))

    def meaning(self, spec: Json) -> dict[str, Any]:
        """Return the spec, as plain data, without the fields that change no result: names and settings of the machine."""
        return without(spec, ("compute", *self.names))

    def experiment(self, spec: Json) -> dict[str, Any]:
        """Return the spec, as plain data, without the fields in which repetitions of one experiment differ."""
        return without(spec, (*self.replicates, *self.repeats))

    def preset_specs(self) -> dict[str, dict[str, Any]]:
        """Return {name: complete spec} of the defaults and of each preset."""
        named: dict[str, Json] = {"Defaults": {}, **self.presets}
        return {
            name: self.spec.model_validate(values).model_dump(mode="json") for name, values in named.items()
        }

    def nearest_preset(self, spec: Json) -> str:
        """Return the name of the preset, or Defaults, from which the spec differs in the fewest fields."""
        specs = self.preset_specs()
        return min(specs, key=lambda name: len(difference(specs[name], spec)))
