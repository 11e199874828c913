"""How a data set of posts would be read: the guessed map, the first posts, and the way to ingest with it."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.formatting import plain
from frontend.session import client
from vise_client.schemas.datasets import DatasetView
from vise_core.specs.posts.fields import REACTIONS


def posts_peek(one: DatasetView) -> None:
    """Nothing for other data, and for posts whose survey was made before it showed them."""
    if one.kind != "posts" or one.thumbnails is None:
        return
    survey = _survey(str(one.thumbnails))
    peek = survey.get("peek")
    if not peek or not peek.get("source"):
        return
    st.subheader("The first posts, as ingest would read them", anchor=False)
    st.caption(plain(f"Layout {peek['layout']}. The source was guessed from the files; change it at launch."))
    st.code(json.dumps(peek["source"], indent=1, ensure_ascii=False), language="json")
    st.dataframe([_row(post) for post in peek["posts"]], hide_index=True)
    st.page_link(
        "views/launch/page.py",
        label="Ingest with this map",
        icon=":material/rocket_launch:",
        query_params={
            "what": "ingest",
            "spec": json.dumps({"source": peek["source"]}, separators=(",", ":")),
            "in_source": f"dataset:{one.id}",
        },
    )


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


@st.cache_data(ttl=600, show_spinner=False, max_entries=100)
def _survey(artifact: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client().artifact_content(artifact, "survey.json"))
    return found
