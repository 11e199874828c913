"""Archives that are bombs, lead outside, are damaged, or whose parts contradict each other."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator

from tests.hostile.case import Case, labelled, picture, zipped

HONEST = labelled(4)
OUTSIDE = (
    "../up.png", "/etc/vise.png", "a/../../up.png", "C:\\up.png", "..\\up.png", "a//../..//up.png", "./../up.png",
    "\\\\host\\share\\up.png", "~/up.png", "/", "..", ".", "a/..", "", " ", "con.png", "nul", "a/b:stream.png",
)  # fmt: skip
ODD = {
    "5,000 characters": "a" * 5000 + ".png",
    "900 folders": "a/" * 900 + "b.png",
    "path of 5,000": "/".join(["f" * 200] * 25) + ".png",
    "NUL": "a\0b.png",
    "new line": "a\nb.png",
    "escape sequence": "\x1b[31mred\x1b]0;title\x07.png",
    "right to left": "\u202egnp.exe",
    "shortcode": ":red[a] :material/home: $x$.png",
    "markup": "<img src=x onerror=alert(1)>.png",
    "formula": "=cmd|' /C calc'!A0.png",
    "surrogate": "a\udc80b.png",
}


def tar(
    members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w", fmt: int = tarfile.GNU_FORMAT
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=fmt, errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def plain(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.devmajor, info.devminor = kind, target, 1, 3
    return info, b""


def pax(headers: dict[str, str]) -> bytes:
    info, data = plain("a.png", picture())
    info.pax_headers = headers
    return tar([(info, data)], fmt=tarfile.PAX_FORMAT)


def raw_header(size: bytes, kind: bytes = b"0", name: bytes = b"a.png") -> bytes:
    """A tar header with this size field, its checksum right."""
    head = bytearray(512)
    head[: len(name)] = name
    head[100:108], head[124:136], head[156:157], head[257:263] = (
        b"0000644\0",
        size.ljust(12, b"\0"),
        kind,
        b"ustar\0",
    )
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def long_name(n_bytes: int) -> bytes:
    """A GNU long name of zeros."""
    return (
        raw_header(b"%011o" % n_bytes, b"L", b"././@LongLink")
        + bytes(n_bytes)
        + raw_header(b"00000000001")
        + bytes(1536)
    )


def zip_with(name: str, data: bytes = b"x", *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name.replace("\0", "@") or "x")
        info.filename = name
        info.external_attr, info.compress_type = mode << 16, method
        archive.writestr(info, data)
        archive.writestr("a/honest.png", picture())
    return buffer.getvalue()


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def overlapping(n: int) -> bytes:
    """A zip whose directory names the same compressed member again and again."""
    one = zipped({"a.png": bytes(2**20)})
    start = one.index(b"PK\x01\x02")
    entry, body = one[start : one.index(b"PK\x05\x06")], one[:start]
    entries = (
        b"".join(patched(entry, 46, f"{i:05}".encode()) for i in range(n)) if len(entry) >= 51 else entry * n
    )
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n, n, len(entries), len(body), 0)
    return body + entries + end


def nested(levels: int) -> bytes:
    data = zipped({"a/a.png": picture()})
    for level in range(levels):
        data = zipped({f"{level}/{copy}.zip": data for copy in range(4)})
    return data


def directory(field: int, value: bytes) -> bytes:
    """A zip with this field of its first directory entry replaced."""
    data = zipped(HONEST)
    return patched(data, data.index(b"PK\x01\x02") + field, value)


def flipped(data: bytes, seed: int) -> bytes:
    source, changed = random.Random(seed), bytearray(data)
    for _ in range(max(2, len(data) // 50)):
        changed[source.randrange(len(data))] = source.randrange(256)
    return bytes(changed)


HONEST_TAR = tar([plain(name, data) for name, data in HONEST.items()])
KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "zip": (".zip", lambda: zipped(HONEST)),
    "zip of LZMA": (".zip", lambda: zipped(HONEST, zipfile.ZIP_LZMA)),
    "zip of bzip2": (".zip", lambda: zipped(HONEST, zipfile.ZIP_BZIP2)),
    "tar": (".tar", lambda: HONEST_TAR),
    "tar.gz": (".tar.gz", lambda: gzip.compress(HONEST_TAR)),
    "tar.xz": (".tar.xz", lambda: lzma.compress(HONEST_TAR)),
    "tar.bz2": (".tar.bz2", lambda: bz2.compress(HONEST_TAR)),
}
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "zip of 2 GB": ("a.zip", lambda: _bomb_zip(2048)),
    "overlapping members": ("a.zip", lambda: overlapping(5000)),
    "60,000 empty files": ("a.zip", lambda: zipped({f"{i}.png": b"" for i in range(60_000)}, zipfile.ZIP_STORED)),
    "zips in zips": ("a.zip", lambda: nested(5)),
    "tar.gz of 1 GB": ("a.tar.gz", lambda: gzip.compress(tar([plain("a.png", bytes(2**30))]), 1)),
    "tar.xz of 300 MB": ("a.tar.xz", lambda: lzma.compress(tar([plain("a.png", bytes(300 * 2**20))]), preset=0)),
    "tar.bz2 of 300 MB": ("a.tar.bz2", lambda: bz2.compress(tar([plain("a.png", bytes(300 * 2**20))]))),
    "long name of 300 MB": ("a.tar.gz", lambda: gzip.compress(long_name(300 * 2**20), 1)),
    "long name of 2^33 bytes": ("a.tar", lambda: raw_header(b"77777777777", b"L", b"././@LongLink") + bytes(1024)),
    "long link of 300 MB": ("a.tar.gz", lambda: gzip.compress(long_name(300 * 2**20).replace(b"L" + b"ustar", b"K" + b"ustar"), 1)),
    "header of 300 MB": ("a.tar.gz", lambda: gzip.compress(pax({"comment": "a" * (300 * 2**20)}), 1)),
    "100,000 headers": ("a.tar.gz", lambda: gzip.compress(raw_header(b"00000000000", b"x") * 100_000 + bytes(1024), 1)),
    "100,000 folders": ("a.tar.gz", lambda: gzip.compress(raw_header(b"00000000000", b"5") * 100_000 + bytes(1024), 1)),
    "hidden members": ("a.tar.gz", lambda: gzip.compress(HONEST_TAR + bytes(10240) + tar([plain("x", bytes(2**28))]), 1)),
    "sparse file of 10^12 bytes": ("a.tar", lambda: raw_header(b"00000000001", b"S") + bytes(1536)),
    "negative size": ("a.tar", lambda: raw_header(b"\xff" * 12) + bytes(1024)),
    "size of 2^95": ("a.tar", lambda: raw_header(b"\x80" + b"\xff" * 11) + bytes(1024)),
    "size without digits": ("a.tar", lambda: raw_header(b"zzzzzzzzzzz") + bytes(1024)),
    "negative PAX size": ("a.tar", lambda: pax({"size": "-1"})),
    "PAX size of 10^30": ("a.tar", lambda: pax({"size": "1" + "0" * 30})),
    "PAX size of 10^6 digits": ("a.tar", lambda: pax({"size": "9" * 10**6})),
    "PAX path outside": ("a.tar", lambda: pax({"path": "../../up.png"})),
    "PAX time of NaN": ("a.tar", lambda: pax({"mtime": "nan"})),
    "PAX owner with surrogates": ("a.tar", lambda: pax({"uname": "\udc80", "hdrcharset": "BINARY"})),
    "zip of 2^32 entries": ("a.zip", lambda: struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65_535, 65_535, 2**32 - 1, 0, 0)),
    "directory outside the zip": ("a.zip", lambda: struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, 46, 2**31, 0)),
    "member outside the zip": ("a.zip", lambda: directory(42, struct.pack("<I", 2**31))),
    "unknown method": ("a.zip", lambda: directory(10, struct.pack("<H", 99))),
    "encrypted": ("a.zip", lambda: directory(8, struct.pack("<H", 1))),
    "false size": ("a.zip", lambda: directory(24, struct.pack("<I", 2**32 - 2))),
    "false check sum": ("a.zip", lambda: directory(16, b"\0\0\0\0")),
    "false UTF-8": ("a.zip", lambda: directory(46, b"\xff\xfe\xfd")),
    "same name twice": ("a.zip", lambda: directory(46, b"a/0.png")),
    "file and folder": ("a.tar", lambda: tar([plain("a"), plain("a/b.png", picture()), plain("b/c.png", picture())])),
    "names differing by case": ("a.tar", lambda: tar([plain(n, picture()) for n in ("A/a.png", "a/A.png", "a/a.png", "A/A.png")])),
    "comment of 65,535": ("a.zip", lambda: zipped(HONEST)[:-2] + b"\xff\xff" + bytes(65_535)),
    "nothing": ("a.zip", lambda: zipped({})),
    "a picture": ("a.zip", picture),
    "text": ("a.tar", lambda: b"no archive at all"),
    "empty blocks": ("a.tar", lambda: bytes(10_240)),
    "gzip of nothing": ("a.tar.gz", lambda: gzip.compress(b"")),
    "gzip of gzip": ("a.tar.gz", lambda: gzip.compress(gzip.compress(HONEST_TAR))),
    "7z": ("a.7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(64)),
    "rar": ("a.rar", lambda: b"Rar!\x1a\x07\x01\0" + bytes(64)),
}  # fmt: skip
LINKS = {
    "link": special("a.png", tarfile.SYMTYPE, "/etc/passwd"),
    "link to a folder": special("a", tarfile.SYMTYPE, "/etc"),
    "hard link": special("a.png", tarfile.LNKTYPE, "/etc/passwd"),
    "device": special("a.png", tarfile.CHRTYPE),
    "disk": special("a.png", tarfile.BLKTYPE),
    "pipe": special("a.png", tarfile.FIFOTYPE),
    "unknown type": special("a.png", b"Z"),
}


def _bomb_zip(megabytes: int) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.png", "w", force_zip64=True) as member,
    ):
        for _ in range(megabytes):
            member.write(bytes(2**20))
    return buffer.getvalue()


def archives() -> Iterator[Case]:
    for name in OUTSIDE:
        yield Case("archive", f"zip with {name!r}", "a.zip", lambda n=name: zip_with(n))
        if name:
            yield Case(
                "archive",
                f"tar with {name!r}",
                "a.tar",
                lambda n=name: tar([plain(n), plain("a/b.png", picture())]),
            )
    for title, name in ODD.items():
        if title != "surrogate":
            yield Case("archive", f"zip with a name of {title}", "a.zip", lambda n=name: zip_with(n))
        yield Case(
            "archive",
            f"tar with a name of {title}",
            "a.tar",
            lambda n=name: tar([plain(n), plain("a/b.png", picture())], fmt=tarfile.PAX_FORMAT),
        )
    for title, member in LINKS.items():
        yield Case(
            "archive", f"tar with a {title}", "a.tar", lambda m=member: tar([m, plain("a/b.png", picture())])
        )
    yield Case(
        "archive", "zip with a link", "a.zip", lambda: zip_with("a.png", b"/etc/passwd", mode=0o120777)
    )
    yield Case("archive", "zip with a device", "a.zip", lambda: zip_with("a.png", mode=0o020666))
    for title, (suffix, build) in KINDS.items():
        yield Case("archive", f"{title} cut in half", f"a{suffix}", lambda b=build: b()[: len(b()) // 2])
        for seed in range(2):
            yield Case(
                "archive", f"{title} with noise {seed}", f"a{suffix}", lambda b=build, s=seed: flipped(b(), s)
            )
    for title, (file, build) in BOMBS.items():
        yield Case("archive", title, file, build)
