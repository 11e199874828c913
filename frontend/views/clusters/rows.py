"""The list of clusters, one row for each."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import streamlit as st

from frontend.formatting import plain
from vise_client.schemas.clusters import ClusterKind, ClusterRow

UNITS: dict[ClusterKind, str] = {"comments": "comments", "reactions": "posts"}
WORDS = 8


def cluster_rows(rows: Sequence[ClusterRow], kind: ClusterKind) -> None:
    """Draw a row for each cluster: words or reactions, size, thumbnails, and a button that opens it."""
    for row in rows:
        with st.container(border=True, key=f"row-{kind}-{row.cluster}"):
            words, thumbnails, link = st.columns([5, 4, 1], vertical_alignment="center")
            words.markdown(
                f"**{row.cluster}** {_title(row)}  \n:small[{row.size:,} {UNITS[kind]}, {row.share:.1%} of all]"
            )
            if row.thumbnails_jpg:
                alt = f"Thumbnails of {len(row.sample_posts)} sample posts of cluster {row.cluster}"
                thumbnails.image(base64.b64decode(row.thumbnails_jpg), alt=alt)
            link.button(
                "Open",
                key=f"open-{kind}-{row.cluster}",
                help=f"Show cluster {row.cluster} above",
                on_click=open_cluster,
                args=(kind, row.cluster),
            )


def open_cluster(kind: ClusterKind, cluster: int) -> None:
    """Select this cluster; the list keeps its search and order, and its page unless the kind changes."""
    view = kind.capitalize()
    if st.session_state.get("kind") != view:
        st.session_state["kind"] = view
        st.query_params.pop("page", None)
    st.query_params["cluster"] = str(cluster)


def _title(row: ClusterRow) -> str:
    """Markdown of its words of highest weight, or of its most frequent reactions."""
    if row.terms:
        return " · ".join(plain(word) for word, _ in row.terms[:WORDS])
    most = sorted(row.reactions.items(), key=lambda item: -item[1])[:3]
    return " · ".join(f"{plain(name)} {share:.0%}" for name, share in most if share >= 0.01) or "no reactions"
