"""The artifacts of a run: each with its files, a preview and a download."""

from __future__ import annotations

from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.components.table import show_rows
from frontend.formatting import count, plain, size, user_markdown
from frontend.session import client, show_errors
from frontend.views.run.file_preview import FilePreview, bytes_needed, file_preview
from vise_client.schemas.artifacts import ArtifactFile, ArtifactView
from vise_client.schemas.runs import RunView

MOST_FILES = 500


def run_artifacts(run: RunView) -> None:
    """Draw the artifacts of a run and the selected one; the address names artifact and file."""
    if not run.artifacts:
        empty("No artifacts yet", "Files and folders appear here when the run publishes them.")
        return
    artifacts = {artifact.name: artifact for artifact in run.artifacts}
    with show_errors():
        name = st.segmented_control(
            "Artifact",
            list(artifacts),
            default=next(iter(artifacts)),
            required=True,
            key="artifact",
            bind="query-params",
        )
        _artifact(artifacts[name])


def _artifact(artifact: ArtifactView) -> None:
    files = client().artifact_files(artifact.id)
    n_files = count(artifact.files if artifact.folder else 1, "file")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{n_files}, {size(artifact.size)}, SHA-256 `{artifact.sha256[:16]}…`", width="content")
        st.download_button(
            "Download",
            partial(client().artifact_content, artifact.id),
            file_name=f"{artifact.name}.tar" if artifact.folder else files[0].path,
            icon=":material/download:",
            key=f"download-{artifact.id}",
            on_click="ignore",
        )
    if files:
        _file(artifact, _select(files) if artifact.folder else files[0])
    else:
        st.info("The folder is empty.")


def _select(files: list[ArtifactFile]) -> ArtifactFile:
    if len(files) > MOST_FILES:
        st.caption(f"The first {MOST_FILES} of {len(files):,} files. The download contains all files.")
    listed = {file.path: file for file in files[:MOST_FILES]}
    path = st.selectbox(
        "File",
        list(listed),
        format_func=lambda path: f"{path} ({size(listed[path].size)})",
        key="file",
        bind="query-params",
    )
    return listed.get(path or "", files[0])


def _file(artifact: ArtifactView, file: ArtifactFile) -> None:
    needed = bytes_needed(file.path, file.size)
    name = file.path if artifact.folder else None
    data = client().artifact_head(artifact.id, needed, name) if needed else b""
    preview = file_preview(file.path, file.size, data)
    _draw(file.path, preview)
    if preview.note:
        st.caption(plain(preview.note[0].upper() + preview.note[1:] + "."))


def _draw(path: str, preview: FilePreview) -> None:
    if preview.kind == "image":
        st.image(preview.value, alt=path)
    elif preview.kind == "table":
        show_rows(preview.rows, hide_index=True)
    elif preview.kind == "json":
        st.json(preview.value, expanded=2)
    elif preview.kind == "markdown":
        with st.container(border=True):
            st.markdown(user_markdown(preview.text))
    elif preview.kind == "text":
        st.code(preview.text, language=None, wrap_lines=True, height=420)
