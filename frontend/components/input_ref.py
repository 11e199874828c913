"""References to the input of a run, as text in addresses and on the command line."""

from __future__ import annotations

from uuid import UUID

from vise_core.specs.recipes.inputs import InputRef


def ref_text(ref: InputRef) -> str:
    """Return a reference as text: ``RUN:ARTIFACT`` or ``dataset:ID``."""
    return f"dataset:{ref.dataset}" if ref.dataset else f"{ref.run}:{ref.artifact or ''}".rstrip(":")


def parse_ref(text: str) -> InputRef | None:
    """Return the reference that ``ref_text`` wrote; None for any other text."""
    origin, _, name = text.partition(":")
    try:
        if origin == "dataset":
            return InputRef(dataset=UUID(name))
        return InputRef(run=UUID(origin), artifact=name or None)
    except ValueError:
        return None
