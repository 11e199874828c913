"""Adding a data set: upload an archive, name an address, or name a folder of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import streamlit as st

from frontend.session import client, is_admin
from frontend.views.data.summary import KINDS
from vise_client.schemas.datasets import DatasetCreate, DatasetFromUrl, DatasetView

if TYPE_CHECKING:
    from vise_core.specs.survey import DataKind

# The pages' server holds an upload in memory on its way; larger ones go to the API.
UPLOAD_MIB = 1024


def add_data_set() -> None:
    """Upload, name an address, or name a folder of the server."""
    if not is_admin():
        st.info("Only an admin adds data sets. Ask one, and name the folder or the address.")
        return
    how = st.segmented_control("From", ("Upload", "Address", "Folder"), default="Upload", key="data.how")
    with st.form(f"add-{how}"):
        name = st.text_input("Name", max_chars=120)
        kind = st.selectbox("Kind", list(KINDS), format_func=KINDS.__getitem__, help=_LAYOUTS)
        description = st.text_area("Description", max_chars=2000, height=80)
        upload = url = sha256 = folder = None
        if how == "Address":
            url = st.text_input("Address", placeholder="https://example.org/images.tar")
            sha256 = st.text_input("SHA-256", help="Where it is known: another file is then refused.")
        elif how == "Folder":
            folder = st.text_input("Folder, below the server's data root", placeholder="emotions/images")
        else:
            upload = st.file_uploader(
                "Archive (zip or tar)",
                max_upload_size=UPLOAD_MIB,
                help="Larger ones: POST /api/v1/datasets/upload, with the archive as the body.",
            )
        st.caption(_LAYOUTS)
        if not st.form_submit_button("Add", type="primary", icon=":material/add:"):
            return
    if not name.strip():
        st.error("Give the data set a name.")
    elif how == "Address":
        body = {"name": name.strip(), "kind": kind, "url": (url or "").strip(), "description": description}
        if sha256 and sha256.strip():
            body["sha256"] = sha256.strip().lower()
        _opened(client().dataset_from_url(DatasetFromUrl.model_validate(body)))
    elif how == "Folder":
        wanted = {
            "name": name.strip(),
            "kind": kind,
            "folder": (folder or "").strip() or ".",
            "description": description,
        }
        _opened(client().register_dataset(DatasetCreate.model_validate(wanted)))
    elif upload is None:
        st.error("Choose an archive.")
    else:
        with st.spinner("Sending the archive …"):
            made = client().upload_dataset(
                name.strip(), upload.name, upload, kind=cast("DataKind", kind), description=description
            )
        _opened(made)


_LAYOUTS = (
    "Labelled images: one folder a class, or labels.csv with path,label and perhaps split, or a task of the paper in "
    "its published layout. Posts: CSV, JSON, JSONL or Parquet with"
    " images, WebDataset shards, or pictures with a .json each."
)


def _opened(one: DatasetView) -> None:
    st.query_params.from_dict({"dataset": str(one.id)})
    st.rerun()
