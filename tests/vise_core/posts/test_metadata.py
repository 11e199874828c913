"""What a picture says about itself is not kept, and its pixels are: exactly, where it is a plain JPEG."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.pictures import png_chunk
from vise_core.posts.images.decode import encode_jpeg, open_image, store_image
from vise_core.posts.images.jpeg_segments import strip_jpeg

from .corpus import CORPUS, PICTURE
from .picture_files import exif, heic, mpo, png, saved, tiff, xmp

SECRET = b"48.8584N 2.2945E, serial 1234567"
PLAIN = saved(PICTURE, "JPEG", quality=95)


def segment(code: int, body: bytes) -> bytes:
    return b"\xff" + bytes([code]) + (len(body) + 2).to_bytes(2, "big") + body


def with_segments(*segments: bytes, jpeg: bytes = PLAIN, tail: bytes = b"") -> bytes:
    """The JPEG with more segments after its first (JFIF) one."""
    at = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:at] + b"".join(segments) + jpeg[at:] + tail


def stored(data: bytes) -> bytes:
    return store_image(data, max_pixels=10**7, max_side=10_000).data


METADATA = {
    "exif": segment(0xE1, exif(1) + SECRET),
    "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>" + SECRET + b"</x>"),
    "extended-xmp": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + SECRET),
    "iptc": segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\x20" + SECRET),
    "comment": segment(0xFE, SECRET),
    "jfxx-thumbnail": segment(0xE0, b"JFXX\0\x13\1\1" + SECRET),
    "flashpix": segment(0xE2, b"FPXR\0" + SECRET),
    "mpf": segment(0xE2, b"MPF\0" + SECRET),
    "icc": segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET),
    **{f"app{n}": segment(0xE0 + n, SECRET) for n in range(3, 16)},
}


@pytest.mark.parametrize("name", METADATA)
def test_a_segment_goes_and_the_pixels_stay(name: str) -> None:
    data = with_segments(METADATA[name])
    kept = store_image(data, max_pixels=10**7, max_side=10_000)
    assert SECRET not in kept.data
    assert kept.data == PLAIN
    assert kept.repairs == ("image_metadata_removed",)


def test_a_thumbnail_and_what_follows_the_end_go() -> None:
    head = PLAIN.index(b"JFIF")
    body = PLAIN[head : head + 12] + b"\2\1" + b"abcdef" + SECRET
    data = PLAIN[:2] + segment(0xE0, body) + PLAIN[4 + int.from_bytes(PLAIN[4:6], "big") :] + SECRET * 9
    assert stored(data) == PLAIN
    trailer = with_segments(METADATA["exif"], tail=b"MotionPhoto_Data" + saved(PICTURE, "JPEG"))
    assert stored(trailer) == PLAIN


def test_a_scan_may_be_followed_by_a_comment() -> None:
    progressive = saved(PICTURE, "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    assert stored(progressive[:scan] + METADATA["comment"] + progressive[scan:]) == progressive


def test_a_plain_jpeg_is_kept_byte_for_byte() -> None:
    kept = store_image(PLAIN, max_pixels=10**7, max_side=10_000)
    assert (kept.data, kept.repairs) == (PLAIN, ())


def test_where_in_doubt_it_is_encoded_anew() -> None:
    data = with_segments(METADATA["xmp"])
    at = data.index(METADATA["xmp"])
    data = data[:at] + SECRET + data[at:]  # bytes between two segments
    assert strip_jpeg(data) is None
    assert SECRET not in stored(data)
    assert np.abs(np.asarray(open_image(stored(data))).astype(int) - PICTURE).mean() < 3


@given(
    st.lists(st.tuples(st.sampled_from([*range(0xE0, 0xF0), 0xFE]), st.binary(max_size=60)), max_size=8),
    st.binary(max_size=200),
    st.sampled_from(
        [name for name in CORPUS if name.startswith("jpeg-") and CORPUS[name].data[:2] == b"\xff\xd8"]
    ),
)
@settings(max_examples=150, deadline=None)
def test_any_segments_go_and_the_pixels_stay(segments, tail, name) -> None:
    plain = strip_jpeg(CORPUS[name].data)
    assert plain is not None
    marked = [(code, b"Zz" + body + SECRET) for code, body in segments]
    data = with_segments(*(segment(code, body) for code, body in marked), jpeg=plain, tail=tail + SECRET)
    assert strip_jpeg(data) == plain
    assert SECRET not in plain


@given(st.binary(max_size=300), st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)))
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_are_walked_to_an_end(noise: bytes, start: int, end: int) -> None:
    for data in (noise, b"\xff\xd8" + noise, PLAIN[:start] + noise + PLAIN[end:]):
        stripped = strip_jpeg(data)
        assert stripped is None or (stripped.startswith(b"\xff\xd8") and len(stripped) <= len(data) + 2)


@pytest.mark.parametrize(
    "data",
    [
        png(
            PICTURE,
            2,
            8,
            before=png_chunk(b"tEXt", b"Comment\0" + SECRET),
            after=png_chunk(b"eXIf", exif(1)[6:] + SECRET),
        ),
        saved(PICTURE, "WEBP", exif=exif(1) + SECRET, xmp=xmp(1) + SECRET),
        saved(PICTURE, "AVIF", exif=exif(1) + SECRET, xmp=xmp(1) + SECRET),
        heic(PICTURE, exif=exif(1) + SECRET, xmp=xmp(1) + SECRET),
        tiff(PICTURE, {270: (1, list(SECRET)), 700: (1, list(SECRET))}),
        saved(PICTURE, "GIF", comment=SECRET),
        mpo(PICTURE, 1) + SECRET,
    ],
    ids=["png", "webp", "avif", "heic", "tiff", "gif", "mpo"],
)
def test_other_formats_leave_nothing_either(data: bytes) -> None:
    assert SECRET in data
    kept = stored(data)
    assert SECRET not in kept
    assert b"Exif" not in kept
    assert b"MPF" not in kept
    assert Image.open(io.BytesIO(kept)).format == "JPEG"
    # What pages and labelled sets keep is made like this.
    assert SECRET not in encode_jpeg(open_image(data).reduce(2))


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def wide_gamut() -> bytes:
    """An RGB profile with the primaries of Display P3: sRGB's, with other colorants (s15Fixed16, D50)."""
    data = bytearray(profile("sRGB"))
    colorants = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for name, xyz in colorants.items():
        entry = data.index(name, 128)
        offset = int.from_bytes(data[entry + 4 : entry + 8], "big")
        for i, value in enumerate(xyz):
            data[offset + 8 + 4 * i : offset + 12 + 4 * i] = round(value * 65536).to_bytes(
                4, "big", signed=True
            )
    return bytes(data)


def p3_to_srgb(levels: np.ndarray) -> np.ndarray:
    """By the formulas: both have the same curve and white."""
    share = levels / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]]
    linear = (linear @ np.array(matrix).T).clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_colours_with_a_profile_become_srgb(kind: str) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    if kind == "AVIF":
        options = {"quality": 100, "subsampling": "4:4:4"}
    image = open_image(saved(PICTURE, kind, icc_profile=wide_gamut(), **options))
    expected = p3_to_srgb(PICTURE.astype(np.float64))
    # Dark levels of a channel that is nearly out of gamut move by more than one for one.
    difference = np.abs(np.asarray(image) - expected)
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) <= 8


def test_an_srgb_profile_changes_no_pixel_and_a_wide_one_is_counted() -> None:
    data = saved(PICTURE, "JPEG", quality=95, icc_profile=profile("sRGB"))
    kept = store_image(data, max_pixels=10**7, max_side=10_000)
    assert (kept.data, kept.repairs) == (PLAIN, ("image_metadata_removed",))
    wide = store_image(
        saved(PICTURE, "JPEG", quality=95, icc_profile=wide_gamut()), max_pixels=10**7, max_side=10_000
    )
    assert wide.repairs == ("image_colours_converted",)
    assert b"ICC_PROFILE" not in wide.data


@pytest.mark.parametrize("junk", [b"x" * 200, b"", profile("LAB"), wide_gamut()[:300], b"\xff" * 5000])
def test_a_profile_that_is_none_is_left_aside(junk: bytes) -> None:
    data = saved(PICTURE, "PNG", icc_profile=junk) if junk else saved(PICTURE, "PNG")
    np.testing.assert_array_equal(np.asarray(open_image(data)), PICTURE)


def test_a_place_in_a_folder_is_read_as_bytes_are(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(PICTURE))
    np.testing.assert_array_equal(
        np.asarray(open_image(tmp_path / "a.heic")), np.asarray(open_image(heic(PICTURE)))
    )
