"""Clusters: what the pseudo-labels are about, and what a pretrained model expects of an image."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.charts.cluster_map import cluster_map
from frontend.charts.palette import is_dark
from frontend.charts.shares import stacked_shares
from frontend.components.expected_engagement import choose_pretrained, expected_engagement
from frontend.components.image_preview import drawn
from frontend.components.image_source import choose_images
from frontend.components.layout import empty, page_title
from frontend.components.paging import page_buttons, page_number
from frontend.components.url_select import addressed_select
from frontend.formatting import number, plain
from frontend.session import can_edit, client, show_errors
from frontend.style import synthetic_badge
from frontend.views.clusters.rows import STATIC, UNITS, cluster_detail, cluster_rows
from vise_client.client import ViseClient
from vise_client.schemas.clusters import ClusterKind, ClusterPage, ClusterPoints, ExplorerView
from vise_core.specs.explore import LabelAgreement, LabelSpread

PAGE = 20
SHOWN: dict[str, ClusterKind | None] = {
    "Comments": "comments",
    "Reactions": "reactions",
    "For an image": None,
}


@st.cache_data(ttl=3600, show_spinner=False, max_entries=50)
def points_of(_vise: ViseClient, artifact: str, kind: ClusterKind, search: str) -> ClusterPoints:
    """An artifact never changes."""
    return _vise.cluster_map(artifact, kind, search)


def spread(found: LabelSpread) -> None:
    """How even the labels are."""
    helps = {name: field.description for name, field in LabelSpread.model_fields.items()}
    columns = st.columns(4)
    columns[0].metric("Clusters in use", f"{found.used} of {found.clusters}", help=helps["used"])
    columns[1].metric(
        "Entropy",
        f"{found.entropy_bits:.2f} bits",
        help="How much a label tells: 0 where all are in one cluster, log2 of their number where all are even.",
    )
    columns[2].metric("Like even clusters", number(found.perplexity), help=helps["perplexity"])
    columns[3].metric("Largest cluster", f"{found.largest_share:.1%}", help="Its share of all labels.")


def agreement(found: LabelAgreement) -> None:
    """What comments and reactions of the same posts tell about each other."""
    helps = {name: field.description for name, field in LabelAgreement.model_fields.items()}
    with st.expander("Do comments and reactions agree?"):
        columns = st.columns(4)
        columns[0].metric(
            "Mutual information",
            f"{found.mutual_information_bits:.2f} bits",
            help=helps["mutual_information_bits"],
        )
        columns[1].metric("NMI", f"{found.nmi:.3f}", help=helps["nmi"])
        columns[2].metric("NMI by post", f"{found.nmi_by_post:.3f}", help=helps["nmi_by_post"])
        columns[3].metric("By chance", f"{found.nmi_chance:.3f}", help=helps["nmi_chance"])
        st.markdown(
            f"Over {found.posts:,} posts with both kinds of labels. Normalised mutual information is 1 where either "
            "label tells the other, 0 where they are independent; compare NMI by post with what chance alone gives."
        )


def clusters(explorer: ExplorerView, kind: ClusterKind) -> None:
    artifact = str(explorer.artifact_id)
    found = explorer.comments if kind == "comments" else explorer.reactions
    if found is None:
        empty(f"No labels of {kind}", "This clusterer has no such clusters, or no post has such a label.")
        return
    spread(found)
    if explorer.agreement is not None:
        agreement(explorer.agreement)
    search, sort = _filters(explorer, kind)
    offset = PAGE * page_number()
    page = client().clusters(artifact, kind, search=search, sort=sort, offset=offset, limit=PAGE)
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Map", anchor=False)
        _map(explorer, kind, search)
    with right:
        st.header("One cluster", anchor=False)
        chosen = _chosen()
        if chosen is None and page.items:
            chosen = page.items[0].cluster
        if chosen is not None:
            with show_errors():
                cluster_detail(client().cluster(artifact, kind, chosen))
    plural = "" if page.total == 1 else "s"
    st.header(f"{page.total:,} {kind.removesuffix('s')} cluster{plural}", anchor=False)
    _list(explorer, kind, page, search)


def _filters(explorer: ExplorerView, kind: ClusterKind) -> tuple[str, str | None]:
    left, right = st.columns([3, 2])
    search = ""
    if kind == "comments":
        search = left.text_input(
            "Search by word",
            key="search",
            bind="query-params",
            max_chars=200,
            placeholder="love, 😂, …",
            on_change=_from_the_start,
            help="Clusters that have every word among their terms or sample comments.",
        )
    sorts = {
        "": "best match" if search else "largest first",
        "size": "smallest first",
        "cluster": "by number",
    }
    sorts |= {f"-{name}": f"most {name}" for name in explorer.reaction_names}
    place = right if kind == "comments" else left
    sort = place.selectbox(
        "Order",
        list(sorts),
        format_func=lambda key: sorts[key],
        key="sort",
        bind="query-params",
        on_change=_from_the_start,
    )
    return search.strip(), sort or None


def _map(explorer: ExplorerView, kind: ClusterKind, search: str) -> None:
    artifact = str(explorer.artifact_id)
    points = points_of(client(), artifact, kind, "")
    found = points_of(client(), artifact, kind, search).clusters if search else None
    picked: Any = st.plotly_chart(
        cluster_map(
            points,
            found=found,
            chosen=_chosen(),
            explained=explorer.map_explained.get(kind, (0.0, 0.0)),
            unit=UNITS[kind],
            dark=is_dark(),
        ),
        key=f"map-{artifact}-{kind}",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False, "scrollZoom": False},
        alt=f"Map of {len(points.clusters)} {kind.removesuffix('s')} clusters; the list below has all of them",
    )
    st.caption(
        "Centroids on the two axes in which they differ most; the area of a circle is the cluster's size. Click one to "
        "read about it, or take it from the list below."
    )
    at = [
        point["customdata"] for point in picked["selection"]["points"] if point.get("customdata") is not None
    ]
    cluster = at[0][0] if at and isinstance(at[0], list) else at[0] if at else None
    # A click counts once: the selection stays in the chart when another cluster is opened by a link.
    if cluster is not None and st.session_state.get("map-click") != (artifact, kind, cluster):
        st.session_state["map-click"] = (artifact, kind, cluster)
        st.query_params["cluster"] = str(cluster)
        st.rerun()


def _list(explorer: ExplorerView, kind: ClusterKind, page: ClusterPage, search: str) -> None:
    if not page.items:
        empty(f"No cluster says “{search}”", "Search for another word, or for a part of it.")
        return
    if kind == "reactions":
        st.plotly_chart(
            stacked_shares(
                [(f"{row.cluster}", row.reactions) for row in page.items],
                explorer.reaction_names,
                dark=is_dark(),
            ),
            key="distributions",
            config=STATIC,
            alt="Mean distribution of reactions of the clusters listed below",
        )
        st.caption("Mean distribution of reactions over the posts of each cluster.")
    cluster_rows(page.items, kind)
    pages = -(-page.total // PAGE)
    here = page_number()
    page_buttons(here, more=here + 1 < pages, pages=pages)


def for_an_image() -> None:
    """Expected engagement of one image."""
    if not can_edit():
        st.info("Your role only reads. Ask an admin for the role editor, which may ask models.")
        return
    st.markdown("Which comments and reactions a pretrained model expects people to leave on an image.")
    left, right = st.columns(2, gap="large")
    with left:
        image = next(iter(choose_images(several=False)), None)
    with right:
        model = choose_pretrained()
        if image is not None:
            found = drawn(image.data)
            if found.picture is not None:
                st.image(found.picture, width=240, alt=image.name)
            else:
                st.caption(f":material/broken_image: No picture: {plain(found.reason)}")
    if image is None or model is None:
        return
    with st.container(border=True):
        expected_engagement(image, model, key="one")


def _chosen() -> int | None:
    given = st.query_params.get("cluster", "")
    return int(given) if given.isdecimal() and len(given) < 9 else None


def _from_the_start() -> None:
    st.query_params.pop("page", None)
    st.query_params.pop("cluster", None)


page_title("Clusters", "What the pseudo-labels are about: groups of comments and of reactions.")
with show_errors():
    shown = st.segmented_control(
        "Show",
        list(SHOWN),
        default="Comments",
        required=True,
        key="kind",
        bind="query-params",
        label_visibility="collapsed",
        on_change=_from_the_start,
    )
    chosen_kind = SHOWN[shown]
    if chosen_kind is None:
        for_an_image()
        st.stop()
    explorers = {str(e.artifact_id): e for e in client().explorers()}
    if not explorers:
        empty(
            "No clusters were explored yet",
            "The stage “Explore clusters” gathers what each cluster is about. The sample recipe runs it too.",
            page="launch",
            label="Launch “Explore clusters”",
            query={"what": "explore"},
        )
        st.stop()
    chosen_explorer = addressed_select(
        "Clusters of",
        {i: f"{e.name}, {e.posts:,} posts, {e.created_at:%d %b %H:%M}" for i, e in explorers.items()},
        "explorer",
        on_change=_from_the_start,
    )
    explorer = explorers[chosen_explorer]
    marks = synthetic_badge(explorer.synthetic)
    if explorer.shuffled:
        marks += " :orange-badge[:material/shuffle: shuffled control]"
    if marks:
        st.markdown(marks.strip())
    clusters(explorer, chosen_kind)
