"""Previews of uploaded images, decoded as the models decode them, so that every browser shows the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from frontend.components.layout import problem
from frontend.formatting import plain
from frontend.session import show_errors

LONGER_SIDE = 1024
"""Of a preview, in pixels."""


@dataclass(frozen=True)
class ImagePreview:
    """``jpeg``: upright, without metadata; None where the image cannot be decoded, for the ``reason``."""

    jpeg: bytes | None
    reason: str = ""


@st.cache_data(ttl=600, show_spinner=False, max_entries=100)
def image_preview(data: bytes) -> ImagePreview:
    """Decode and shrink an image; never raises.

    Streamlit itself fails on 16-bit PNGs and on HEIC, and ignores the orientation of a TIFF.
    """
    from vise_core.posts.images.decode import encode_jpeg, open_image

    try:
        image = open_image(data)
        image.thumbnail((LONGER_SIDE, LONGER_SIDE), reducing_gap=2.0)
        return ImagePreview(encode_jpeg(image))
    except Exception as error:
        return ImagePreview(None, str(error))


def show_preview(preview: ImagePreview, *, alt: str, width: int | str = "stretch") -> None:
    """Draw the preview, or the reason why there is none."""
    if preview.jpeg is not None:
        st.image(preview.jpeg, width=width, alt=alt)  # type: ignore[arg-type]
    else:
        st.caption(f":material/broken_image: No preview: {plain(preview.reason)}")


@contextmanager
def isolated_errors(name: str) -> Iterator[None]:
    """Show an error of one image in its own place, so that the other images are still shown."""
    try:
        with show_errors():
            yield
    except Exception as error:
        problem(f"{plain(name)} cannot be shown.", plain(f"{type(error).__name__}: {error}"[:300]))
