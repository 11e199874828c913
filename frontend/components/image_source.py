"""Selecting images: uploaded files, the camera, or generated samples."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import streamlit as st

from frontend.components.layout import empty
from frontend.session import client
from vise_client.schemas.models import ModelView
from vise_core.specs.posts.images import IMAGE_SUFFIXES

TYPES = sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
MOST_IMAGES = 12
SAMPLES_A_CLASS = 2
SAMPLE_SET = "evaluation_set"
SOURCES = ("Files", "Camera", "Samples")


@dataclass(frozen=True)
class SelectedImage:
    """An image to predict for.

    Attributes: ``name`` of the file; ``truth`` its class, where known; ``sample`` (artifact, path) on the server.
    """

    name: str
    data: bytes
    truth: str | None = None
    sample: tuple[str, str] | None = None

    @property
    def synthetic(self) -> bool:
        """Whether the image is generated."""
        return self.sample is not None

    @property
    def digest(self) -> str:
        """SHA-256 of the file, by which predictions are cached."""
        return sha256(self.data).hexdigest()


def image_select(models: Sequence[ModelView] = (), *, several: bool = True) -> list[SelectedImage]:
    """Draw an upload, a camera or a choice of samples, and return the selected images; empty at first.

    Samples that any of ``models`` was trained on are left out.
    """
    source = st.segmented_control(
        "Images from", SOURCES, default=SOURCES[0], required=True, key="from", bind="query-params"
    )
    if source == "Camera":
        shot = st.camera_input("Take a photo")
        return [SelectedImage("photograph.jpg", shot.getvalue())] if shot else []
    if source == "Samples":
        return _samples(models, several)
    label = f"Upload images, up to {MOST_IMAGES}" if several else "Upload an image"
    uploaded = st.file_uploader(label, type=TYPES, accept_multiple_files=several, key="files")
    files = uploaded if isinstance(uploaded, list) else [uploaded] if uploaded else []
    if len(files) > MOST_IMAGES:
        st.warning(f"Only the first {MOST_IMAGES} of {len(files)} images are used.")
    return [SelectedImage(file.name, file.getvalue()) for file in files[:MOST_IMAGES]]


def _samples(models: Sequence[ModelView], several: bool) -> list[SelectedImage]:
    sets = [_evaluated_on(str(model.run_id)) for model in models]
    artifact = next((artifact for artifact in sets if artifact is not None), None) or _newest_set()
    if artifact is None:
        empty(
            "No sample images yet",
            "The sample recipe generates them and registers a model.",
            page="home",
            label="Run the sample recipe",
        )
        return []
    paths = _paths(artifact)
    # A model that was evaluated on another data set was trained on none of these images.
    held_out = [
        _held_out(str(model.artifact_id))
        for model, evaluated_on in zip(models, sets, strict=True)
        if evaluated_on == artifact
    ]
    unseen = [path for path in paths if all(path in held for held in held_out)]
    selected: list[str] | str | None = st.pills(
        "Sample images (synthetic)",
        _some_of_each_class(unseen or paths),
        selection_mode="multi" if several else "single",
        format_func=_short,
        wrap=True,
        key="sample",
        bind="query-params",
    )
    if not unseen:
        st.caption("The selected models were trained on some of these images.")
    elif held_out:
        st.caption("Generated images. None of the selected models was trained on them.")
    return [
        SelectedImage(
            path.replace("/", "-"), sample_image(artifact, path), truth=_class(path), sample=(artifact, path)
        )
        for path in ([selected] if isinstance(selected, str) else selected or [])[:MOST_IMAGES]
    ]


@st.cache_data(ttl=600, show_spinner=False, max_entries=200)
def sample_image(artifact: str, path: str) -> bytes:
    """Return an image of an evaluation set of sample data, as its file holds it."""
    return client().artifact_content(artifact, path)


@st.cache_data(ttl=600, show_spinner=False, max_entries=200)
def _evaluated_on(run_id: str) -> str | None:
    """The generated evaluation set that a model's evaluation read; None for other data."""
    ref = client().run(run_id).inputs.get("dataset")
    if ref is None or ref.run is None or ref.artifact != SAMPLE_SET:
        return None
    return _sample_set(str(ref.run))


def _newest_set() -> str | None:
    runs = client().runs(stage="ingest", state=["succeeded"], all=True, limit=5).items
    return next((artifact for run in runs if (artifact := _sample_set(str(run.id))) is not None), None)


def _sample_set(run_id: str) -> str | None:
    return next((str(a.id) for a in client().run(run_id).artifacts if a.name == SAMPLE_SET), None)


@st.cache_data(ttl=3600, show_spinner=False, max_entries=50)
def _paths(artifact: str) -> list[str]:
    files = [file.path for file in client().artifact_files(artifact)]
    return sorted(path for path in files if path.endswith(".jpg") and not path.startswith("masks/"))


@st.cache_data(ttl=3600, show_spinner=False, max_entries=50)
def _held_out(predictor: str) -> set[str]:
    """The images of its data set that a predictor was not trained on."""
    card = json.loads(client().artifact_content(UUID(predictor), "predictor.json"))
    return set(card["metadata"].get("held_out") or ())


def _some_of_each_class(paths: Sequence[str]) -> list[str]:
    by_class: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        by_class[_class(path)].append(path)
    return [path for members in by_class.values() for path in members[:SAMPLES_A_CLASS]]


def _short(path: str) -> str:
    """joy/000012.jpg → joy 12."""
    return f"{_class(path)} {path.rpartition('/')[2].rpartition('.')[0].lstrip('0') or '0'}"


def _class(path: str) -> str:
    return path.partition("/")[0]
