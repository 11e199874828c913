"""The graph of data sets, runs and models around a run."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from .run_states import RunState
from .wire import Wire


class LineageNode(Wire):
    kind: Literal["dataset", "run", "model"]
    id: UUID
    name: str
    stage: str | None = None
    state: RunState | None = None
    synthetic: bool = False
    removed: bool = Field(False, description="A data set that was removed: it has no page.")


class LineageEdge(Wire):
    """``target`` reads ``artifact`` of ``source``, or was made of it."""

    source: UUID
    target: UUID
    artifact: str


class Lineage(Wire):
    """What a run comes from and what was made of it."""

    run_id: UUID
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = Field(description="There are more than are listed.")
