"""Predict: ask a model about an image."""

from __future__ import annotations

import base64

import streamlit as st

from frontend.charts.curves import bars
from frontend.session import client, errors_as_sentences, may_edit
from frontend.style import headline, synthetic_badge
from vise_core.specs.explain import CAM_METHODS

SAMPLES = 12


@st.cache_data(ttl=600, show_spinner=False, max_entries=200)
def sample_image(artifact: str, path: str) -> bytes:
    return client().artifact_content(artifact, path)


@st.cache_data(ttl=60, show_spinner=False)
def samples() -> list[tuple[str, str]]:
    """(artifact, path) of some images of the newest sample evaluation set, evenly over classes."""
    for run in client().runs(stage="ingest", state=["succeeded"], all=True, limit=5).items:
        for artifact in client().run(run.id).artifacts:
            if artifact.name == "evaluation_set":
                files = [f.path for f in client().artifact_files(artifact.id)]
                images = [p for p in files if p.endswith(".jpg") and not p.startswith("masks/")]
                return [(str(artifact.id), p) for p in images[:: max(1, len(images) // SAMPLES)]][:SAMPLES]
    return []


def choose_image() -> bytes | None:
    kinds = ["Upload", "Camera", "Sample"]
    kind = st.segmented_control("Image from", kinds, default="Upload", label_visibility="collapsed")
    if kind == "Camera":
        shot = st.camera_input("Take a photograph")
        return shot.getvalue() if shot else None
    if kind == "Sample":
        found = samples()
        if not found:
            st.info("There are no sample images yet: run the sample recipe on the page Home.")
            return None
        names = {path: artifact for artifact, path in found}
        path = st.selectbox("Sample image (synthetic)", list(names))
        return sample_image(names[path], path)
    types = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"]
    upload = st.file_uploader("Drop a photograph here", type=types)
    return upload.getvalue() if upload else None


st.title("Predict")
with errors_as_sentences():
    models = client().models()
    if not models:
        st.info(
            "No model is registered yet. Run the sample recipe, or register a succeeded evaluation as a model."
        )
        st.page_link("views/home.py", label="Try it with sample data", icon=":material/home:")
        st.stop()
    if not may_edit(st.session_state["user"]):
        st.info("Your role only reads. Ask an editor for a role that may predict.")
        st.stop()
    left, right = st.columns([1, 2], gap="large")
    with left:
        by_id = {str(m.id): m for m in models}
        chosen = st.selectbox(
            "Model",
            list(by_id),
            format_func=lambda i: by_id[i].name + (" (default)" if by_id[i].default else ""),
        )
        model = by_id[chosen]
        st.markdown(
            f":gray[{model.method}, {model.backbone}, {model.task}]{synthetic_badge(model.synthetic)}"
        )
        st.caption(headline(model.headline))
        image = choose_image()
        with st.expander("Class activation map", expanded=True):
            method = st.selectbox("Method", list(CAM_METHODS), format_func=CAM_METHODS.__getitem__)
            target = st.selectbox("Class", ["most probable", *model.classes])
            strength = st.slider("Strength", 0.0, 1.0, 0.5, 0.05)
    with right:
        if image is None:
            st.info("Choose an image. The probabilities and the map of what speaks for a class come here.")
            st.stop()
        with st.spinner("Asking the model …"):
            found = client().predict(
                image,
                model_id=model.id,
                method=method,
                target_class=None if target == "most probable" else target,
                strength=strength,
            )
        if found.state == "queued":
            st.warning("No prediction worker has answered yet. Is one running? Try again in a moment.")
            st.stop()
        st.subheader(f"{found.predicted}, {found.probabilities[found.predicted or '']:.0%}")
        st.plotly_chart(
            bars(found.probabilities, found.predicted or ""), key="bars", config={"displayModeBar": False}
        )
        before, after = st.columns(2)
        before.image(image, caption="The image", width="stretch")
        overlay = base64.b64decode(found.overlay_png or "")
        after.image(overlay, caption=f"{CAM_METHODS[found.method]} for {found.target}", width="stretch")
        st.caption(
            f"Answered in {found.milliseconds:.0f} ms. Bright regions speak for “{found.target}”; the map covers the "
            "centre that the model saw."
        )
