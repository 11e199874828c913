"""The lineage of a run: what it comes from and what was made from it, from data to model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.registry import dataset_reads
from backend.store.registry.tables import Dataset, Model
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.datasets import DatasetReadView
from vise_client.schemas.lineage import Lineage, LineageEdge, LineageNode
from vise_client.schemas.run_states import RunState

MAX_NODES = 200
MAX_DEPTH = 20
_COLUMNS = (Run.id, Run.name, Run.stage, Run.state, Run.synthetic, Run.inputs)


def lineage(db: Session, run_id: UUID) -> Lineage:
    """Return all that a run (or the runs of a recipe or sweep) reads from, directly or not, and all that reads from it.

    At most ``MAX_NODES`` runs in each direction, nearest first; ``truncated`` if there are more. Raises NotFound if no
    run has this id.
    """
    run = get_run(db, run_id)
    own = Run.id == run_id if run.kind == "stage" else Run.parent_id == run_id
    start = {
        row.id: row
        for row in db.execute(select(*_COLUMNS).where(own).order_by(Run.position).limit(MAX_NODES))
    }
    rows: dict[UUID, Any] = dict(start)
    truncated = _gather(db, rows, start, upwards=True)
    downstream = dict(start)
    truncated |= _gather(db, downstream, start, upwards=False)
    rows |= downstream
    reads = dataset_reads.views(db, rows)
    edges = [
        LineageEdge(source=source, target=row.id, artifact=artifact)
        for row in rows.values()
        for source, artifact in _sources(row.inputs, reads.get(row.id, {}))
    ]
    generated = set(
        db.scalars(select(Dataset.id).where(Dataset.id.in_({e.source for e in edges}), Dataset.synthetic))
    )
    models = db.scalars(select(Model).where(Model.run_id.in_(downstream)).order_by(Model.id).limit(MAX_NODES))
    nodes = [
        LineageNode(
            kind="run", id=r.id, name=r.name, stage=r.stage, state=RunState(r.state), synthetic=r.synthetic
        )
        for r in rows.values()
    ]
    nodes += [
        LineageNode(
            kind="dataset",
            id=read.dataset_id,
            name=read.name,
            synthetic=read.dataset_id in generated,
            removed=read.removed,
        )
        for read in {r.dataset_id: r for roles in reads.values() for r in roles.values()}.values()
    ]
    for model in models:
        nodes.append(LineageNode(kind="model", id=model.id, name=model.name, synthetic=model.synthetic))
        edges.append(LineageEdge(source=model.run_id, target=model.id, artifact="predictor"))
    kept = {node.id for node in nodes}
    return Lineage(
        run_id=run_id,
        nodes=nodes,
        edges=[edge for edge in edges if edge.source in kept],
        truncated=truncated,
    )


def _gather(db: Session, nodes: dict[UUID, Any], frontier: Collection[UUID], *, upwards: bool) -> bool:
    """Add the runs to ``nodes`` level by level; return True if there are more."""
    for _ in range(MAX_DEPTH):
        if upwards:
            source_ids = {source for i in frontier for source, _ in _sources(nodes[i].inputs)} - nodes.keys()
            condition = Run.id.in_(source_ids)
        else:
            condition = Run.depends_on.overlap(list(frontier)) & Run.id.notin_(list(nodes))
        left = MAX_NODES - len(nodes)
        rows = db.execute(select(*_COLUMNS).where(condition).order_by(Run.id).limit(left + 1)).all()
        nodes.update((row.id, row) for row in rows[:left])
        if len(rows) > left:
            return True
        frontier = [row.id for row in rows]
        if not frontier:
            return False
    return True


def _sources(
    inputs: Mapping[str, dict[str, Any]], reads: Mapping[str, DatasetReadView] = MappingProxyType({})
) -> Iterator[tuple[UUID, str]]:
    """Yield (id of the run or data set, name of the artifact or version) of each input."""
    for role, ref in inputs.items():
        if ref.get("run"):
            yield UUID(ref["run"]), str(ref["artifact"])
        elif ref.get("dataset"):
            read = reads.get(role)
            version = f", {read.which}" if read is not None and read.sha256 is not None else ""
            yield UUID(ref["dataset"]), f"data set{version}"
