"""Images of other people as pages show them: decoded as the models' are, so that any browser draws them alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from frontend.formatting import plain
from frontend.session import show_errors

from .layout import problem

LONGER_SIDE = 1024


@dataclass(frozen=True)
class Drawn:
    """``picture``: an upright JPEG without metadata; None, and then ``reason`` says why there is none."""

    picture: bytes | None
    reason: str = ""


@st.cache_data(ttl=600, show_spinner=False, max_entries=100)
def drawn(data: bytes) -> Drawn:
    """The image for eyes. Never raises: what cannot be decoded has a reason.

    Streamlit itself fails on 16-bit PNGs and on HEIC, and shows a TIFF as it lies in its file.
    """
    from vise_core.posts.images.decode import encode_jpeg, open_image

    try:
        image = open_image(data)
        image.thumbnail((LONGER_SIDE, LONGER_SIDE), reducing_gap=2.0)
        return Drawn(encode_jpeg(image))
    except Exception as error:
        return Drawn(None, str(error))


@contextmanager
def by_itself(name: str) -> Iterator[None]:
    """What is drawn of one image among several: an error in it is shown in its place, and the others stay."""
    try:
        with show_errors():
            yield
    except Exception as error:
        problem(f"{plain(name)} cannot be shown.", plain(f"{type(error).__name__}: {error}"[:300]))
