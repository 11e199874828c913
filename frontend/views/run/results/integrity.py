"""The result of integrity: each check with its verdict, its numbers and the pictures of the pairs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.components.input_ref import ref_text
from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.session import can_edit, client
from vise_client.schemas.artifacts import ArtifactView
from vise_client.schemas.runs import RunView
from vise_core.specs.integrity import CHECKS

ORDER = ("failed", "warning", "ok", "not_run")
WORDS = {"failed": "failed", "warning": "warnings", "ok": "passed", "not_run": "not run"}
SHOWN = 12


def integrity_result(run: RunView, values: dict[str, Any]) -> None:
    """Draw the outcome of each check with its examples."""
    checks = values["report"]["checks"]
    verdicts = [check["verdict"] for check in checks]
    numbers = {WORDS[verdict]: verdicts.count(verdict) for verdict in ORDER}
    numbers |= {"images": values["images"], "posts compared": values["posts"]}
    with st.container(horizontal=True, gap="medium"):
        for title, count in numbers.items():
            st.metric(title, f"{count:,}", width="content")
    pairs = next((artifact for artifact in run.artifacts if artifact.name == "pairs"), None)
    for check in sorted(checks, key=lambda check: ORDER.index(check["verdict"])):
        _verdict(check)
        if check["verdict"] in ("failed", "warning"):
            if check["name"] == "pretraining_overlap":
                _leave_out(run, values)
            _examples(check, pairs)
        if check["counts"]:
            with st.expander(f"Numbers of {CHECKS[check['name']]}"):
                show_rows(
                    [{"count": name.replace("_", " "), "value": n} for name, n in check["counts"].items()],
                    hide_index=True,
                )


def _verdict(check: dict[str, Any]) -> None:
    sentence = f"**{CHECKS[check['name']]}**: {plain(check['sentence'])}"
    match check["verdict"]:
        case "failed":
            st.error(sentence, icon=":material/error:")
        case "warning":
            st.warning(sentence, icon=":material/warning:")
        case "ok":
            st.success(sentence, icon=":material/check:")
        case _:
            st.info(sentence, icon=":material/block:")


def _examples(check: dict[str, Any], pairs: ArtifactView | None) -> None:
    pictured = [example for example in check["examples"] if example.get("picture") and pairs is not None]
    if pictured and pairs is not None:
        columns = st.columns(3)
        for position, example in enumerate(pictured[:SHOWN]):
            columns[position % 3].image(
                client().artifact_content(pairs.id, example["picture"]),
                caption=plain(_caption(example)),
                alt=f"{example['first']} beside {example['second']}",
                width="stretch",
            )
        if len(pictured) > SHOWN:
            st.caption(f"{SHOWN} of {len(pictured)} pairs. The artifact pairs contains all.")
        return
    rows = [
        {"first": e["first"], "second": e.get("second") or "", "kind": e["kind"], "where": e["where"]}
        for e in check["examples"]
    ]
    if rows:
        show_rows(rows, hide_index=True)


def _caption(example: dict[str, Any]) -> str:
    difference = example.get("difference")
    tail = "" if difference is None else f", difference {difference:g}"
    return f"{example['first']} | {example['second']}: {example['kind']}{tail} ({example['where']})"


def _leave_out(run: RunView, values: dict[str, Any]) -> None:
    """Links to the launch page, filled with this result as the input ``exclude``."""
    count = values["copied_posts"]
    if not count or not can_edit():
        return
    given = {f"in_{role}": ref_text(ref) for role, ref in run.inputs.items()}
    exclude = {"in_exclude": f"{run.id}:integrity"}
    with st.container(horizontal=True, vertical_alignment="center"):
        for stage, label, roles in (
            ("label", f"Label again without these {count:,} posts", ("in_posts", "in_clusterer")),
            ("pretrain", "Pretrain without these posts", ("in_posts",)),
        ):
            filled = {role: given[role] for role in roles if role in given}
            st.page_link(
                "views/launch/page.py",
                label=label,
                icon=":material/filter_alt_off:",
                query_params={"what": stage, **filled, **exclude},
            )
