"""Clusters: the comment and reaction clusters behind the pseudo-labels, and the engagement expected of an image."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.components.url_select import url_select
from frontend.session import client, show_errors
from frontend.style import synthetic_badge
from frontend.views.clusters.explorer import cluster_explorer, reset_list
from frontend.views.clusters.image import image_engagement
from vise_client.schemas.clusters import ClusterKind, ExplorerView

VIEWS: dict[str, ClusterKind | None] = {
    "Comments": "comments",
    "Reactions": "reactions",
    "For an image": None,
}


def explorer_select() -> ExplorerView | None:
    """Draw a selection of explored clusterers and return the selected one; None if there is none yet.

    The address names it.
    """
    explorers = {str(e.artifact_id): e for e in client().explorers()}
    if not explorers:
        empty(
            "No explored clusters yet",
            "Run the stage “Explore clusters” on a clusterer: its words, sample posts and sizes appear here. The sample "
            "recipe includes this stage.",
            page="launch",
            label="Launch “Explore clusters”",
            query={"what": "explore"},
        )
        return None
    labels = {i: f"{e.name}, {e.posts:,} posts, {e.created_at:%d %b %H:%M}" for i, e in explorers.items()}
    explorer = explorers[url_select("Explored clusters", labels, "explorer", on_change=reset_list)]
    marks = synthetic_badge(explorer.synthetic)
    if explorer.shuffled:
        marks += " :orange-badge[:material/shuffle: shuffled control]"
    if marks:
        st.markdown(marks.strip())
    return explorer


page_title("Clusters", "The comment and reaction clusters that give the pseudo-labels.")
with show_errors():
    view = st.segmented_control(
        "Show",
        list(VIEWS),
        default="Comments",
        required=True,
        key="kind",
        bind="query-params",
        label_visibility="collapsed",
        on_change=reset_list,
    )
    kind = VIEWS[view]
    if kind is None:
        image_engagement()
    elif (explorer := explorer_select()) is not None:
        cluster_explorer(explorer, kind)
