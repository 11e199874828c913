"""The first posts of a data set as ingest would read them, with a link that ingests them so."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.components.layout import link_to
from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.views.data.survey import survey_file
from vise_client.schemas.datasets import DatasetView
from vise_core.specs.posts.fields import REACTIONS


def posts_peek(data_set: DatasetView) -> None:
    """Draw the guessed source and the first posts; nothing for other kinds of data."""
    if data_set.kind != "posts" or data_set.thumbnails is None:
        return
    peek = survey_file(str(data_set.thumbnails)).get("peek")
    if not peek or not peek.get("source"):
        return
    st.subheader("First posts, as ingest would read them", anchor=False)
    st.caption(plain(f"Layout {peek['layout']}. The source was guessed from the files. Change it at launch."))
    st.code(json.dumps(peek["source"], indent=1, ensure_ascii=False), language="json")
    show_rows([_row(post) for post in peek["posts"]], hide_index=True)
    spec = json.dumps({"source": peek["source"]}, separators=(",", ":"))
    query = {"what": "ingest", "spec": spec, "in_source": f"dataset:{data_set.id}"}
    link_to("launch", "Ingest with this source", query)


def _row(post: dict[str, Any]) -> dict[str, Any]:
    reactions = {str(name): post["reactions"].get(name, 0) for name in REACTIONS if post["reactions"]}
    return {
        "where": post["where"],
        "rejected": "" if post["reason"] is None else f"{post['reason']}: {post['message']}",
        "id": post["id"],
        "image": post["image"],
        "comments": post["comments"],
        "first comments": " / ".join(post["first_comments"]),
        **reactions,
    }
