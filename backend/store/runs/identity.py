"""What makes two runs the same experiment: all of spec and inputs, but for seeds and splits.

An input that is a data set counts by the digest of its content.

``group_key`` stands for what is averaged over, ``replicate`` for which of the repetitions a run is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.store.registry import dataset_reads
from backend.store.runs.tables import Run, RunParam
from vise_core.specs.paths import flatten
from vise_core.specs.stages import STAGES

TEXT = 200
"""Longest text of a parameter that filters and sorts see."""


@dataclass(frozen=True)
class Identity:
    """Digests: the experiment, and which repetition of it."""

    group_key: str
    replicate: str


def identity(
    stage: str,
    spec: Mapping[str, Any],
    inputs: Mapping[str, Any],
    sources: Mapping[str, tuple[str, Identity]],
    digests: Mapping[str, str] | None = None,
) -> Identity:
    """Of a run of ``stage`` with this whole spec; ``sources``: run id → (stage, identity) of what it reads from.

    ``digests``: role → digest of the content of a data set. It stands for the data set: runs on two of its versions
    are two experiments, and the same content under another name is the same experiment.

    Ten evaluations of ten pretrainings that differ by their seed are one experiment, ten times.
    """
    entry = STAGES[stage]
    flat = flatten(spec)
    varies: dict[str, Any] = {path: flat.get(path) for path in entry.replicates}
    read: dict[str, Any] = {}
    for role, ref in inputs.items():
        if ref.get("dataset") and digests and role in digests:
            read[role] = {"data": digests[role]}
            continue
        if ref.get("run") not in sources:
            read[role] = ref
            continue
        maker, source = sources[ref["run"]]
        whole = _digest([source.group_key, source.replicate])
        read[role] = {
            "of": whole if STAGES[maker].makes_data else source.group_key,
            "artifact": ref["artifact"],
        }
        varies[role] = source.replicate
    return Identity(
        _digest({"stage": stage, "spec": entry.experiment(spec), "inputs": read}), _digest(varies)
    )


def note(db: Session, run: Run) -> None:
    """Write a new run's identity and its parameters. The run must be in the database, and what it reads from too."""
    if run.kind != "stage":
        return
    found = _of(db, run, dataset_reads.plan(db, run))
    run.group_key, run.replicate = found.group_key, found.replicate
    parameters = [{"run_id": run.id, **row} for row in leaves(run.spec)]
    if parameters:
        db.execute(insert(RunParam), parameters)


def renew(db: Session, run_id: UUID) -> None:
    """Rewrite a run's identity once it has read its data, and the identity of all runs that read from it."""
    pending = [run_id]
    while pending:
        run = db.get_one(Run, pending.pop(0))
        found = _of(db, run, dataset_reads.digests(db, run.id))
        if (run.group_key, run.replicate) == (found.group_key, found.replicate):
            continue
        run.group_key, run.replicate = found.group_key, found.replicate
        db.flush()
        pending += db.scalars(
            select(Run.id).where(Run.depends_on.contains([run.id]), Run.kind == "stage").order_by(Run.id)
        )


def _of(db: Session, run: Run, digests: Mapping[str, str]) -> Identity:
    rows = db.execute(
        select(Run.id, Run.stage, Run.group_key, Run.replicate).where(Run.id.in_(run.depends_on))
    )
    sources = {
        str(id_): (stage or "", Identity(key, replicate))
        for id_, stage, key, replicate in rows
        if key is not None and replicate is not None
    }
    return identity(run.stage or "", run.spec, run.inputs, sources, digests)


def note_together(runs: Sequence[Run]) -> None:
    """Keep how many repetitions of each experiment were asked for at once: one that is missing stays missed."""
    replicates: dict[str | None, set[str | None]] = {}
    for run in runs:
        replicates.setdefault(run.group_key, set()).add(run.replicate)
    for run in runs:
        run.requested = len(replicates[run.group_key])


def leaves(spec: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Rows (path, position, text, number) of every leaf; nothing for null, one row a value for a list."""
    if isinstance(spec, Mapping):
        for name, value in spec.items():
            yield from leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(spec, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in spec):
            return
        for position, item in enumerate(spec):
            yield from ({**row, "position": position} for row in leaves(item, path))
    elif spec is not None:
        number = None if isinstance(spec, bool | str) else float(spec)
        yield {"path": path, "position": 0, "text": as_text(spec)[:TEXT], "number": number}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def spec_paths() -> dict[str, str]:
    """Dotted path → help of every field that a spec of any stage has."""
    found: dict[str, str] = {}
    for entry in STAGES.values():
        schema = entry.spec.model_json_schema()
        _walk(schema, schema, "", found)
    return dict(sorted(found.items()))


def _walk(node: dict[str, Any], root: dict[str, Any], path: str, found: dict[str, str]) -> None:
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rpartition("/")[2]], **node}
    options = [*node.get("oneOf", ()), *node.get("anyOf", ())]
    for option in options:
        _walk(option, root, path, found)
    for name, field in node.get("properties", {}).items():
        _walk({**field}, root, f"{path}.{name}" if path else name, found)
    if path and not node.get("properties") and not any("$ref" in option for option in options):
        found.setdefault(path, str(node.get("description", "")))


def _digest(value: Any) -> str:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:32]
