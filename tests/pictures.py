"""Image files for tests."""

import io
import struct
import zlib

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, *kind: str, **options: object) -> bytes:
    """Return the file that ``image.save`` writes with these arguments."""
    buffer = io.BytesIO()
    image.save(buffer, *kind, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file, with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(unpacked: int = 99) -> bytes:
    """Return a PNG of a few hundred bytes whose header says 20,000 x 10,000 pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * unpacked))
    return PNG + header + pixels + png_chunk(b"IEND", b"")
