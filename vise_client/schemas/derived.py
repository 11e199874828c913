"""What depends on a run, data set, model or user, and what its deletion does with each."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from .wire import ResponseBody


class DeletionEffect(StrEnum):
    """What a deletion does with something that depends on the deleted thing.

    ``blocks``: nothing is deleted before this is deleted, or has ended. ``deleted``: it goes, with its files. ``marked``:
    it stays, and shows that its input or owner was deleted. ``kept``: it stays as it is.
    """

    blocks = "blocks"
    deleted = "deleted"
    marked = "kept, marked"
    kept = "kept"

    @property
    def words(self) -> str:
        """Return what a list of things shows beside one with this effect."""
        return "delete first" if self is DeletionEffect.blocks else self.value


class DerivedCount(ResponseBody):
    """How many things of one kind have the same effect."""

    effect: DeletionEffect
    kind: str = Field(description="Such as artifact, run, model or prediction.")
    count: int
    bytes: int | None = Field(description="Of those whose size the database has; null if it has none.")

    @property
    def label(self) -> str:
        """Return ``3 artifacts``."""
        plural = f"{self.kind[:-1]}ies" if self.kind.endswith("y") else f"{self.kind}s"
        return f"{self.count:,} {self.kind if self.count == 1 else plural}"


class DerivedItem(ResponseBody):
    """One thing that depends on the thing to delete."""

    effect: DeletionEffect
    kind: str
    id: UUID | None = Field(description="Null where it has none, or belongs to another user alone.")
    name: str
    owner: str | None = Field(description="E-mail address, where you may see it.")
    bytes: int | None = Field(description="Of its files or pictures; null if the database does not have it.")


class Derived(ResponseBody):
    """What depends on a thing: all of it as counts, and a page of it by name, what blocks the deletion first."""

    total: int
    counts: list[DerivedCount]
    items: list[DerivedItem]
    next_offset: int | None = None

    @property
    def blocked(self) -> bool:
        """Return whether something must be deleted, or end, before."""
        return any(count.effect is DeletionEffect.blocks for count in self.counts)
