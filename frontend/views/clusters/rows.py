"""Comment and reaction clusters as rows, and one of them whole."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import streamlit as st
from PIL import Image

from frontend.charts.palette import is_dark
from frontend.charts.shares import share_bars
from frontend.formatting import plain
from vise_client.schemas.clusters import ClusterDetail, ClusterKind, ClusterRow

STATIC = {"displayModeBar": False}
UNITS: dict[ClusterKind, str] = {"comments": "comments", "reactions": "posts"}
OTHER: dict[ClusterKind, ClusterKind] = {"comments": "reactions", "reactions": "comments"}
WORDS = 8


def cluster_rows(rows: Sequence[ClusterRow], kind: ClusterKind) -> None:
    """One row a cluster: what it is about, how large it is, its posts' pictures, the way to the whole."""
    for row in rows:
        with st.container(border=True, key=f"row-{kind}-{row.cluster}"):
            words, pictures, link = st.columns([5, 4, 1], vertical_alignment="center")
            words.markdown(
                f"**{row.cluster}** {title(row, WORDS)}  \n"
                f":small[{row.size:,} {UNITS[kind]}, {row.share:.1%} of all]"
            )
            if row.thumbnails_jpg:
                pictures.image(base64.b64decode(row.thumbnails_jpg), alt=_alt(row))
            link.button(
                "Open",
                key=f"open-{kind}-{row.cluster}",
                help=f"Show cluster {row.cluster} above",
                on_click=open_cluster,
                args=(kind, row.cluster),
            )


def cluster_detail(found: ClusterDetail) -> None:
    """Everything about one cluster."""
    kind = found.kind
    name = "Comment" if kind == "comments" else "Reaction"
    st.subheader(f"{name} cluster {found.cluster}", anchor=False)
    if not found.size:
        st.info("No post has this label.")
        return
    st.markdown(
        f"{found.size:,} {UNITS[kind]}, {found.share:.1%} of all"
        + (f", on {found.posts:,} posts." if kind == "comments" else ".")
    )
    if found.thumbnails_jpg:
        pictures = _apart(base64.b64decode(found.thumbnails_jpg))
        st.image(pictures, alt=[f"Post {post}" for post in found.sample_posts])
        st.caption(f"Sample posts: {', '.join(plain(post) for post in found.sample_posts)}")
    left, right = st.columns(2) if found.terms else (st.container(), st.container())
    with left:
        if found.terms:
            st.markdown("**Heaviest words of its centroid**")
            st.plotly_chart(
                share_bars(dict(found.terms), dark=is_dark(), share=False),
                key="terms",
                config=STATIC,
                alt="Words: " + ", ".join(f"{word} {weight:.2f}" for word, weight in found.terms),
            )
    with right:
        st.markdown("**Mean reactions of its posts**")
        st.plotly_chart(
            share_bars(found.reactions, dark=is_dark()),
            key="mean-reactions",
            config=STATIC,
            alt="Mean reactions: " + ", ".join(f"{n} {p:.0%}" for n, p in found.reactions.items()),
        )
    if found.comments:
        with st.expander(f"{len(found.comments)} sample comments", expanded=True):
            for comment in found.comments:
                st.text(comment)
    _pairs(found)


def _pairs(found: ClusterDetail) -> None:
    if not found.pairs:
        return
    other = OTHER[found.kind]
    st.markdown(f"**Occurs with {other.removesuffix('s')} clusters**")
    for pair in found.pairs[:5]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"{other.removesuffix('s').capitalize()} cluster {pair.cluster}",
                key=f"pair-{other}-{pair.cluster}",
                icon=":material/link:",
                type="tertiary",
                on_click=open_cluster,
                args=(other, pair.cluster),
            )
            st.markdown(f"{pair.count:,.0f} times, {pair.lift:.1f} times as often as by chance")


def open_cluster(kind: ClusterKind, cluster: int) -> None:
    """Show this cluster; search, order and page of the list stay where they are."""
    shown = kind.capitalize()
    if st.session_state.get("kind") != shown:
        st.session_state["kind"] = shown
        st.query_params.pop("page", None)
    st.query_params["cluster"] = str(cluster)


def title(row: ClusterRow, words: int) -> str:
    """Markdown: its heaviest words, or its largest reactions."""
    if row.terms:
        return " · ".join(plain(word) for word, _ in row.terms[:words])
    most = sorted(row.reactions.items(), key=lambda item: -item[1])[:3]
    return " · ".join(f"{name} {share:.0%}" for name, share in most if share >= 0.01) or "nobody reacted"


def _alt(row: ClusterRow) -> str:
    return f"Pictures of {len(row.sample_posts)} sample posts of cluster {row.cluster}"


def _apart(strip: bytes) -> list[bytes]:
    """The square pictures of a strip, so that they wrap on a narrow page."""
    with Image.open(io.BytesIO(strip), formats=["JPEG"]) as whole:
        side, pictures = whole.height, []
        for left in range(0, whole.width, side):
            buffer = io.BytesIO()
            whole.crop((left, 0, left + side, side)).save(buffer, "PNG")
            pictures.append(buffer.getvalue())
        return pictures
