"""Statistics of the labels: how evenly they are spread, and how comment and reaction labels agree."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import number
from vise_core.specs.explore import LabelAgreement, LabelSpread


def label_spread(spread: LabelSpread) -> None:
    """Draw how the labels are distributed over the clusters."""
    helps = {name: field.description for name, field in LabelSpread.model_fields.items()}
    columns = st.columns(4)
    columns[0].metric("Clusters in use", f"{spread.used} of {spread.clusters}", help=helps["used"])
    columns[1].metric(
        "Entropy",
        f"{spread.entropy_bits:.2f} bits",
        help="Of the distribution of labels over clusters: 0 where all labels are in one cluster, log2 of the number of "
        "clusters where all are equally frequent.",
    )
    columns[2].metric("Perplexity", number(spread.perplexity), help=helps["perplexity"])
    columns[3].metric("Largest cluster", f"{spread.largest_share:.1%}", help="Its share of all labels.")


def label_agreement(agreement: LabelAgreement) -> None:
    """Draw how comment and reaction labels agree."""
    helps = {name: field.description for name, field in LabelAgreement.model_fields.items()}
    with st.expander("Agreement of comment and reaction labels"):
        columns = st.columns(4)
        columns[0].metric(
            "Mutual information",
            f"{agreement.mutual_information_bits:.2f} bits",
            help=helps["mutual_information_bits"],
        )
        columns[1].metric("NMI", f"{agreement.nmi:.3f}", help=helps["nmi"])
        columns[2].metric("NMI by post", f"{agreement.nmi_by_post:.3f}", help=helps["nmi_by_post"])
        columns[3].metric("NMI by chance", f"{agreement.nmi_chance:.3f}", help=helps["nmi_chance"])
        st.markdown(
            f"Over {agreement.posts:,} posts with both kinds of labels. Normalised mutual information (NMI) is 1 where "
            "one label determines the other, and 0 where they are independent. Compare NMI by post with the value by "
            "chance."
        )
