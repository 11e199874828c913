"""The form that adds a data set: from an uploaded archive, a URL, or a folder of the server."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from frontend.session import client, is_admin
from frontend.views.data.summary import KINDS
from vise_client.schemas.datasets import DatasetCreate, DatasetFromUrl, DatasetView
from vise_core.specs.survey import DataKind

UPLOAD_MIB = 1024
"""The pages' server holds an upload in memory; larger archives are sent to the API."""
LAYOUTS = (
    "Labelled images: one folder for each class, or labels.csv with the columns path, label and optionally split, or a "
    "task of the paper in its published layout. Posts: CSV, JSON, JSONL or Parquet with images, WebDataset shards, or "
    "images with one .json file each."
)


def add_data_set() -> None:
    """Draw the forms that add a data set: a folder, an address, or an upload."""
    if not is_admin():
        st.info("Only admins can add data sets. Send an admin the folder or the URL.")
        return
    origin = st.segmented_control(
        "From", ("Upload", "URL", "Folder"), default="Upload", required=True, key="data.how"
    )
    with st.form(f"add-{origin}"):
        name = st.text_input("Name", max_chars=120).strip()
        kind: DataKind = st.selectbox("Kind", get_args(DataKind), format_func=KINDS.__getitem__, help=LAYOUTS)
        description = st.text_area("Description", max_chars=2000, height=80)
        upload = url = sha256 = folder = None
        if origin == "URL":
            url = st.text_input("URL", placeholder="https://example.org/images.tar")
            sha256 = st.text_input("SHA-256", help="Optional: a download with another digest is rejected.")
        elif origin == "Folder":
            folder = st.text_input(
                "Folder, relative to the server's data root", placeholder="emotions/images"
            )
        else:
            upload = st.file_uploader(
                "Archive (zip or tar)",
                max_upload_size=UPLOAD_MIB,
                help="Send larger archives as the body of POST /api/v1/datasets/upload.",
            )
        st.caption(LAYOUTS)
        if not st.form_submit_button("Add", type="primary", icon=":material/add:"):
            return
    about = {"name": name, "kind": kind, "description": description}
    if not name:
        st.error("Enter a name for the data set.")
    elif origin == "URL":
        digest = {"sha256": sha256.strip().lower()} if sha256 and sha256.strip() else {}
        body = {**about, "url": (url or "").strip(), **digest}
        _open(client().dataset_from_url(DatasetFromUrl.model_validate(body)))
    elif origin == "Folder":
        body = {**about, "folder": (folder or "").strip() or "."}
        _open(client().register_dataset(DatasetCreate.model_validate(body)))
    elif upload is None:
        st.error("Select an archive.")
    else:
        with st.spinner("Uploading the archive …"):
            added = client().upload_dataset(name, upload.name, upload, kind=kind, description=description)
        _open(added)


def _open(data_set: DatasetView) -> None:
    st.query_params.from_dict({"dataset": str(data_set.id)})
    st.rerun()
