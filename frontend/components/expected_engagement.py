"""The engagement that a pretrained model predicts for an image: comment clusters in words, shares of reactions."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.charts.palette import STATIC, is_dark
from frontend.charts.shares import share_bars
from frontend.components.figure import show_figure
from frontend.components.image_source import SelectedImage
from frontend.components.layout import empty, link_to
from frontend.components.url_select import url_select
from frontend.formatting import plain
from frontend.session import client
from frontend.style import synthetic_badge
from vise_client.schemas.engagement import EngagementModel, EngagementView, ExpectedCluster

CLUSTERS = 8
"""Comment clusters that are shown."""
WORDS = 4
"""Words that name a comment cluster."""


def pretrained_select() -> EngagementModel | None:
    """Draw a selection of pretrained models and return the selected one; None if there is none yet.

    The address names it.
    """
    models = client().engagement_models()
    if not models:
        empty(
            "No pretrained model yet",
            "A model that was pretrained on pseudo-labels predicts the comments and reactions of an image.",
            page="launch",
            query={"what": "pretrain"},
            label="Launch a pretraining",
        )
        return None
    labels = {str(m.run_id): f"{m.name}, {m.backbone}, {m.created_at:%d %b %H:%M}" for m in models}
    selected = url_select(
        "Pretrained model",
        labels,
        "pretrained",
        help="Succeeded pretrainings with the objective vise: they have a head for comments or reactions.",
    )
    return next(model for model in models if str(model.run_id) == selected)


def expected_engagement(image: SelectedImage, model: EngagementModel, *, key: str) -> None:
    """Draw bars of the comment clusters and reactions that are predicted for one image."""
    view = _engagement(image, model)
    if view.result is None:
        st.warning(plain(view.error or "No prediction worker has responded yet. Check the page Workers."))
        return
    st.markdown(
        f"Predicted by **{plain(model.name)}**{synthetic_badge(view.synthetic)} "
        f":gray[computed in {view.milliseconds or 0:.0f} ms]"
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
    show_figure(
        share_bars(bars, dark=is_dark()),
        key=f"comments-{key}",
        config=STATIC,
        alt="Comment clusters: " + "; ".join(f"{name} {p:.0%}" for name, p in bars.items()),
    )
    st.caption(
        f"The {len(clusters)} most probable comment clusters, named by the words of highest weight. Their "
        f"probabilities add up to {view.result.comment_mass:.0%}."
    )
    _cluster_links(clusters, model)
    comments = next((cluster.comments for cluster in clusters if cluster.comments), [])
    if comments:
        with st.expander("Sample comments of the most probable cluster"):
            for comment in comments:
                st.text(comment)


def _cluster_links(clusters: Sequence[ExpectedCluster], model: EngagementModel) -> None:
    """Links to the first clusters on the page Clusters, where their clusterer was explored."""
    explorers = (e for e in client().explorers() if e.clusterer_run_id is not None)
    explorer = next((e for e in explorers if e.clusterer_run_id == model.clusterer_run_id), None)
    if explorer is None:
        return
    with st.container(horizontal=True):
        for cluster in clusters[:3]:
            query = {"explorer": str(explorer.artifact_id), "cluster": str(cluster.cluster)}
            link_to("clusters", f"Cluster {cluster.cluster}", query)


def _reactions(view: EngagementView, key: str) -> None:
    assert view.result is not None
    st.markdown("**Reactions**")
    if view.result.reaction_clusters is None:
        st.caption("This model has no head for reactions.")
        return
    if view.result.reactions is None:
        st.caption(
            "The mean reactions of the clusters are unknown: the clusterer has no artifact inspection."
        )
        return
    most = max(view.result.reactions, key=view.result.reactions.__getitem__)
    show_figure(
        share_bars(view.result.reactions, marked=most, dark=is_dark()),
        key=f"reactions-{key}",
        config=STATIC,
        alt="Reactions: " + ", ".join(f"{n} {p:.0%}" for n, p in view.result.reactions.items()),
    )
    st.caption(
        "Expected share of each reaction: the mean shares of the reaction clusters, weighted by probability."
    )


def _engagement(image: SelectedImage, model: EngagementModel) -> EngagementView:
    """The prediction, made once for each image and model of this session."""
    cache: dict[tuple[str, str], EngagementView] = st.session_state.setdefault("engagement-cache", {})
    key = (image.digest, str(model.run_id))
    if key not in cache:
        with st.spinner("Predicting the engagement …"):
            view = client().predict_engagement(image.data, run_id=model.run_id, top=CLUSTERS)
        if view.state != "succeeded":
            return view
        cache[key] = view
    return cache[key]


def _title(cluster: ExpectedCluster) -> str:
    words = " ".join(word for word, _ in cluster.terms[:WORDS])
    return f"{words or 'no words'} ({cluster.cluster})"
