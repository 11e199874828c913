"""Previews of images of every format: a JPEG that all browsers show, or the reason; one bad image breaks no page."""

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from frontend.components.image_preview import LONGER_SIDE, image_preview
from frontend.views.run.file_preview import file_preview
from tests.pictures import encoded
from vise_core.specs.posts.images import IMAGE_KINDS, IMAGE_SUFFIXES

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
    preview = image_preview(FILES[name])
    assert preview.jpeg is not None
    shown = Image.open(io.BytesIO(preview.jpeg))
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (40, 30))
    of_artifact = file_preview(name, len(FILES[name]), FILES[name])
    assert of_artifact.kind == "image"
    assert Image.open(io.BytesIO(of_artifact.value)).format in ("PNG", "JPEG")


def test_a_large_image_is_made_smaller() -> None:
    preview = image_preview(encoded(Image.new("RGB", (3000, 2000)), "PNG"))
    assert preview.jpeg is not None
    assert max(Image.open(io.BytesIO(preview.jpeg)).size) == LONGER_SIDE


def test_what_is_no_image_has_a_reason() -> None:
    assert image_preview(b"hello").reason.startswith("not an image")
    assert image_preview(FILES["plain.jpg"][:300]).jpeg is None


def test_every_suffix_has_a_preview() -> None:
    from frontend.views.run.file_preview import IMAGES

    assert set(IMAGES) == IMAGE_SUFFIXES
    assert set(IMAGES.values()) == set(IMAGE_KINDS)


def _page(files: dict[str, bytes], broken: str) -> None:
    from uuid import UUID

    from frontend.components.image_preview import isolated_errors
    from frontend.components.image_source import SelectedImage
    from frontend.views.predict.image_panels import HeatStyle, image_panels
    from frontend.views.predict.requests import ImageResult

    for position, (name, data) in enumerate(files.items()):
        message = f"response about {name}"
        result = ImageResult(position, name, {UUID(int=position): message}, SelectedImage(name, data))
        if name == broken:
            result.predictions = None  # type: ignore[assignment]
        with isolated_errors(name):
            image_panels(result, {}, HeatStyle(0.5, "viridis"))


def test_one_image_of_a_batch_fails_by_itself() -> None:
    files = {**FILES, "torn.png": b"\x89PNG\r\n\x1a\n" + bytes(50), "last.jpg": FILES["plain.jpg"]}
    page = AppTest.from_function(
        _page, kwargs={"files": files, "broken": "float.tif"}, default_timeout=60
    ).run()
    assert not page.exception
    assert [warning.value for warning in page.warning] == [
        f"response about {name}" for name in files if name != "float.tif"
    ]
    assert ["float.tif cannot be shown" in error.value for error in page.error] == [True]
    assert any("No preview" in caption.value for caption in page.caption)
