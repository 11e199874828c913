"""A corpus of pictures: formats, modes, bit depths, orientations and metadata, each with its upright pixels.

``truth`` is what the picture was drawn as; ``independent`` reads the same bytes with libvips. Both are compared with
what ``open_image`` gives.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from tests.pictures import png_chunk

from .picture_files import exif, heic, mpo, png, raw_profile, saved, tiff, vips, xmp

HEIGHT, WIDTH = 32, 48
_y, _x = np.mgrid[0:HEIGHT, 0:WIDTH]
PICTURE = np.stack([_x * 5, _y * 8, (_x + _y) * 3], axis=-1).astype(np.uint8)
"""Upright; every mirrored or turned copy of it differs from it by more than a hundred levels somewhere."""
GREY = (_x * 3 + _y * 3).astype(np.uint8)
ALPHA = np.where(_x < WIDTH // 2, 255, 64).astype(np.uint8)

# By hand from the definition in Exif 3.0, 4.6.5: where the visual top and left of row 0 and column 0 are.
LAID = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.swapaxes(a[:, ::-1], 0, 1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: lambda a: np.swapaxes(a[::-1], 0, 1),
}
"""The array that a file of this orientation stores, so that it shows ``a``."""
INVALID = (0, 9, 65535)


@dataclass(frozen=True)
class Case:
    """``white``: the sample that is white, for libvips, which leaves deep samples as they are; ``black`` the other.

    ``vips`` is False where libvips does not read the file, or not that way; ``why`` says so.
    """

    name: str
    data: bytes = field(repr=False)
    truth: Any = field(repr=False)
    tolerance: float = 1
    white: float | None = None
    black: float = 0
    vips: bool = True
    why: str = ""


def independent(case: Case) -> np.ndarray:
    """(h, w, 3) float levels of the upright picture on white, as libvips decodes it."""
    image = pyvips.Image.new_from_buffer(case.data, "").autorot()
    values = image.numpy().astype(np.float64)
    values = values[..., None] if values.ndim == 2 else values
    alpha = None
    if image.hasalpha():
        values, alpha = values[..., :-1], values[..., -1:]
    white = case.white or (65535.0 if image.format == "ushort" else 255.0)
    values = ((values - case.black) * 255 / (white - case.black)).clip(0, 255)
    if image.interpretation == "cmyk":
        values = (255 - values[..., :3]) * (255 - values[..., 3:]) / 255
    if values.shape[-1] == 1:
        values = np.repeat(values, 3, axis=-1)
    return values if alpha is None else on_white(values, alpha * 255 / white)


def on_white(values: Any, alpha: Any) -> np.ndarray:
    alpha = np.asarray(alpha, dtype=np.float64)
    alpha = alpha[..., None] if alpha.ndim == 2 else alpha
    return np.asarray(values) * alpha / 255 + 255 - alpha


def grey3(values: Any) -> np.ndarray:
    return np.repeat(np.asarray(values, dtype=np.float64)[..., None], 3, axis=-1)


def lab_d50(srgb: Any) -> np.ndarray:
    """CIE L*a*b* of sRGB levels, by the formulas of IEC 61966-2-1, with Bradford's adaptation to D50."""
    share = np.asarray(srgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz_d50 = [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
    t = linear @ np.array(to_xyz_d50).T / [0.96422, 1.0, 0.82521]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def oriented() -> Iterator[Case]:
    """Every orientation in every format that can carry one, and numbers that say nothing."""
    no_heic = "this libvips has no decoder for HEVC"
    for o in (*LAID, *INVALID):
        laid = LAID.get(o, LAID[1])(PICTURE)
        jpeg = {"quality": 95, "subsampling": 0}
        yield Case(f"jpeg-exif-{o}", saved(laid, "JPEG", exif=exif(o), **jpeg), PICTURE, 6)
        yield Case(
            f"jpeg-exif-motorola-{o}", saved(laid, "JPEG", exif=exif(o, order=">"), **jpeg), PICTURE, 6
        )
        yield Case(f"mpo-{o}", mpo(laid, o), PICTURE, 6)
        yield Case(f"webp-{o}", saved(laid, "WEBP", lossless=True, exif=exif(o)), PICTURE)
        e = png_chunk(b"eXIf", exif(o)[6:])
        yield Case(f"png-exif-first-{o}", png(laid, 2, 8, before=e), PICTURE)
        late = "libvips reads the chunk only where it stands before the pixels"
        yield Case(f"png-exif-last-{o}", png(laid, 2, 8, after=e), PICTURE, vips=False, why=late)
        text = "libvips does not read Exif in text chunks"
        yield Case(
            f"png-raw-profile-{o}",
            png(laid, 2, 8, before=raw_profile(exif(o))),
            PICTURE,
            vips=False,
            why=text,
        )
        yield Case(f"tiff-{o}", tiff(laid, {274: o}), PICTURE)
        yield Case(f"tiff-motorola-{o}", tiff(laid, {274: o}, order=">"), PICTURE)
        deep = LAID.get(o, LAID[1])(GREY).astype(np.uint16) * 257
        yield Case(f"tiff-grey16-{o}", tiff(deep, {274: o}), grey3(GREY))
        yield Case(f"tiff-grey16-motorola-{o}", tiff(deep, {274: o}, order=">"), grey3(GREY))
        yield Case(f"tiff-rgb16-{o}", tiff(laid.astype(np.uint16) * 257, {274: o}), PICTURE)
        if o in LAID:
            lzw = saved(laid, "TIFF", compression="tiff_lzw", tiffinfo={274: o})
            yield Case(f"tiff-lzw-{o}", lzw, PICTURE)
            # Pillow and pillow-heif write these as irot and imir.
            yield Case(
                f"avif-{o}", saved(laid, "AVIF", exif=exif(o), quality=100, subsampling="4:4:4"), PICTURE, 6
            )
            yield Case(f"heic-{o}", heic(laid, exif=exif(o)), PICTURE, 6, vips=False, why=no_heic)


def not_oriented() -> Iterator[Case]:
    """What does not turn a picture: XMP, and Exif in a container that has its own way to say it."""
    from PIL import PngImagePlugin

    yield Case("jpeg-xmp-6", saved(PICTURE, "JPEG", xmp=xmp(6), quality=95, subsampling=0), PICTURE, 6)
    yield Case("webp-xmp-6", saved(PICTURE, "WEBP", lossless=True, xmp=xmp(6)), PICTURE)
    yield Case("tiff-xmp-6", tiff(PICTURE, {700: (1, list(xmp(6)))}), PICTURE)
    yield Case("tiff-3-xmp-6", tiff(LAID[3](PICTURE), {274: 3, 700: (1, list(xmp(6)))}), PICTURE)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(6).decode())
    yield Case("png-xmp-6", saved(PICTURE, "PNG", pnginfo=info), PICTURE)
    one, six = (struct.pack("<HHIHH", 0x0112, 3, 1, o, 0) for o in (1, 6))
    data = heic(PICTURE, exif=exif(1))
    assert one in data
    yield Case(
        "heic-exif-6",
        data.replace(one, six),
        PICTURE,
        6,
        vips=False,
        why="this libvips has no decoder for HEVC",
    )
    data = heic(PICTURE, xmp=xmp(1))
    changed = data.replace(b'tiff:Orientation="1"', b'tiff:Orientation="6"')
    assert changed != data
    yield Case("heic-xmp-6", changed, PICTURE, 6, vips=False, why="this libvips has no decoder for HEVC")


def shallow() -> Iterator[Case]:
    """Modes of 8 bits and fewer."""
    two, four, one = GREY >> 6, GREY >> 4, GREY >> 7
    yield Case("png-grey1", png(one, 0, 1), grey3(one) * 255)
    yield Case("png-grey2", png(two, 0, 2), grey3(two) * 85)
    yield Case("png-grey4", png(four, 0, 4), grey3(four) * 17)
    yield Case("png-grey8", png(GREY, 0, 8), grey3(GREY))
    clear = png_chunk(b"tRNS", struct.pack(">H", 1))
    yield Case("png-grey1-clear", png(one, 0, 1, before=clear), grey3(np.where(one == 1, 255, 0)))
    yield Case("png-grey2-clear", png(two, 0, 2, before=clear), grey3(np.where(two == 1, 255, two * 85)))
    yield Case("png-grey4-clear", png(four, 0, 4, before=clear), grey3(np.where(four == 1, 255, four * 17)))
    yield Case("png-grey8-clear", png(GREY, 0, 8, before=clear), grey3(np.where(GREY == 1, 255, GREY)))
    corner = png_chunk(b"tRNS", struct.pack(">HHH", *PICTURE[3, 7].tolist()))
    cleared = PICTURE.copy()
    cleared[(PICTURE[3, 7] == PICTURE).all(axis=-1)] = 255
    yield Case("png-rgb8-clear", png(PICTURE, 2, 8, before=corner), cleared)
    with_alpha = np.dstack([PICTURE, ALPHA])
    grey_alpha = np.dstack([GREY, ALPHA])
    yield Case("png-rgba8", png(with_alpha, 6, 8), on_white(PICTURE, ALPHA))
    yield Case("png-la8", png(grey_alpha, 4, 8), on_white(grey3(GREY), ALPHA))
    yield Case("png-rgb8-interlaced", vips(PICTURE, "srgb").pngsave_buffer(interlace=True), PICTURE)
    for bits in (1, 2, 4, 8):
        index = (GREY >> (8 - bits)).astype(np.uint8)
        table = np.stack(
            [np.arange(2**bits) * 3 % 256, 255 - np.arange(2**bits), np.arange(2**bits) * 7 % 256], -1
        )
        palette = png_chunk(b"PLTE", table.astype(np.uint8).tobytes())
        yield Case(f"png-palette{bits}", png(index, 3, bits, before=palette), table[index])
        opacity = np.full(2**bits, 255)
        opacity[:2] = (0, 128)
        half = palette + png_chunk(b"tRNS", opacity.astype(np.uint8).tobytes())
        yield Case(
            f"png-palette{bits}-clear",
            png(index, 3, bits, before=half),
            on_white(table[index], opacity[index]),
        )
    yield Case(
        "gif", saved(PICTURE, "GIF"), np.asarray(Image.open(io.BytesIO(saved(PICTURE, "GIF"))).convert("RGB"))
    )
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    yield Case("gif-animated", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), grey3(GREY))
    later = [Image.fromarray(255 - PICTURE)]
    yield Case(
        "webp-animated", saved(PICTURE, "WEBP", save_all=True, append_images=later, lossless=True), PICTURE
    )
    yield Case("webp-rgba", saved(with_alpha, "WEBP", lossless=True, exact=True), on_white(PICTURE, ALPHA))
    yield Case("apng", saved(PICTURE, "PNG", save_all=True, append_images=later), PICTURE)
    no_bmp = "this libvips reads no BMP"
    for mode, truth in (("1", grey3(one) * 255), ("L", grey3(GREY)), ("RGB", PICTURE)):
        image = Image.fromarray(one * 255 if mode == "1" else GREY if mode == "L" else PICTURE)
        yield Case(f"bmp-{mode}", saved(image, "BMP", mode), truth, vips=False, why=no_bmp)
    yield Case("jpeg-grey", saved(GREY, "JPEG", quality=95), grey3(GREY), 4)
    yield Case("jpeg-420", saved(PICTURE, "JPEG", quality=95, subsampling=2), PICTURE, 24)
    yield Case(
        "jpeg-progressive", saved(PICTURE, "JPEG", quality=95, subsampling=0, progressive=True), PICTURE, 6
    )
    inks = np.dstack([255 - PICTURE, GREY // 4])
    printed = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    cmyk = Image.fromarray(inks, mode="CMYK")
    yield Case("jpeg-cmyk-adobe", saved(cmyk, "JPEG", quality=98, subsampling=0), printed, 8)
    yield Case("tiff-cmyk", tiff(inks, {262: 5}), printed, 2)
    yield Case("tiff-rgb8", tiff(PICTURE, {}), PICTURE)
    yield Case("tiff-white-is-zero", tiff(255 - GREY, {262: 0}), grey3(GREY))
    yield Case("tiff-rgba", tiff(with_alpha, {338: 2}), on_white(PICTURE, ALPHA))
    yield Case("tiff-la", tiff(grey_alpha, {338: 2, 262: 1}), on_white(grey3(GREY), ALPHA))
    yield Case("tiff-jpeg", saved(PICTURE, "TIFF", compression="jpeg", quality=95), PICTURE, 24)
    yield Case(
        "tiff-tiled", vips(PICTURE, "srgb").tiffsave_buffer(tile=True, tile_width=16, tile_height=16), PICTURE
    )
    yield Case("tiff-big", vips(PICTURE, "srgb").tiffsave_buffer(bigtiff=True), PICTURE)
    yield Case("tiff-palette", saved(Image.fromarray(GREY).convert("P"), "TIFF"), grey3(GREY))
    yield Case(
        "tiff-fax",
        saved(Image.fromarray(one * 255).convert("1"), "TIFF", compression="group4"),
        grey3(one) * 255,
    )
    soft = PICTURE // 2 + 64
    # Whole numbers of a* and b* are up to 8 levels of blue apart.
    coded = np.rint(lab_d50(soft) * [2.55, 1, 1]).astype(np.int16).astype(np.uint8)
    white = "libvips takes L*a*b* for D65; in the TIFF of a scanner or of Photoshop it has the white of D50"
    yield Case("tiff-lab", tiff(coded, {262: 8}), soft, 8, vips=False, why=white)
    yield Case(
        "avif-rgba", saved(with_alpha, "AVIF", quality=100, subsampling="4:4:4"), on_white(PICTURE, ALPHA), 6
    )
    yield Case("avif-grey", saved(GREY, "AVIF", quality=100), grey3(GREY), 4)
    heic_alpha = heic(Image.fromarray(with_alpha))
    no_heic = "this libvips has no decoder for HEVC"
    yield Case("heic-rgba", heic_alpha, on_white(PICTURE, ALPHA), 8, vips=False, why=no_heic)
    yield Case("heic-grey", heic(GREY), grey3(GREY), 4, vips=False, why=no_heic)


def deep() -> Iterator[Case]:
    """16 bits, 32 bits, floats. ``white`` by hand for each."""
    for bits in (8, 10, 12, 14, 16):
        white = 2**bits - 1
        grey = np.rint(GREY / GREY.max() * white).astype(np.uint16)
        rgb = np.rint(PICTURE / 255 * white).astype(np.uint16)
        rgb[0, 0] = white
        levels = {"grey": grey3(grey) * 255 / white, "rgb": rgb * 255.0 / white}
        yield Case(f"png-grey16-of-{bits}", png(grey, 0, 16), levels["grey"], white=white)
        yield Case(f"png-rgb16-of-{bits}", png(rgb, 2, 16), levels["rgb"], white=white)
        yield Case(f"tiff-grey16-of-{bits}", tiff(grey, {}), levels["grey"], white=white)
        yield Case(f"tiff-rgb16-of-{bits}", tiff(rgb, {}, order=">"), levels["rgb"], white=white)
        for compression in ("lzw", "deflate"):
            packed = vips(rgb, "rgb16").tiffsave_buffer(compression=compression, predictor="horizontal")
            yield Case(f"tiff-rgb16-{compression}-of-{bits}", packed, levels["rgb"], white=white)
        alpha = np.where(_x < WIDTH // 2, white, white // 4).astype(np.uint16)
        seen = on_white(levels["rgb"], alpha * 255.0 / white)
        yield Case(f"png-rgba16-of-{bits}", png(np.dstack([rgb, alpha]), 6, 16), seen, white=white)
        yield Case(f"tiff-rgba16-of-{bits}", tiff(np.dstack([rgb, alpha]), {338: 2}), seen, white=white)
        grey[0, 0] = white
        seen = on_white(grey3(grey) * 255 / white, alpha * 255.0 / white)
        yield Case(f"png-la16-of-{bits}", png(np.dstack([grey, alpha]), 4, 16), seen, white=white)
    dark = GREY.astype(np.uint16)
    yield Case(
        "png-sbit-12",
        png(dark, 0, 16, before=png_chunk(b"sBIT", b"\x0c")),
        grey3(dark) * 255 / 4095,
        white=4095,
    )
    yield Case("tiff-max-sample", tiff(dark, {281: 4095}), grey3(dark) * 255 / 4095, white=4095)
    yield Case("tiff-s-max-sample", tiff(dark, {341: 1023}), grey3(dark) * 255 / 1023, white=1023)
    yield Case(
        "png-rgb16-interlaced",
        vips(PICTURE.astype(np.uint16) * 257, "rgb16").pngsave_buffer(interlace=True),
        PICTURE,
    )
    full = GREY.astype(np.uint16) * 257
    full[0, 0] = 65535
    clear = png_chunk(b"tRNS", struct.pack(">H", int(full[4, 4])))
    yield Case(
        "png-grey16-clear",
        png(full, 0, 16, before=clear),
        grey3(np.where(full == full[4, 4], 255, full / 257)),
    )
    rgb = PICTURE.astype(np.uint16) * 257 + 3
    corner = png_chunk(b"tRNS", struct.pack(">HHH", *rgb[3, 7].tolist()))
    cleared = np.where((rgb == rgb[3, 7]).all(axis=-1, keepdims=True), 255, rgb / 257)
    yield Case("png-rgb16-clear", png(rgb, 2, 16, before=corner), cleared)
    inverted = (65535 - full).astype(np.uint16)
    inverted[0, 1] = 65535
    yield Case("tiff-grey16-white-is-zero", tiff(inverted, {262: 0}), 255 - grey3(inverted) / 257)
    signed = GREY.astype(np.int16) * 20 - 900
    low, high = float(signed.min()), float(signed.max())
    stretched = (grey3(signed) - low) * 255 / (high - low)
    yield Case("tiff-int16-signed", tiff(signed, {}), stretched, white=high, black=low)
    yield Case(
        "tiff-int32", tiff(signed.astype(np.int32) * 1000, {}), stretched, white=high * 1000, black=low * 1000
    )
    large = GREY.astype(np.uint32) * 17_000_000
    yield Case("tiff-uint32", tiff(large, {}), grey3(large) * 255.0 / large.max(), white=float(large.max()))
    unit = (GREY / 255).astype(np.float32)
    yield Case("tiff-float-unit", tiff(unit, {}), grey3(GREY), white=1)
    yield Case("tiff-float-motorola", tiff(unit, {}, order=">"), grey3(GREY), white=1)
    wide = (GREY.astype(np.float32) - 70) * 9
    low, high = float(wide.min()), float(wide.max())
    yield Case(
        "tiff-float-wide", tiff(wide, {}), (grey3(wide) - low) * 255 / (high - low), white=high, black=low
    )
    said = {340: (11, [-1000.0]), 341: (11, [3000.0])}
    yield Case(
        "tiff-float-said", tiff(wide, said), (grey3(wide) + 1000) * 255 / 4000, white=3000, black=-1000
    )
    odd = unit.copy()
    odd[0, :3] = (np.nan, np.inf, -np.inf)
    levels = grey3(GREY)
    levels[0, :3] = [[0] * 3, [255] * 3, [0] * 3]
    yield Case("tiff-float-odd", tiff(odd, {}), levels, vips=False, why="it leaves NaN as it is")


def rejected() -> dict[str, tuple[bytes, str]]:
    """Pictures of kinds that are not read, and the reason that is counted."""
    planes = np.ascontiguousarray(np.moveaxis(PICTURE.astype(np.uint16) * 257, -1, 0))
    planar = tiff(
        PICTURE.astype(np.uint16) * 257, {284: 2, 273: (4, [8, 8, 8]), 279: (4, [planes[0].nbytes] * 3)}
    )
    infinite = np.full((HEIGHT, WIDTH), np.nan, dtype=np.float32)
    grey_alpha = np.dstack([GREY, ALPHA]).astype(np.uint16) * 257
    whole = saved(PICTURE, "AVIF")
    return {
        "tiff-planes-of-16-bits": (planar, "unsupported"),
        "tiff-float-colours": (tiff((PICTURE / 255).astype(np.float32), {}), "unsupported"),
        "tiff-grey-alpha-16": (tiff(grey_alpha, {338: 2, 262: 1}), "unsupported"),
        "tiff-nothing-finite": (tiff(infinite, {}), "not_finite"),
        "jpeg-xl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200), "unsupported"),
        "jpeg-2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200), "unsupported"),
        "photoshop": (b"8BPS\0\1" + bytes(200), "unsupported"),
        "avif-cut": (whole[: len(whole) // 2], "unsupported"),
        "heic-cut": (heic(PICTURE)[:200], "unsupported"),
        "png-cut": (png(PICTURE, 2, 8)[:-60], "truncated"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
        "text": (b"not a picture", "not_an_image"),
    }


_CASES = [case for source in (oriented, not_oriented, shallow, deep) for case in source()]
CORPUS = {case.name: case for case in _CASES}
assert len(CORPUS) == len(_CASES)
REJECTED = rejected()
