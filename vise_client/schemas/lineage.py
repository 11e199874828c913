"""The graph of data sets, runs and models around a run."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from .run_states import RunState
from .wire import ResponseBody


class LineageNode(ResponseBody):
    """A data set, run or model of a lineage."""

    kind: Literal["dataset", "run", "model"]
    id: UUID
    name: str
    stage: str | None = None
    state: RunState | None = None
    synthetic: bool = False
    removed: bool = Field(False, description="Whether the data set was removed.")


class LineageEdge(ResponseBody):
    """``target`` reads ``artifact`` of ``source``, or was made from it."""

    source: UUID
    target: UUID
    artifact: str


class Lineage(ResponseBody):
    """Origins of a run, and the runs and models made from it."""

    run_id: UUID
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = Field(description="Whether there are more nodes than listed.")
