"""Limits hold before a pixel is decoded, for every format, and the first picture of several is the one."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.pictures import encoded
from vise_core.errors import BadImage
from vise_core.posts.images.decode import open_image
from vise_core.posts.images.pixels import MAX_SIDE, decode_pixels
from vise_core.specs.posts.images import IMAGE_SUFFIXES, is_image_name

from .corpus import PICTURE
from .picture_files import heic, mpo, saved

SAVED = {
    "JPEG": saved(PICTURE, "JPEG"),
    "PNG": saved(PICTURE, "PNG"),
    "WEBP": saved(PICTURE, "WEBP"),
    "GIF": saved(PICTURE, "GIF"),
    "BMP": saved(PICTURE, "BMP"),
    "TIFF": saved(PICTURE, "TIFF"),
    "MPO": mpo(PICTURE, 1),
    "AVIF": saved(PICTURE, "AVIF"),
    "HEIC": heic(PICTURE),
}


@pytest.mark.parametrize("kind", SAVED)
def test_pixels_are_counted_before_they_are_decoded(kind: str, monkeypatch) -> None:
    pixels = PICTURE.shape[0] * PICTURE.shape[1]
    assert open_image(SAVED[kind], max_pixels=pixels).size == (PICTURE.shape[1], PICTURE.shape[0])

    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", decoded)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    with pytest.raises(BadImage) as raised:
        decode_pixels(SAVED[kind], pixels - 1)
    assert raised.value.reason == "too_large"


def test_a_container_that_declares_a_huge_picture_is_rejected_by_its_header() -> None:
    for data in (SAVED["AVIF"], SAVED["HEIC"]):
        # The box ispe: width and height of the image, after version and flags.
        at = data.index(b"ispe") + 8
        huge = data[:at] + struct.pack(">II", MAX_SIDE + 1, 9000) + data[at + 8 :]
        with pytest.raises(BadImage) as raised:
            open_image(huge)
        assert raised.value.reason in ("too_large", "unsupported", "broken")


def test_a_container_that_declares_less_than_it_holds_is_rejected_or_of_that_size() -> None:
    large = np.zeros((600, 800, 3), dtype=np.uint8)
    for data in (saved(large, "AVIF"), heic(large)):
        at = data.index(b"ispe") + 8
        small = data[:at] + struct.pack(">II", 8, 8) + data[at + 8 :]
        try:
            image = open_image(small, max_pixels=10_000)
        except BadImage:
            continue
        assert image.width * image.height <= 10_000


def test_of_several_pictures_the_first_is_taken() -> None:
    second = [Image.fromarray(255 - PICTURE)]
    for kind in ("AVIF", "TIFF", "GIF", "WEBP", "PNG", "MPO"):
        options = {"AVIF": {"quality": 100}, "WEBP": {"lossless": True}, "MPO": {"quality": 95}}.get(kind, {})
        data = saved(PICTURE, kind, save_all=True, append_images=second, **options)
        assert np.abs(np.asarray(open_image(data)).astype(int) - PICTURE).mean() < 8, kind


def test_of_a_heic_the_primary_picture_is_taken() -> None:
    import pillow_heif

    file = pillow_heif.from_pillow(Image.fromarray(255 - PICTURE))
    file.add_from_pillow(Image.fromarray(PICTURE))
    data = encoded(file, quality=-1, chroma=444, primary_index=1)
    assert np.abs(np.asarray(open_image(data)).astype(int) - PICTURE).max() <= 3


def test_reading_a_heic_registers_nothing_for_others() -> None:
    # In a process of its own: another test may have registered it.
    program = (
        "import sys; from PIL import Image; from vise_core.posts.images.decode import open_image; "
        "open_image(sys.stdin.buffer.read()); Image.init(); sys.exit('HEIF' in Image.OPEN)"
    )
    subprocess.run([sys.executable, "-c", program], input=SAVED["HEIC"], check=True, timeout=60)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_names_of_images_in_any_case(suffix: str) -> None:
    assert is_image_name(f"a{suffix}")
    assert is_image_name(f"A.B{suffix.upper()}")
    assert not is_image_name(f"a{suffix}.txt")
    assert not is_image_name(suffix[1:])
