"""Pictures that are bombs, damaged, mislabelled or odd."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.hostile.case import Case, picture, zipped

FORMATS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tiff",
    "AVIF": ".avif",
}
CUTS = (0.02, 0.1, 0.3, 0.6, 0.9)
FLIPS = 5


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG of zeros, made without holding its pixels; ``extra`` chunks follow the header."""
    row = b"\0" * (1 + (width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * bits + 7) // 8)
    packer = zlib.compressobj(1)
    pixels = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    return png_of(struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0), extra, pixels)


def png_of(header: bytes, extra: bytes, pixels: bytes) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def claims(width: int, height: int, *, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that claims this size and holds no such pixels."""
    return png_of(
        struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0), b"", zlib.compress(b"\0" * 64)
    )


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def frames(kind: str, n: int) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new("RGB", (32, 32), (i % 256, i // 256, 0)) for i in range(n)]
    images[0].save(buffer, kind, save_all=True, append_images=images[1:])
    return buffer.getvalue()


def bomb(n_bytes: int) -> bytes:
    """Zeros, compressed in pieces."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(n_bytes >> 20)) + packer.flush()


def exif_jpeg(block: bytes) -> bytes:
    """A JPEG with this EXIF block."""
    data = picture("JPEG")
    body = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def segments(n: int) -> bytes:
    """A JPEG with many application segments."""
    data = picture("JPEG")
    return data[:2] + b"\xff\xe2\x00\x04ab" * n + data[2:]


def icc_jpeg(parts: int) -> bytes:
    """A JPEG with a profile of this many full segments, of which each says that there are 255."""
    body = b"ICC_PROFILE\0"
    each = [body + bytes([1 + i % 255, 255]) + bytes(65_000) for i in range(parts)]
    data = picture("JPEG")
    return data[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(e) + 2) + e for e in each) + data[2:]


def tiff(entries: list[tuple[int, int, int, int]], *, following: int = 0, rest: bytes = b"") -> bytes:
    """A TIFF with one directory of (tag, type, count, value)."""
    fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + struct.pack("<I", following) + rest


def tiff_tags(
    width: int, height: int, *, compression: int = 1, bits: int = 8
) -> list[tuple[int, int, int, int]]:
    size = width * height * bits // 8 % 2**32
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, size),
    ]  # fmt: skip


def flipped(data: bytes, seed: int) -> bytes:
    """The same file with one byte in twenty replaced, its first bytes kept."""
    source, changed = random.Random(seed), bytearray(data)
    for _ in range(max(1, len(data) // 20)):
        changed[source.randrange(min(16, len(data) - 1), len(data))] = source.randrange(256)
    return bytes(changed)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "1 by 65,500": ("a.png", lambda: png(1, 65_500)),
    "65,500 by 1": ("a.png", lambda: png(65_500, 1)),
    "1 by 65,501": ("a.png", lambda: png(1, 65_501)),
    "3 by 65,500 with alpha": ("a.png", lambda: png(3, 65_500, colour=6)),
    "2 by 65,500 of 16 bits": ("a.png", lambda: png(2, 65_500, bits=16, colour=2)),
    "50 Mpx of 16 bits": ("a.png", lambda: png(7071, 7071, bits=16, colour=2)),
    "50 Mpx of grey with alpha": ("a.png", lambda: png(7071, 7071, colour=4)),
    "50 Mpx of 1 bit": ("a.png", lambda: png(7071, 7071, bits=1)),
    "over 50 Mpx": ("a.png", lambda: png(7072, 7072, bits=1)),
    "16 Mpx": ("a.png", lambda: png(4000, 4000, colour=2)),
    "10,000 scans": ("a.jpg", lambda: many_scans(2000, 10_000)),
    "300 scans of 1 Mpx": ("a.jpg", lambda: many_scans(1000, 300)),
    "200,000 scans of 64 pixels": ("a.jpg", lambda: many_scans(8, 200_000)),
    "a million chunks": ("a.png", lambda: png(8, 8, extra=chunk(b"tEXt", b"a\0") * 1_000_000)),
    "200,000 segments": ("a.jpg", lambda: segments(200_000)),
    "text of 200 MB": ("a.png", lambda: png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + bomb(200 * 2**20)))),
    "a hundred texts": ("a.png", lambda: png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + bomb(2**20)) * 100)),
    "profile of 200 MB": ("a.png", lambda: png(8, 8, extra=chunk(b"iCCP", b"a\0\0" + bomb(200 * 2**20)))),
    "international text of 200 MB": (
        "a.png",
        lambda: png(8, 8, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + bomb(200 * 2**20))),
    ),
    "pixels of 1 GB for 64": (
        "a.png",
        lambda: png_of(struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0), b"", bomb(2**30)),
    ),
    "profile of 255 segments": ("a.jpg", lambda: icc_jpeg(255)),
    "profile of 600 segments": ("a.jpg", lambda: icc_jpeg(600)),
    "5,000 frames of a GIF": ("a.gif", lambda: frames("GIF", 5000)),
    "1,000 frames of an APNG": ("a.png", lambda: frames("PNG", 1000)),
    "1,000 frames of a WebP": ("a.webp", lambda: frames("WEBP", 1000)),
    "500 pages of a TIFF": ("a.tiff", lambda: frames("TIFF", 500)),
    "EXIF in a circle": (
        "a.jpg",
        lambda: exif_jpeg(b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + b"\x08\0\0\0"),
    ),
    "EXIF with 65,000 entries": (
        "a.jpg",
        lambda: exif_jpeg(b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + struct.pack("<HHII", 0x112, 3, 1, 6) * 5000),
    ),
    "EXIF of a billion values": (
        "a.jpg",
        lambda: exif_jpeg(b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x112, 12, 2**31, 8) + b"\0\0\0\0"),
    ),
    "orientation 99": (
        "a.jpg",
        lambda: exif_jpeg(b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x112, 3, 1, 99) + b"\0\0\0\0"),
    ),
    "TIFF directories in a circle": ("a.tiff", lambda: tiff(tiff_tags(8, 8), following=8, rest=bytes(64))),
    "TIFF of 2^32 pixels": ("a.tiff", lambda: tiff(tiff_tags(65_535, 65_535), rest=bytes(64))),
    "TIFF with a strip outside": ("a.tiff", lambda: tiff([*tiff_tags(8, 8)[:5], (273, 4, 1, 2**31)])),
    "TIFF of LZW without data": ("a.tiff", lambda: tiff(tiff_tags(7000, 7000, compression=5), rest=bytes(64))),
    "TIFF of deflate": ("a.tiff", lambda: tiff(tiff_tags(7000, 7000, compression=8), rest=bomb(2**26))),
    "TIFF of JPEG": ("a.tiff", lambda: tiff(tiff_tags(7000, 7000, compression=7), rest=picture("JPEG"))),
    "TIFF of 64 bits": ("a.tiff", lambda: tiff(tiff_tags(5000, 5000, bits=64), rest=bytes(64))),
    "BigTIFF of 10^12 entries": ("a.tiff", lambda: b"II+\0\x08\0\0\0\x10" + bytes(7) + struct.pack("<Q", 10**12)),
    "GIF of 65,535 by 65,535": ("a.gif", lambda: b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"),
    "GIF with a frame outside": ("a.gif", lambda: b"GIF89a\x08\0\x08\0\x80\0\0" + bytes(6) + b",\xff\0\xff\0\xff\xff\xff\xff\0\2\2D\1\0;"),
    "BMP of -2^31 rows": ("a.bmp", lambda: picture("BMP")[:22] + struct.pack("<i", -(2**31)) + picture("BMP")[26:]),
    "BMP of run lengths": ("a.bmp", lambda: picture("BMP")[:30] + struct.pack("<I", 1) + picture("BMP")[34:]),
    "WebP of 16,383 by 16,383": ("a.webp", lambda: b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0\xff\x3f\0" + bytes(16)),
}  # fmt: skip
CLAIMED = [
    (0, 0),
    (0, 8),
    (2**31 - 1, 2**31 - 1),
    (2**31, 1),
    (2**32 - 1, 2**32 - 1),
    (65_535, 65_535),
    (1, 10**6),
]
MISLABELLED: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\xff",
    "signature only": b"\x89PNG\r\n\x1a\n",
    "a PNG's first 19 bytes": picture("PNG")[:19],
    "a WebP's first 18 bytes": b"RIFF\0\0\0\0WEBPVP8X\0\0",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "SVG with entities": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
    "SVG after 2,000 spaces": b" " * 2000 + b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "SVG compressed": b"\x1f\x8b" + zlib.compress(b"<svg/>"),
    "HTML": b"<!doctype html><html><body onload=alert(1)>",
    "zip": zipped({"a.png": picture()}),
    "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n(%pipe%id) (w) file\n",
    "program": b"\x7fELF\x02\x01\x01" + bytes(200),
    "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\x75\x30\0\0\x75\x30\0\x08\0\3",
    "ICO": b"\0\0\1\0\xff\xff" + bytes(64),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "FLI": struct.pack("<IHHHH", 128, 0xAF12, 9999, 65_535, 65_535) + bytes(116),
    "netpbm": b"P6 99999 99999 65535\n",
    "XBM": b"#define a_width 99999\n#define a_height 99999\nstatic char a_bits[] = {\n",
    "numbers": b"\0" * 65_536,
    "noise": random.Random(1).randbytes(65_536),
    "surrogates": "\ud800.png".encode("utf-8", "surrogatepass") * 100,
    "JPEG with a zip behind": picture("JPEG") + zipped({"evil.sh": b"rm -rf /"}),
    "HTML behind a GIF": picture("GIF")[:-1] + b"<script>alert(1)</script>;",
    "two JPEGs": picture("JPEG") * 2,
    "HEIC of nothing": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(64),
    "HEIC with a box of 2^63": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"
    + struct.pack(">I4sQ", 1, b"meta", 2**63),
    "AVIF with boxes in boxes": b"\0\0\0\x18ftypavif\0\0\0\0avifmif1"
    + struct.pack(">I4s", 2**31, b"meta") * 5000,
}


def pictures() -> Iterator[Case]:
    for kind, suffix in FORMATS.items():
        for cut in CUTS:
            yield Case("picture", f"{kind} cut at {cut:.0%}", f"a{suffix}", lambda k=kind, c=cut: _cut(k, c))
        for seed in range(FLIPS):
            yield Case(
                "picture",
                f"{kind} with noise {seed}",
                f"a{suffix}",
                lambda k=kind, s=seed: flipped(picture(k), s),
            )
    for width, height in CLAIMED:
        yield Case("picture", f"claims {width} by {height}", "a.png", lambda w=width, h=height: claims(w, h))
    for name, (file, build) in BOMBS.items():
        yield Case("picture", name, file, build)
    for name, data in MISLABELLED.items():
        yield Case("picture", name, "a.png", lambda d=data: d)


def _cut(kind: str, share: float) -> bytes:
    data = picture(kind)
    return data[: max(1, round(len(data) * share))]
