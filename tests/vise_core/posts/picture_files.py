"""Image files of every kind, written by hand where no library writes them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pyvips
from PIL import Image

from tests.pictures import PNG, encoded, png_chunk


def saved(array: Any, kind: str, mode: str | None = None, **options: Any) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.ascontiguousarray(array))
    return encoded(image.convert(mode) if mode else image, kind, **options)


def vips(array: Any, interpretation: str) -> Any:
    return pyvips.Image.new_from_array(np.ascontiguousarray(array)).copy(interpretation=interpretation)


def exif(orientation: int, *, order: str = "<") -> bytes:
    """Exif with a single entry."""
    mark = b"II" if order == "<" else b"MM"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, 1) + entry + struct.pack(order + "I", 0)


def xmp(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def png(
    samples: Any, colour: int, bits: int, *, before: bytes = b"", after: bytes = b"", filtered: bool = True
) -> bytes:
    """A PNG as the specification says; ``before`` and ``after`` are chunks around the pixels.

    ``samples`` (h, w, c); every row has the filter Sub where samples fill bytes.
    """
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if bits == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = flat.astype(np.uint8)
    else:
        planes = flat[..., None].astype(np.uint8) >> np.arange(bits - 1, -1, -1, dtype=np.uint8) & 1
        rows = np.packbits(planes.reshape(height, -1), axis=1)
    pixel = max(1, samples.shape[2] * bits // 8) if samples.ndim == 3 else max(1, bits // 8)
    body = bytearray()
    for row in rows:
        if bits >= 8 and filtered:
            left = np.concatenate([np.zeros(pixel, np.uint8), row[:-pixel]])
            body += b"\1" + (row - left).tobytes()
        else:
            body += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(body)))
    return PNG + png_chunk(b"IHDR", header) + before + pixels + after + png_chunk(b"IEND", b"")


def raw_profile(data: bytes) -> bytes:
    """The chunk in which ImageMagick kept Exif before PNG had one for it."""
    text = f"\nexif\n{len(data):8d}\n{data.hex()}\n".encode()
    return png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def tiff(samples: Any, tags: dict[int, Any], *, order: str = "<") -> bytes:
    """An uncompressed TIFF of one strip, written by hand: ``tags`` over a minimum. ``samples`` in the file's type."""
    samples = np.ascontiguousarray(samples)
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    kinds = {"u": 1, "i": 2, "f": 3}
    entries: dict[int, tuple[int, list[Any]]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [samples.dtype.itemsize * 8] * count),
        259: (3, [1]),
        262: (3, [2 if count >= 3 else 1]),
        273: (4, [8]),
        277: (3, [count]),
        278: (3, [height]),
        279: (4, [len(data)]),
        339: (3, [kinds[samples.dtype.kind]] * count),
    }
    for tag, value in tags.items():
        kind = 11 if isinstance(value, float) else 3
        entries[tag] = value if isinstance(value, tuple) else (kind, [value])
    formats = {1: "B", 3: "H", 4: "I", 11: "f"}
    data += b"\0" * (len(data) % 2)
    at = 8 + len(data)
    extra_at = at + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{formats[kind]}", *values)
        if len(packed) > 4:
            place = struct.pack(order + "I", extra_at + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + place
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HI", 42, at) + data + directory + b"\0\0\0\0" + extra


def heic(array: Any, **options: Any) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.ascontiguousarray(array))
    return encoded(pillow_heif.from_pillow(image), quality=-1, chroma=444, **options)


def mpo(array: Any, orientation: int) -> bytes:
    second = Image.fromarray(np.ascontiguousarray(255 - np.asarray(array)))
    return saved(
        array, "MPO", save_all=True, append_images=[second], exif=exif(orientation), quality=95, subsampling=0
    )
