"""What a run made: each artifact with its files, a preview and a download."""

from __future__ import annotations

from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.formatting import size
from frontend.session import client, show_errors
from frontend.views.run.file_preview import Preview, bytes_wanted, preview
from vise_client.schemas.artifacts import ArtifactFile, ArtifactView

MOST_FILES = 500


def run_artifacts(found: list[ArtifactView]) -> None:
    """A list; the one that is open is shown with its files. The address names artifact and file."""
    if not found:
        empty("No artifacts yet.", "Files and folders appear here once the run has published them.")
        return
    names = [artifact.name for artifact in found]
    with show_errors():
        chosen = st.segmented_control(
            "Artifact", names, default=names[0], required=True, key="artifact", bind="query-params"
        )
        _artifact(next((a for a in found if a.name == chosen), found[0]))


def _artifact(artifact: ArtifactView) -> None:
    files = client().artifact_files(artifact.id)
    count = f"{artifact.files:,} files" if artifact.folder else "1 file"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{count}, {size(artifact.size)}, SHA-256 `{artifact.sha256[:16]}…`", width="content")
        st.download_button(
            "Download",
            partial(client().artifact_content, artifact.id),
            file_name=f"{artifact.name}.tar" if artifact.folder else files[0].path,
            icon=":material/download:",
            key=f"download-{artifact.id}",
            on_click="ignore",
        )
    if not files:
        st.info("The folder is empty.")
        return
    file = files[0]
    if artifact.folder:
        if len(files) > MOST_FILES:
            st.caption(f"The first {MOST_FILES} of {len(files):,} files; the download has them all.")
        listed = {f.path: f for f in files[:MOST_FILES]}
        path = st.selectbox(
            "File",
            list(listed),
            format_func=lambda p: f"{p} ({size(listed[p].size)})",
            key="file",
            bind="query-params",
        )
        file = listed.get(path or "", file)
    _show(artifact, file)


def _show(artifact: ArtifactView, file: ArtifactFile) -> None:
    wanted = bytes_wanted(file.path, file.size)
    name = file.path if artifact.folder else None
    data = client().artifact_head(artifact.id, wanted, name) if wanted else b""
    shown = preview(file.path, file.size, data)
    _draw(file.path, shown)
    if shown.note:
        st.caption(shown.note[0].upper() + shown.note[1:] + ".")


def _draw(path: str, shown: Preview) -> None:
    if shown.kind == "image":
        st.image(shown.value, alt=path)
    elif shown.kind == "table":
        st.dataframe(shown.rows, hide_index=True)
    elif shown.kind == "json":
        st.json(shown.value, expanded=2)
    elif shown.kind == "markdown":
        with st.container(border=True):
            st.markdown(shown.text)
    elif shown.kind == "text":
        st.code(shown.text, language=None, wrap_lines=True, height=420)
