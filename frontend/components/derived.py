"""What depends on a thing that is to be deleted, as a short list in the dialog that asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import streamlit as st

from frontend.components.confirm import confirm_or_keep
from frontend.components.table import show_rows
from frontend.formatting import plain, size
from vise_client.schemas.derived import DeletionEffect, Derived, DerivedCount, DerivedItem

NAMED = 20
"""Things that the dialog names; all are counted."""
_LABELS = {
    DeletionEffect.deleted: "Deleted with it",
    DeletionEffect.marked: "Kept, and marked",
    DeletionEffect.kept: "Kept",
}


def confirm_deletion(label: str, derived: Derived, delete: Callable[[], object]) -> None:
    """Draw what depends on a thing, and the buttons that delete and keep it; none deletes while something blocks it."""
    derived_list(derived)
    confirm_or_keep(label, delete, disabled=derived.blocked)


def derived_list(derived: Derived) -> None:
    """Draw how many things of each kind are deleted, marked or kept, and the first of them by name."""
    blocking = [count for count in derived.counts if count.effect is DeletionEffect.blocks]
    if blocking:
        names = ", ".join(
            plain(item.name) for item in derived.items[:NAMED] if item.effect is DeletionEffect.blocks
        )
        st.warning(f"**Delete first**, or wait until they end: {_counts(blocking)}: {names}.")
    for effect, label in _LABELS.items():
        counts = [count for count in derived.counts if count.effect is effect]
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
                    "on deletion": item.effect.words,
                }
                for item in derived.items[:NAMED]
            ],
            hide_index=True,
        )


def merged(several: Sequence[Derived], ids: Sequence[str]) -> Derived:
    """Return what depends on several things with these ids, which are deleted together: one does not block another."""
    counts: Counter[tuple[DeletionEffect, str]] = Counter()
    sizes: Counter[tuple[DeletionEffect, str]] = Counter()
    items: dict[tuple[str, object], DerivedItem] = {}
    for derived in several:
        for count in derived.counts:
            counts[count.effect, count.kind] += count.count
            sizes[count.effect, count.kind] += count.bytes or 0
        for item in derived.items:
            key = (item.kind, item.id)
            if item.effect is DeletionEffect.blocks and (str(item.id) in ids or key in items):
                counts[item.effect, item.kind] -= 1
            elif item.id is None:
                items[item.kind, len(items)] = item
            else:
                items[key] = item
    return Derived(
        total=counts.total(),
        counts=[
            DerivedCount(effect=effect, kind=kind, count=number, bytes=sizes[effect, kind])
            for (effect, kind), number in counts.items()
            if number > 0
        ],
        items=sorted(items.values(), key=lambda item: list(DeletionEffect).index(item.effect)),
    )


def _counts(counts: list[DerivedCount]) -> str:
    return ", ".join(
        f"{count.label} ({size(count.bytes)})" if count.bytes else count.label for count in counts
    )
