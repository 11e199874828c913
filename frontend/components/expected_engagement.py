"""What a pretrained model expects people to make of an image: comments in words, reactions in shares."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.charts.palette import is_dark
from frontend.charts.shares import share_bars
from frontend.formatting import plain
from frontend.session import client
from frontend.style import synthetic_badge
from vise_client.schemas.engagement import EngagementModel, EngagementView, ExpectedCluster

from .image_source import ChosenImage
from .layout import empty
from .url_select import addressed_select

TOLD = 8
WORDS = 4
STATIC = {"displayModeBar": False}


def choose_pretrained() -> EngagementModel | None:
    """The pretrained model to ask; which, is in the address."""
    found = client().engagement_models()
    if not found:
        empty(
            "No pretrained model yet",
            "Expected engagement comes from the two heads of a model that was pretrained on pseudo-labels.",
            page="launch",
            query={"what": "pretrain"},
            label="Launch a pretraining",
        )
        return None
    names = {
        str(model.run_id): f"{model.name}, {model.backbone}, {model.created_at:%d %b %H:%M}"
        for model in found
    }
    chosen = addressed_select(
        "Pretrained model",
        names,
        "pretrained",
        help="Succeeded pretrainings with the objective vise: they have a head for comments or reactions.",
    )
    return next(model for model in found if str(model.run_id) == chosen)


def expected_engagement(image: ChosenImage, model: EngagementModel, *, key: str) -> None:
    """Bars of comment clusters and reactions for one image."""
    view = _ask(image, model)
    if view.result is None:
        st.warning(view.error or "No prediction worker has answered yet. Is one running?")
        return
    st.markdown(
        f"What **{plain(model.name)}** expects{synthetic_badge(view.synthetic)} "
        f":gray[answered in {view.milliseconds or 0:.0f} ms]"
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        _comments(view, model, key)
    with right:
        _reactions(view, key)


def _comments(view: EngagementView, model: EngagementModel, key: str) -> None:
    assert view.result is not None
    st.markdown("**Comments**")
    clusters = view.result.comments
    if clusters is None:
        st.caption("This model has no head for comments.")
        return
    bars = {_title(cluster): cluster.probability for cluster in clusters}
    st.plotly_chart(
        share_bars(bars, dark=is_dark()),
        key=f"comments-{key}",
        config=STATIC,
        alt="Comment clusters: " + "; ".join(f"{name} {p:.0%}" for name, p in bars.items()),
    )
    st.caption(
        f"The {len(clusters)} most probable comment clusters by their heaviest words; together "
        f"{view.result.comment_mass:.0%} of what is expected."
    )
    _links(clusters, model)
    said = next((cluster.comments for cluster in clusters if cluster.comments), [])
    if said:
        with st.expander("Comments nearest to the most probable cluster"):
            for comment in said:
                st.text(comment)


def _links(clusters: Sequence[ExpectedCluster], model: EngagementModel) -> None:
    """To the same clusters on the page Clusters, where they were explored."""
    explored = next(
        (
            e
            for e in client().explorers()
            if e.clusterer_run_id is not None and e.clusterer_run_id == model.clusterer_run_id
        ),
        None,
    )
    if explored is None:
        return
    with st.container(horizontal=True):
        for cluster in clusters[:3]:
            st.page_link(
                "views/clusters/page.py",
                label=f"Cluster {cluster.cluster}",
                icon=":material/bubble_chart:",
                query_params={"explorer": str(explored.artifact_id), "cluster": str(cluster.cluster)},
            )


def _reactions(view: EngagementView, key: str) -> None:
    assert view.result is not None
    st.markdown("**Reactions**")
    if view.result.reaction_clusters is None:
        st.caption("This model has no head for reactions.")
        return
    if view.result.reactions is None:
        st.caption(
            "What the reaction clusters mean is not known here: the clusterer's inspection is missing."
        )
        return
    most = max(view.result.reactions, key=view.result.reactions.__getitem__)
    st.plotly_chart(
        share_bars(view.result.reactions, marked=most, dark=is_dark()),
        key=f"reactions-{key}",
        config=STATIC,
        alt="Reactions: " + ", ".join(f"{n} {p:.0%}" for n, p in view.result.reactions.items()),
    )
    st.caption(
        "Expected share of each reaction: the reaction clusters' means, weighted by their probability."
    )


def _ask(image: ChosenImage, model: EngagementModel) -> EngagementView:
    held: dict[tuple[str, str], EngagementView] = st.session_state.setdefault("engagement-answers", {})
    key = (image.digest, str(model.run_id))
    if key not in held:
        with st.spinner("Asking the pretrained model …"):
            found = client().predict_engagement(image.data, run_id=model.run_id, top=TOLD)
        if found.state != "succeeded":
            return found
        held[key] = found
    return held[key]


def _title(cluster: ExpectedCluster) -> str:
    words = " ".join(word for word, _ in cluster.terms[:WORDS])
    return f"{words or 'no words'} ({cluster.cluster})"
