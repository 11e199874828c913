"""The survey of a data set: label balance, rejected files and samples."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.session import client
from vise_client.schemas.datasets import DatasetView
from vise_core.specs.survey import SurveyResult


def survey_report(data_set: DatasetView) -> None:
    """Draw the report of a survey: counts, labels, warnings and sample images."""
    if data_set.survey is None:
        return
    files = survey_file(str(data_set.thumbnails)) if data_set.thumbnails else {}
    _balance(data_set.survey)
    _rejected(data_set.survey, files.get("examples", []))
    if files.get("samples"):
        _samples(str(data_set.thumbnails), files["samples"])


@st.cache_data(ttl=600, show_spinner=False, max_entries=100)
def survey_file(artifact: str) -> dict[str, Any]:
    """Return the content of the artifact's ``survey.json``."""
    survey: dict[str, Any] = json.loads(client().artifact_content(artifact, "survey.json"))
    return survey


@st.cache_data(ttl=600, show_spinner=False, max_entries=500)
def _thumbnail(artifact: str, path: str) -> bytes:
    return client().artifact_content(artifact, path)


def _balance(survey: SurveyResult) -> None:
    if not survey.classes:
        return
    st.subheader("Label balance", anchor=False)
    total = max(1, sum(survey.classes.values()))
    rows = [
        {"class": name, "images": count, "share": 100 * count / total}
        for name, count in survey.classes.items()
    ]
    share = st.column_config.ProgressColumn(
        "share", format="%.1f %%", min_value=0, max_value=100 * max(survey.classes.values()) / total
    )
    show_rows(
        rows,
        hide_index=True,
        height=min(36 * (len(rows) + 1) + 2, 400),
        column_config={"share": share},
    )


def _rejected(survey: SurveyResult, examples: list[dict[str, Any]]) -> None:
    if survey.rejected:
        st.subheader("Rejected files", anchor=False)
        rows = [{"reason": name.replace("_", " "), "files": n} for name, n in survey.rejected.items()]
        show_rows(rows, hide_index=True)
        if examples:
            rows = [{"reason": e["reason"], "example": e["message"]} for e in examples]
            show_rows(rows, hide_index=True)
    if survey.other:
        counted = ", ".join(f"{suffix or 'no suffix'} {n:,}" for suffix, n in survey.other.items())
        st.caption(plain(f"Files with a suffix of no image format: {counted}."))


def _samples(artifact: str, samples: list[dict[str, Any]]) -> None:
    st.subheader("Samples", anchor=False)
    with st.container(horizontal=True, gap="small"):
        for sample in samples:
            st.image(
                _thumbnail(artifact, sample["file"]),
                width=120,
                caption=plain((sample["label"] or sample["path"])[:40]),
                alt=sample["path"],
            )
