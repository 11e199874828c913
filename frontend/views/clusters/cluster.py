"""One cluster: its size, sample posts and comments, words, mean reactions, and clusters it occurs with."""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image

from frontend.charts.palette import STATIC, is_dark
from frontend.charts.shares import share_bars
from frontend.components.figure import show_figure
from frontend.formatting import plain
from frontend.views.clusters.rows import UNITS, open_cluster
from vise_client.schemas.clusters import ClusterDetail, ClusterKind

OTHER: dict[ClusterKind, ClusterKind] = {"comments": "reactions", "reactions": "comments"}


def cluster_detail(cluster: ClusterDetail) -> None:
    """Draw one cluster: its terms, comments, reactions, sample images and pairs."""
    name = "Comment" if cluster.kind == "comments" else "Reaction"
    st.subheader(f"{name} cluster {cluster.cluster}", anchor=False)
    if not cluster.size:
        st.info("No post has this label.")
        return
    st.markdown(
        f"{cluster.size:,} {UNITS[cluster.kind]}, {cluster.share:.1%} of all"
        + (f", on {cluster.posts:,} posts." if cluster.kind == "comments" else ".")
    )
    if cluster.thumbnails_jpg:
        thumbnails = _split(base64.b64decode(cluster.thumbnails_jpg))
        st.image(thumbnails, alt=[f"Post {post}" for post in cluster.sample_posts])
        st.caption(f"Sample posts: {', '.join(plain(post) for post in cluster.sample_posts)}")
    left, right = st.columns(2) if cluster.terms else (st.container(), st.container())
    if cluster.terms:
        with left:
            st.markdown("**Words of highest weight in the centroid**")
            show_figure(
                share_bars(dict(cluster.terms), dark=is_dark(), share=False),
                key="terms",
                config=STATIC,
                alt="Words: " + ", ".join(f"{word} {weight:.2f}" for word, weight in cluster.terms),
            )
    with right:
        st.markdown("**Mean reactions of its posts**")
        show_figure(
            share_bars(cluster.reactions, dark=is_dark()),
            key="mean-reactions",
            config=STATIC,
            alt="Mean reactions: " + ", ".join(f"{n} {p:.0%}" for n, p in cluster.reactions.items()),
        )
    if cluster.comments:
        with st.expander(f"{len(cluster.comments)} sample comments", expanded=True):
            for comment in cluster.comments:
                st.text(comment)
    _pairs(cluster)


def _pairs(cluster: ClusterDetail) -> None:
    """The clusters of the other kind that share most posts with this one."""
    if not cluster.pairs:
        return
    other = OTHER[cluster.kind]
    kind = other.removesuffix("s")
    st.markdown(f"**Co-occurring {kind} clusters**")
    for pair in cluster.pairs[:5]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"{kind.capitalize()} cluster {pair.cluster}",
                key=f"pair-{other}-{pair.cluster}",
                icon=":material/link:",
                type="tertiary",
                on_click=open_cluster,
                args=(other, pair.cluster),
            )
            st.markdown(f"{pair.count:,.0f} times, {pair.lift:.1f} times as often as by chance")


def _split(strip: bytes) -> list[bytes]:
    """Split a strip of square thumbnails, so that they wrap on a narrow page."""
    with Image.open(io.BytesIO(strip), formats=["JPEG"]) as image:
        side, thumbnails = image.height, []
        for left in range(0, image.width, side):
            buffer = io.BytesIO()
            image.crop((left, 0, left + side, side)).save(buffer, "PNG")
            thumbnails.append(buffer.getvalue())
        return thumbnails
