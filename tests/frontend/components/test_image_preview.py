"""Whatever image a page is given: a picture that every browser shows, or the reason; never a page without answers."""

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from frontend.components.image_preview import LONGER_SIDE, drawn
from frontend.views.run.file_preview import preview
from vise_core.specs.posts.images import IMAGE_KINDS, IMAGE_SUFFIXES


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


DEEP = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40))
FILES = {
    "deep.png": encoded(DEEP, "PNG"),
    "deep.tiff": encoded(DEEP, "TIFF"),
    "float.tif": encoded(Image.fromarray(np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)), "TIFF"),
    "modern.avif": encoded(Image.new("RGB", (40, 30), "teal"), "AVIF"),
    "plain.jpg": encoded(Image.new("RGB", (40, 30), "teal"), "JPEG"),
    "inks.jpg": encoded(Image.new("CMYK", (40, 30)), "JPEG"),
    "drawing.gif": encoded(Image.new("P", (40, 30)), "GIF"),
    "old.bmp": encoded(Image.new("RGB", (40, 30)), "BMP"),
}


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_shown_as_one_of_8_bits(name: str) -> None:
    found = drawn(FILES[name])
    assert found.picture is not None
    shown = Image.open(io.BytesIO(found.picture))
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (40, 30))
    of_artifact = preview(name, len(FILES[name]), FILES[name])
    assert of_artifact.kind == "image"
    assert Image.open(io.BytesIO(of_artifact.value)).format in ("PNG", "JPEG")


def test_a_large_image_is_made_smaller() -> None:
    found = drawn(encoded(Image.new("RGB", (3000, 2000)), "PNG"))
    assert found.picture is not None
    assert max(Image.open(io.BytesIO(found.picture)).size) == LONGER_SIDE


def test_what_is_no_image_has_a_reason() -> None:
    assert drawn(b"hello").reason.startswith("not an image")
    assert drawn(FILES["plain.jpg"][:300]).picture is None


def test_every_suffix_has_a_preview() -> None:
    from frontend.views.run.file_preview import IMAGES

    assert set(IMAGES) == IMAGE_SUFFIXES
    assert set(IMAGES.values()) == set(IMAGE_KINDS)


def _page(files: dict[str, bytes], broken: str) -> None:
    from uuid import UUID

    from frontend.components.image_preview import by_itself
    from frontend.components.image_source import ChosenImage
    from frontend.views.predict import results
    from frontend.views.predict.requests import Shown

    look = results.Look(0.5, "viridis")
    for position, (name, data) in enumerate(files.items()):
        told = f"answer about {name}"
        shown = Shown(position, name, None, {UUID(int=position): told}, ChosenImage(name, data))
        if name == broken:
            shown.answers = None  # type: ignore[assignment]
        with by_itself(name):
            results.answers_of_image(shown, {}, look, may_label=True)


def test_one_image_of_a_batch_fails_by_itself() -> None:
    files = {**FILES, "torn.png": b"\x89PNG\r\n\x1a\n" + bytes(50), "last.jpg": FILES["plain.jpg"]}
    page = AppTest.from_function(
        _page, kwargs={"files": files, "broken": "float.tif"}, default_timeout=60
    ).run()
    assert not page.exception
    assert [warning.value for warning in page.warning] == [
        f"answer about {n}" for n in files if n != "float.tif"
    ]
    assert ["float.tif cannot be shown" in error.value for error in page.error] == [True]
    assert any("No picture" in caption.value for caption in page.caption)
