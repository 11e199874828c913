"""What hangs on a thing that is to be deleted, as a short list in the dialog that asks."""

from __future__ import annotations

import streamlit as st

from frontend.components.table import show_rows
from frontend.formatting import plain, size
from vise_client.schemas.derived import Derived, DerivedCount, Fate

NAMED = 20
"""Things that the dialog names; all are counted."""
_LABELS = {
    Fate.deleted: "Deleted with it",
    Fate.marked: "Kept, and marked",
    Fate.kept: "Kept",
}


def derived_list(derived: Derived) -> None:
    """Draw how many things of each kind are deleted, marked or kept, and the first of them by name."""
    blocking = [count for count in derived.counts if count.action is Fate.blocks]
    if blocking:
        names = ", ".join(plain(item.name) for item in derived.items[:NAMED] if item.action is Fate.blocks)
        st.warning(
            f"**Nothing can be deleted yet.** In the way: {_counts(blocking)}. Delete them first, or wait until they end: "
            f"{names}."
        )
    for fate, label in _LABELS.items():
        counts = [count for count in derived.counts if count.action is fate]
        if counts:
            st.markdown(f"**{label}:** {_counts(counts)}")
    if not derived.items:
        return
    with st.expander(f"{min(NAMED, derived.total):,} of {derived.total:,} by name"):
        show_rows(
            [
                {
                    "kind": item.kind,
                    "name": item.name,
                    "owner": item.owner,
                    "size": size(item.bytes) if item.bytes else None,
                    "deletion": "in the way" if item.action is Fate.blocks else item.action.value,
                }
                for item in derived.items[:NAMED]
            ],
            hide_index=True,
        )


def _counts(counts: list[DerivedCount]) -> str:
    return ", ".join(f"{count.what} ({size(count.bytes)})" if count.bytes else count.what for count in counts)
