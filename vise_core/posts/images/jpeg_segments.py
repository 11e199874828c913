"""Strip the metadata of a JPEG without decoding its pixels."""

from __future__ import annotations

import re

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""In entropy-coded data FF is followed by 00, or by a restart marker (or by fill bytes)."""

_PICTURE = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD})
"""Baseline, extended and progressive frames, Huffman and quantisation tables, restart interval."""
_MOST_SEGMENTS = 10_000
_APP0, _APP14, _COMMENT = 0xE0, 0xEE, 0xFE
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA


def strip_jpeg(data: bytes) -> bytes | None:
    """Return a JPEG file with only the segments that its pixels need; None where that is in doubt.

    Kept are frames, tables, scans, the head of a JFIF segment (without its thumbnail) and the head of an Adobe
    segment, which says how colours are coded. EXIF, XMP, IPTC, ICC profiles, comments, other application segments,
    and everything after the end of the image are removed.
    """
    if data[:2] != b"\xff\xd8":
        return None
    kept = [data[:2]]
    at, scans = 2, 0
    for _ in range(_MOST_SEGMENTS):
        # Any number of FF may stand before a marker's code.
        code_at = at
        while code_at < len(data) and data[code_at] == 0xFF:
            code_at += 1
        if code_at == at or code_at >= len(data):
            return None  # Bytes between two segments, or no end.
        code = data[code_at]
        if code == _END:
            kept.append(b"\xff\xd9")
            return b"".join(kept) if scans else None
        length = int.from_bytes(data[code_at + 1 : code_at + 3], "big")
        end = code_at + 1 + length
        if length < 2 or end > len(data):
            return None
        body = data[code_at + 3 : end]
        if code == _SCAN:
            marker = _NEXT_MARKER.search(data, end)
            if marker is None:
                return None
            scans += 1
            kept.append(b"\xff" + data[code_at : marker.start()])
            end = marker.start()
        elif code in _PICTURE:
            kept.append(b"\xff" + data[code_at:end])
        elif code == _APP0 and body[:5] == b"JFIF\0" and len(body) >= 14:
            kept.append(_segment(code, body[:12] + b"\0\0"))
        elif code == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            kept.append(_segment(code, body[:12]))
        elif not (0xE0 <= code <= 0xEF or code == _COMMENT):
            return None  # Arithmetic coding, a hierarchical frame, or nothing that this reader knows.
        at = end
    return None


def _segment(code: int, body: bytes) -> bytes:
    return b"\xff" + bytes([code]) + (len(body) + 2).to_bytes(2, "big") + body
