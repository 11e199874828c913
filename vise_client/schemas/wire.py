"""Base classes of request and response bodies; problem documents, health, and pages of a list."""

from __future__ import annotations

from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class UpdateBody(RequestBody):
    """Base of bodies that change fields; null leaves a field as it is."""

    expected: dict[str, Any] = Field(
        default_factory=dict,
        max_length=20,
        description="Field → the value that the change was made from. Where one has changed since, nothing is changed "
        "and the status is 409.",
    )

    @model_validator(mode="after")
    def _expects_own_fields(self) -> Self:
        if unknown := self.expected.keys() - (type(self).model_fields.keys() - {"expected"}):
            raise ValueError(f"expected: {sorted(unknown)[0]!r:.100} is not a field of this request")
        return self

    @classmethod
    def of_changes(cls, shown: dict[str, Any], values: dict[str, Any]) -> Self | None:
        """Return the changes from the shown values to ``values``, expecting the shown ones; None without a change."""
        changes = {field: value for field, value in values.items() if value != shown[field]}
        return cls.model_validate({**changes, "expected": shown}) if changes else None


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
