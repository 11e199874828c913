"""The clusters of one kind: label statistics, search, the map, one cluster, and the list of all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.charts.cluster_map import cluster_map
from frontend.charts.palette import STATIC, is_dark
from frontend.charts.shares import stacked_shares
from frontend.components.figure import show_figure
from frontend.components.layout import empty
from frontend.components.paging import page_buttons, page_number
from frontend.formatting import count, plain
from frontend.session import client, query_number, show_errors
from frontend.views.clusters.cluster import cluster_detail
from frontend.views.clusters.rows import UNITS, cluster_rows
from frontend.views.clusters.statistics import label_agreement, label_spread
from vise_client.client import ViseClient
from vise_client.schemas.clusters import ClusterKind, ClusterPage, ClusterPoints, ExplorerView

PAGE = 20


def cluster_explorer(explorer: ExplorerView, kind: ClusterKind) -> None:
    """Draw the labels, the map and the list of the clusters of one kind, and the selected cluster."""
    artifact = str(explorer.artifact_id)
    spread = explorer.comments if kind == "comments" else explorer.reactions
    if spread is None:
        empty(
            f"No {kind.removesuffix('s')} labels",
            f"The clusterer has no clusters of {kind}, or no post has such a label. Select other explored clusters above.",
        )
        return
    label_spread(spread)
    if explorer.agreement is not None:
        label_agreement(explorer.agreement)
    search, sort = _filters(explorer, kind)
    page = client().clusters(
        artifact, kind, search=search, sort=sort, offset=PAGE * page_number(), limit=PAGE
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Map", anchor=False)
        _map(explorer, kind, search)
    with right:
        st.header("Selected cluster", anchor=False)
        selected = query_number("cluster")
        if selected is None and page.items:
            selected = page.items[0].cluster
        if selected is not None:
            with show_errors():
                cluster_detail(client().cluster(artifact, kind, selected))
    st.header(count(page.total, f"{kind.removesuffix('s')} cluster"), anchor=False)
    _list(explorer, kind, page, search)


def reset_list() -> None:
    """Go back to the first page and the first cluster."""
    st.query_params.pop("page", None)
    st.query_params.pop("cluster", None)


@st.cache_data(ttl=3600, show_spinner=False, max_entries=50)
def _points(_vise: ViseClient, artifact: str, kind: ClusterKind, search: str) -> ClusterPoints:
    """Cached, since an artifact never changes."""
    return _vise.cluster_map(artifact, kind, search)


def _filters(explorer: ExplorerView, kind: ClusterKind) -> tuple[str, str | None]:
    """The search and the order, as the API takes them."""
    left, right = st.columns([3, 2])
    search = ""
    if kind == "comments":
        search = left.text_input(
            "Search by word",
            key="search",
            bind="query-params",
            max_chars=200,
            placeholder="love, 😂, …",
            on_change=reset_list,
            help="Finds clusters that have every word among their terms or sample comments.",
        )
    orders = {
        "": "best match" if search else "largest first",
        "size": "smallest first",
        "cluster": "by number",
    }
    orders |= {f"-{name}": f"most {name}" for name in explorer.reaction_names}
    order = (right if kind == "comments" else left).selectbox(
        "Order",
        list(orders),
        format_func=lambda key: orders[key],
        key="sort",
        bind="query-params",
        on_change=reset_list,
    )
    return search.strip(), order or None


def _map(explorer: ExplorerView, kind: ClusterKind, search: str) -> None:
    artifact = str(explorer.artifact_id)
    points = _points(client(), artifact, kind, "")
    event: Any = show_figure(
        cluster_map(
            points,
            matches=_points(client(), artifact, kind, search).clusters if search else None,
            selected=query_number("cluster"),
            explained=explorer.map_explained.get(kind, (0.0, 0.0)),
            unit=UNITS[kind],
            dark=is_dark(),
        ),
        key=f"map-{artifact}-{kind}",
        on_select="rerun",
        selection_mode="points",
        config=STATIC | {"scrollZoom": False},
        alt=f"Map of {len(points.clusters)} {kind.removesuffix('s')} clusters; the list below has all of them",
    )
    st.caption(
        "Cluster centroids on their first two principal components; the area of a circle shows the cluster's size. "
        "Click a circle to show the cluster, or open it in the list below."
    )
    clicked = [p["customdata"] for p in event["selection"]["points"] if p.get("customdata") is not None]
    cluster = clicked[0][0] if clicked and isinstance(clicked[0], list) else clicked[0] if clicked else None
    # A click counts once: the chart keeps its selection when a link opens another cluster.
    if cluster is not None and st.session_state.get("map-click") != (artifact, kind, cluster):
        st.session_state["map-click"] = (artifact, kind, cluster)
        st.query_params["cluster"] = str(cluster)
        st.rerun()


def _list(explorer: ExplorerView, kind: ClusterKind, page: ClusterPage, search: str) -> None:
    if not page.items:
        empty(f"No cluster matches “{plain(search)}”", "Search for another word, or for a part of it.")
        return
    if kind == "reactions":
        show_figure(
            stacked_shares(
                [(f"{row.cluster}", row.reactions) for row in page.items],
                explorer.reaction_names,
                dark=is_dark(),
            ),
            key="distributions",
            config=STATIC,
            alt="Mean reactions of the clusters listed below",
        )
        st.caption("Mean share of each reaction over the posts of a cluster.")
    cluster_rows(page.items, kind)
    pages, number = -(-page.total // PAGE), page_number()
    page_buttons(number, more=number + 1 < pages, pages=pages)
