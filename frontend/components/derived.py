"""What hangs on a thing that is to be deleted, as a short list in the dialog that asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from frontend.components.table import show_rows
from frontend.formatting import plain, size
from vise_client.schemas.derived import Derived, DerivedCount, DerivedItem, Fate

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
            f"**In the way:** {_counts(blocking)}. Delete them first, or wait until they end: {names}."
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


def merged(several: Sequence[Derived], ids: Sequence[str]) -> Derived:
    """Return what hangs on several things with these ids, which are deleted together: one does not block another."""
    counts: Counter[tuple[Fate, str]] = Counter()
    sizes: Counter[tuple[Fate, str]] = Counter()
    items: dict[tuple[str, object], DerivedItem] = {}
    for derived in several:
        for count in derived.counts:
            counts[count.action, count.kind] += count.count
            sizes[count.action, count.kind] += count.bytes or 0
        for item in derived.items:
            key = (item.kind, item.id)
            if item.action is Fate.blocks and (str(item.id) in ids or key in items):
                counts[item.action, item.kind] -= 1
            elif item.id is None:
                items[item.kind, len(items)] = item
            else:
                items[key] = item
    return Derived(
        total=counts.total(),
        counts=[
            DerivedCount(action=action, kind=kind, count=number, bytes=sizes[action, kind])
            for (action, kind), number in counts.items()
            if number > 0
        ],
        items=sorted(items.values(), key=lambda item: list(Fate).index(item.action)),
    )


def _counts(counts: list[DerivedCount]) -> str:
    return ", ".join(f"{count.what} ({size(count.bytes)})" if count.bytes else count.what for count in counts)
