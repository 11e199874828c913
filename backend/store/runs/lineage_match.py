"""Find runs that equal other runs except for one changed factor, through their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid, invalid_from
from backend.store.registry import dataset_reads
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.specs import paths
from vise_core.specs.stages import STAGES, validate_spec

MAX_CANDIDATES = 500
DEAD = (RunState.failed.value, RunState.cancelled.value)


@dataclass(frozen=True)
class Node:
    """A run with the runs and data sets that it reads."""

    run: Run
    sources: dict[str, tuple[Node, str]]
    datasets: dict[str, str]
    digests: dict[str, str]

    def reaches(self, stage: str) -> bool:
        """Return True if the run, or one that it comes from, is of the stage."""
        return self.run.stage == stage or any(node.reaches(stage) for node, _ in self.sources.values())

    def find(self, stage: str) -> Node | None:
        """Return the nearest run of the stage, or None."""
        if self.run.stage == stage:
            return self
        return next((match for node, _ in self.sources.values() if (match := node.find(stage))), None)


@dataclass
class Change:
    """Values of one stage's spec, by dotted path; ``known`` caches the matches of each run."""

    stage: str
    values: Mapping[str, Any]
    dead: bool = False
    known: dict[UUID, list[Run]] = field(default_factory=dict)

    def spec(self, node: Node) -> dict[str, Any]:
        """Return the spec of the node with the values changed. Raises Invalid for values that the stage rejects."""
        spec = node.run.spec
        if node.run.stage == self.stage:
            spec = paths.with_values(spec, dict(self.values))
        try:
            return validate_spec(node.run.stage or "", spec).model_dump(mode="json")
        except ValidationError as error:
            raise invalid_from(error, "changes") from error


def chain(db: Session, run_id: UUID, known: dict[UUID, Node] | None = None) -> Node:
    """Return the node of a run, with all that it comes from."""
    known = {} if known is None else known
    if run_id not in known:
        run = get_run(db, run_id)
        sources = {
            role: (chain(db, UUID(ref["run"]), known), ref["artifact"])
            for role, ref in run.inputs.items()
            if ref.get("run")
        }
        datasets = {role: ref["dataset"] for role, ref in run.inputs.items() if ref.get("dataset")}
        known[run_id] = Node(run, sources, datasets, dataset_reads.digests(db, run_id))
    return known[run_id]


def matches(db: Session, node: Node, change: Change) -> list[Run]:
    """Return the runs that equal the node's except for the change: succeeded runs first, then newest first.

    Failed and cancelled runs come last, and only with ``change.dead``.
    """
    if not node.reaches(change.stage):
        return [node.run]
    if node.run.id not in change.known:
        change.known[node.run.id] = _matches(db, node, change)
    return change.known[node.run.id]


def _matches(db: Session, node: Node, change: Change) -> list[Run]:
    options = {
        role: [run.id for run in matches(db, source, change)] for role, (source, _) in node.sources.items()
    }
    statement = select(Run).where(Run.stage == node.run.stage)
    if not change.dead:
        statement = statement.where(Run.state.notin_(DEAD))
    if options:
        # By the source with the fewest: the index on depends_on makes this cheap.
        fewest = min(options.values(), key=len)
        statement = statement.where(Run.depends_on.overlap(fewest))
    candidates = db.scalars(statement.order_by(Run.id.desc()).limit(MAX_CANDIDATES)).all()
    meaning = STAGES[node.run.stage or ""].meaning(change.spec(node))
    digests = dataset_reads.digests_of(db, [run.id for run in candidates] if node.datasets else [])
    same = [run for run in candidates if _reads(run, node, options, digests) and _same(run, meaning)]
    rank = {RunState.succeeded.value: 0} | dict.fromkeys(DEAD, 2)
    return sorted(same, key=lambda run: rank.get(run.state, 1))


def _reads(
    run: Run,
    node: Node,
    options: Mapping[str, list[UUID]],
    digests: Mapping[UUID, Mapping[str, str]],
) -> bool:
    """Return True if the run reads the same artifacts of counterparts, and the same content of data sets."""
    if run.inputs.keys() != node.run.inputs.keys():
        return False
    for role, ref in run.inputs.items():
        if role in node.datasets:
            sha256 = digests[run.id].get(role)
            if not ref.get("dataset") or sha256 != node.digests.get(role):
                return False
            if sha256 is None and ref["dataset"] != node.datasets[role]:
                return False
        elif ref.get("artifact") != node.sources[role][1] or UUID(ref["run"]) not in options[role]:
            return False
    return True


def _same(run: Run, meaning: dict[str, Any]) -> bool:
    return STAGES[run.stage or ""].meaning(run.spec) == meaning


def value_at(spec: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path. Raises Invalid if the spec has none."""
    try:
        return paths.value_at(spec, path)
    except KeyError as error:
        raise Invalid("changes", f"the baseline's spec has no {path}") from error
