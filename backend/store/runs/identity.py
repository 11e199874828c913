"""The identity of an experiment: its spec and inputs, except for seeds and splits.

An input that is a data set is identified by the digest of its content. Runs with one ``group_key`` are averaged;
``replicate`` distinguishes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.store.registry import dataset_reads
from backend.store.runs.tables import Run
from vise_core.specs.paths import flatten
from vise_core.specs.stages import STAGES

TEXT = 200
"""Characters of a parameter's text that filters and sorts use."""


@dataclass(frozen=True)
class Identity:
    """Digests of an experiment (``group_key``) and of one repetition of it (``replicate``)."""

    group_key: str
    replicate: str


def identity(
    stage: str,
    spec: Mapping[str, Any],
    inputs: Mapping[str, Any],
    sources: Mapping[str, tuple[str, Identity]],
    digests: Mapping[str, str] | None = None,
) -> Identity:
    """Return the identity of a run of ``stage`` with this complete spec.

    ``sources``: id of an input's run → (its stage, its identity). ``digests``: role → digest of a data set's content,
    which replaces the data set: its versions are different experiments, and equal content under another name is the
    same one. Ten evaluations of ten pretrainings that differ only in their seed are ten repetitions of one experiment.
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


def identify(db: Session, runs: Sequence[Run]) -> None:
    """Set the identities of new runs.

    Each run stands after those that it reads from, which otherwise are in the database.
    """
    new = {run.id for run in runs}
    sources = _sources(db, {source for run in runs for source in run.depends_on if source not in new})
    digests = dataset_reads.newest_digests(db, runs)
    for run in runs:
        its = identity(run.stage or "", run.spec, run.inputs, sources, digests[run.id])
        run.group_key, run.replicate = its.group_key, its.replicate
        sources[str(run.id)] = (run.stage or "", its)


def note_together(runs: Sequence[Run]) -> None:
    """Record how many repetitions of each experiment were requested together, so that missing ones are noticed."""
    replicates: dict[str | None, set[str | None]] = {}
    for run in runs:
        replicates.setdefault(run.group_key, set()).add(run.replicate)
    for run in runs:
        run.requested = len(replicates[run.group_key])


def write_params(db: Session, runs: Sequence[Run]) -> None:
    """Write the parameters of new runs, which are in the database."""
    rows = [(run.id, row) for run in runs for row in leaves(run.spec)]
    columns = {name: [row[name] for _, row in rows] for name in ("path", "position", "text", "number")}
    db.execute(_INSERT_PARAMS, {"run_id": [run_id for run_id, _ in rows], **columns})


# Arrays, as a statement with a parameter for each value would be longer than what it writes.
_INSERT_PARAMS = text(
    "INSERT INTO run_params (run_id, path, position, text, number) SELECT * FROM unnest(CAST(:run_id AS uuid[]), "
    "CAST(:path AS text[]), CAST(:position AS int[]), CAST(:text AS text[]), CAST(:number AS float8[]))"
)


def renew(db: Session, run_id: UUID) -> None:
    """Rewrite the identity of a run once it has read its data, and of all runs that read from it."""
    pending = [run_id]
    while pending:
        run = db.get_one(Run, pending.pop(0))
        new = _of(db, run, dataset_reads.digests(db, run.id))
        if (run.group_key, run.replicate) == (new.group_key, new.replicate):
            continue
        run.group_key, run.replicate = new.group_key, new.replicate
        db.flush()
        pending += db.scalars(
            select(Run.id).where(Run.depends_on.contains([run.id]), Run.kind == "stage").order_by(Run.id)
        )


def _of(db: Session, run: Run, digests: Mapping[str, str]) -> Identity:
    return identity(run.stage or "", run.spec, run.inputs, _sources(db, run.depends_on), digests)


def _sources(db: Session, run_ids: Collection[UUID]) -> dict[str, tuple[str, Identity]]:
    """Return {id of a run: (its stage, its identity)}."""
    if not run_ids:
        return {}
    rows = db.execute(select(Run.id, Run.stage, Run.group_key, Run.replicate).where(Run.id.in_(run_ids)))
    return {
        str(id_): (stage or "", Identity(key, replicate))
        for id_, stage, key, replicate in rows
        if key is not None and replicate is not None
    }


def leaves(spec: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row (path, position, text, number) for each leaf of a spec; one per value of a list, none for null."""
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
    """Return a value as the text that filters compare with."""
    return value if isinstance(value, str) else json.dumps(value)


def spec_paths() -> dict[str, str]:
    """Return {dotted path: help} of every field in the specs of all stages."""
    paths: dict[str, str] = {}
    for entry in STAGES.values():
        schema = entry.spec.model_json_schema()
        _walk(schema, schema, "", paths)
    return dict(sorted(paths.items()))


def _walk(node: dict[str, Any], root: dict[str, Any], path: str, paths: dict[str, str]) -> None:
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rpartition("/")[2]], **node}
    options = [*node.get("oneOf", ()), *node.get("anyOf", ())]
    for option in options:
        _walk(option, root, path, paths)
    for name, field in node.get("properties", {}).items():
        _walk({**field}, root, f"{path}.{name}" if path else name, paths)
    if path and not node.get("properties") and not any("$ref" in option for option in options):
        paths.setdefault(path, str(node.get("description", "")))


def _digest(value: Any) -> str:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:32]
