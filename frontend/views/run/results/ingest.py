"""The result of ingest: what was read, kept and rejected, with the first examples of each reason."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.session import client
from vise_client.schemas.runs import RunView
from vise_core.specs.ingest import DROPPED

Examples = dict[str, list[dict[str, str]]]


def ingest_result(run: RunView, values: dict[str, Any]) -> None:
    """Draw the counts of an ingest, and the reasons of rejected posts with examples."""
    rejected, repaired = values["rejected"], values["repaired"]
    lost = sum(rejected.values())
    numbers = {
        "posts read": values["read"],
        "posts kept": values["posts"],
        "posts rejected": lost,
        "comments": values["comments"],
        "reactions": values["reactions"],
    }
    with st.container(horizontal=True, gap="medium"):
        for title, count in numbers.items():
            st.metric(title, f"{count:,}", width="content")
    for warning in values["warnings"]:
        st.warning(plain(warning), icon=":material/warning:")
    examples = _examples(run)
    if not lost:
        st.success("All posts passed.", icon=":material/check:")
    _table("Rejected", rejected, examples, "posts")
    _table("Repaired", repaired, examples, "posts")
    _table("Removed from posts that were kept", values["dropped"], examples, "count")
    for title, names in (
        ("Reactions with unknown names", values["other_reactions"]),
        ("Reactions that source.fields does not read", values["unread_reactions"]),
    ):
        if names:
            st.subheader(title, anchor=False)
            rows = [{"name": name, "count": count} for name, count in _largest(names)]
            show_rows(rows, hide_index=True)
    if shown := {reason: rows for reason, rows in examples.items() if rows}:
        st.subheader("Examples", anchor=False)
        reason = st.selectbox("Examples of", list(shown), format_func=_title, key="ingest.reason")
        show_rows(
            [{"where": row.get("where", ""), "message": row.get("message", "")} for row in shown[reason]],
            hide_index=True,
        )
        st.caption(
            f"The first {len(shown[reason]):,}; the artifact report contains the first 100 of each reason."
        )


def _table(title: str, counts: dict[str, int], examples: Examples, unit: str) -> None:
    rows = []
    for reason, count in _largest(counts):
        first = next(iter(examples.get(reason, ())), {})
        rows.append(
            {
                "reason": _title(reason),
                unit: count,
                "first example": first.get("where", ""),
                "message": first.get("message", ""),
            }
        )
    if rows:
        st.subheader(title, anchor=False)
        show_rows(rows, hide_index=True)


def _largest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda row: -row[1])


def _title(reason: str) -> str:
    return DROPPED.get(reason, reason.replace("_", " "))


def _examples(run: RunView) -> Examples:
    report = next((artifact for artifact in run.artifacts if artifact.name == "report"), None)
    if report is None:
        return {}
    examples: Examples = json.loads(client().artifact_content(report.id)).get("examples", {})
    return examples
