"""The base classes of the API's bodies, and the bodies that belong to no resource: errors, health, pages of a list."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Wire(BaseModel):
    """A record on the wire. Unknown fields are ignored when read, so that old clients meet new servers."""

    model_config = ConfigDict(from_attributes=True)


class Request(BaseModel):
    """A record sent by a client. Unknown fields are refused: a typo is never a silent default."""

    model_config = ConfigDict(extra="forbid")


class Problem(Wire):
    """RFC 9457 problem details. ``errors`` lists what is wrong with which field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)


class Health(Wire):
    status: Literal["ok", "degraded"]
    version: str
    database: bool
    broker: bool
    workers: int = Field(0, description="Workers whose heartbeat is fresh.")


class Page(Wire, Generic[T]):
    """One page of a list; ask again with ``cursor=next_cursor`` until it is null."""

    items: list[T]
    next_cursor: str | None = None
