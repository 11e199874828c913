"""Base classes of request and response bodies; problem documents, health, and pages of a list."""

from __future__ import annotations

from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class ResponseBody(BaseModel):
    """Base of response bodies. Unknown fields are ignored, so that an old client can read a new server."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, source: object, **others: Any) -> Self:
        """Return a body with these values, and with the attributes of ``source`` for all other fields."""
        rest = {name: getattr(source, name) for name in cls.model_fields if name not in others}
        return cls(**rest, **others)


class RequestBody(BaseModel):
    """Base of request bodies. Unknown fields are refused, so that a typo is an error and not a default."""

    model_config = ConfigDict(extra="forbid")


class Problem(ResponseBody):
    """An error as RFC 9457 problem details; ``errors`` names each wrong field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)


class Health(ResponseBody):
    """Health of the server: its database, its broker and the number of live workers."""

    status: Literal["ok", "degraded"]
    version: str
    database: bool
    broker: bool
    workers: int = Field(0, description="Workers with a recent heartbeat.")


class Page(ResponseBody, Generic[T]):
    """One page of a list; request the next one with ``cursor=next_cursor``, until that is null."""

    items: list[T]
    next_cursor: str | None = None
