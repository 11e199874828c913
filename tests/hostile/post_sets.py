"""Sets of posts in every layout whose rows are too deep, too long, of wrong types, or not text at all."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.archives import pax, plain, tar
from tests.hostile.case import Case, picture, zipped
from tests.hostile.pictures import BOMBS as PICTURE_BOMBS
from tests.hostile.pictures import MISLABELLED

ODD: dict[str, Any] = {
    "a number": 7,
    "a huge number": 10**400,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "null": None,
    "true": True,
    "an empty list": [],
    "a list of lists": [[["a"]]],
    "an object": {"a": {"b": 1}},
    "10^6 characters": "a" * 10**6,
    "NUL": "a\0b",
    "a surrogate": "\ud800",
    "control characters": "\x1b[2J\x07\u202e\u2028",
    "100,000 combining marks": "a" + "\u0301" * 100_000,
    "a formula": "=cmd|' /C calc'!A0",
    "markup": ":red[a] <script>alert(1)</script> $x$ [a](javascript:alert(1))",
    "a path outside": "../../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a URL": "http://169.254.169.254/latest/meta-data",
    "5,000 characters": "a" * 5000 + ".png",
    "900 folders": "a/" * 900 + "a.png",
}
FIELDS = ("id", "image", "comments", "reactions")


def post(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "image": "a.png", "comments": ["so sweet"], "reactions": {"love": 1}} | changes


def lines(*rows: Any) -> bytes:
    honest = [post(id=f"honest{i}") for i in range(3)]
    return "\n".join(json.dumps(row) for row in [*rows, *honest]).encode()


def folder(name: str, data: bytes, **files: bytes) -> bytes:
    return zipped({name: data, "images/a.png": picture(), **files})


def deep_json(levels: int) -> bytes:
    return b'{"id": "1", "image": "a.png", "comments": ' + b"[" * levels + b"]" * levels + b"}\n"


def deep_replies(levels: int) -> bytes:
    head = b'{"text": "a", "replies": ['
    return b'{"id": "1", "image": "a.png", "comments": [' + head * levels + b"]}" * levels + b"]}\n"


def parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def _repeated(value: str, times: int) -> pa.DictionaryArray:
    """A column of one value, which a file holds once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), [value])


def flipped(data: bytes, seed: int) -> bytes:
    source, changed = random.Random(seed), bytearray(data)
    for _ in range(max(2, len(data) // 40)):
        changed[source.randrange(len(data))] = source.randrange(256)
    return bytes(changed)


HONEST = parquet({"id": ["1"], "image": ["a.png"], "comments": [["so sweet"]], "love": [1]})
TEXTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "200,000 levels of lists": ("posts.jsonl", lambda: deep_json(200_000) + lines()),
    "100,000 levels of replies": ("posts.jsonl", lambda: deep_replies(100_000) + lines()),
    "one list 200,000 deep": ("posts.json", lambda: b"[" * 200_000 + b"]" * 200_000),
    "a line of 100 MB": ("posts.jsonl", lambda: lines(post(comments=["a" * (100 * 2**20)]))),
    "300,000 comments": ("posts.jsonl", lambda: lines(post(comments=["a"] * 300_000))),
    "100,000 fields": ("posts.jsonl", lambda: lines(post() | {f"f{i}": i for i in range(100_000)})),
    "100,000 empty rows": ("posts.jsonl", lambda: b"{}\n" * 100_000 + lines()),
    "rows that are no objects": ("posts.jsonl", lambda: lines(1, None, [], "a", [post()])),
    "the same key twice": ("posts.jsonl", lambda: b'{"id": "1", "id": "2", "image": "a.png", "comments": []}\n' + lines()),
    "UTF-16 without a mark": ("posts.jsonl", lambda: lines().decode().encode("utf-16-le")),
    "UTF-7": ("posts.jsonl", lambda: lines().decode().encode("utf-7")),
    "noise": ("posts.jsonl", lambda: random.Random(2).randbytes(100_000)),
    "zeros": ("posts.jsonl", lambda: bytes(10**6)),
    "cut": ("posts.jsonl", lambda: lines()[:-20]),
    "escaped surrogates": ("posts.jsonl", lambda: b'{"id": "\\ud800", "image": "a.png", "comments": ["\\udfff"]}\n' + lines()),
    "numbers of 10^5 digits": ("posts.jsonl", lambda: b'{"id": ' + b"9" * 10**5 + b', "image": "a.png", "comments": []}\n' + lines()),
    "gzip of 500 MB": ("posts.jsonl.gz", lambda: gzip.compress(b" " * (500 * 2**20), 1)),
    "gzip, cut": ("posts.jsonl.gz", lambda: gzip.compress(lines())[:-10]),
    "zstd of nothing": ("posts.jsonl.zst", lambda: b"\x28\xb5\x2f\xfd" + bytes(20)),
    "a list that is no list": ("posts.json", lambda: b'{"data": {"children": 7}}'),
    "a cell of 10^6 characters": ("posts.csv", lambda: b"id,image,comments\n1,a.png," + b"a" * 10**6 + b"\n2,a.png,b\n"),
    "a quote without an end": ("posts.csv", lambda: b'id,image,comments\n1,a.png,"' + b"a\n" * 200_000),
    "lines that each open a quote": ("posts.csv", lambda: b"id,image,comments\n" + b'y","\n' * 100_000),
    "NUL in a cell": ("posts.csv", lambda: b"id,image,comments\n1,a.png,a\0b\n"),
    "100,000 columns": ("posts.csv", lambda: b",".join(b"c%d" % i for i in range(100_000)) + b"\n" + b"," * 99_999 + b"\n"),
    "the same column thrice": ("posts.csv", lambda: b"id,id,id,image,comments\n1,2,3,a.png,b\n"),
    "rows of other lengths": ("posts.csv", lambda: b"id,image,comments\n1\n1,a.png,b,c,d,e,f\n,,,,,,,\n\n"),
    "no columns": ("posts.csv", lambda: b"\n\n\n"),
    "delimiters only": ("posts.csv", lambda: b",;\t|" * 10_000),
    "formulas": ("posts.csv", lambda: b"id,image,comments\n=1+1,a.png,@SUM(1)\n+1,a.png,-1\n"),
    "Parquet of wrong types": ("posts.parquet", lambda: parquet({"id": [1.5], "image": [3], "comments": [True]})),
    "Parquet of NaN": ("posts.parquet", lambda: parquet({"id": ["1"], "image": ["a.png"], "comments": [["a"]], "love": [float("nan")]})),
    "Parquet of bytes": ("posts.parquet", lambda: parquet({"id": [b"\xff"], "image": [b"\xff\xfe"], "comments": [[b"\xff"]]})),
    "Parquet of no rows": ("posts.parquet", lambda: parquet({"id": pa.array([], pa.string())})),
    "Parquet of 10^6 characters": ("posts.parquet", lambda: parquet({"id": ["a" * 10**6], "image": ["a.png"], "comments": [["b" * 10**6]]})),
    "Parquet of 200 MB of zeros": ("posts.parquet", lambda: parquet({"id": ["\0" * 2**20] * 200, "image": ["a.png"] * 200})),
    "Parquet of a value of 1 MB, 20,000 times": ("posts.parquet", lambda: parquet({"id": _repeated("a" * 2**20, 20_000)})),
    "Parquet of 10^7 equal rows": ("posts.parquet", lambda: parquet({"id": _repeated("1", 10**7)})),
    "Parquet, cut": ("posts.parquet", lambda: HONEST[: len(HONEST) // 2]),
    "Parquet, its end only": ("posts.parquet", lambda: b"PAR1" + HONEST[-40:]),
    "Parquet with a footer of 2^31": ("posts.parquet", lambda: HONEST[:-8] + b"\xff\xff\xff\x7fPAR1"),
    "Parquet with noise": ("posts.parquet", lambda: HONEST[:4] + flipped(HONEST[4:-8], 1) + HONEST[-8:]),
    "a database": ("posts.db", lambda: b"SQLite format 3\0" + bytes(4096)),
}  # fmt: skip


def shard(*members: tuple[str, bytes]) -> bytes:
    return zipped({"posts-000000.tar": tar([plain(name, data) for name, data in members])})


SHARDS: dict[str, Callable[[], bytes]] = {
    "shard of odd JSON": lambda: shard(
        ("1.json", b'{"comments": ' + b"[" * 200_000), ("1.jpg", picture("JPEG"))
    ),
    "shard without pictures": lambda: shard(("1.json", json.dumps(post()).encode())),
    "shard of pictures only": lambda: shard(*((f"{i}.jpg", picture("JPEG")) for i in range(5))),
    "shard of two pictures a post": lambda: shard(
        ("1.json", b"{}"), ("1.jpg", picture("JPEG")), ("1.png", picture())
    ),
    "shard of names outside": lambda: shard(("../1.json", b"{}"), ("../1.jpg", picture("JPEG"))),
    "shard of PAX sizes": lambda: zipped({"posts-000000.tar": pax({"size": "-1"})}),
    "index of 10^30 posts": lambda: indexed(10**30, b"{}"),
    "index of a post with half a character": lambda: indexed(
        1, b'{"id":"\\ud800","comments":[],"reactions":{}}'
    ),
    "index of a post 200,000 deep": lambda: indexed(1, b"[" * 200_000),
    "shard, cut": lambda: zipped({"posts-000000.tar": tar([plain("1.jpg", picture("JPEG"))])[:700]}),
}


def indexed(posts: int, row: bytes) -> bytes:
    """An artifact of ingest that claims so many posts."""
    key = "0" * 32
    shards = [{"name": "shard-000000.tar", "posts": posts, "sha256": "0" * 64}]
    index = {"format": "vise-posts-1", "posts": posts, "synthetic": False, "shards": shards}
    members = [plain(f"{key}.json", row), plain(f"{key}.jpg", picture("JPEG"))]
    return zipped(
        {"index.json": json.dumps(index).encode(), "shard-000000.tar": tar(members, fmt=tarfile.USTAR_FORMAT)}
    )


def post_sets() -> Iterator[Case]:
    for field in FIELDS:
        for name, odd in ODD.items():
            if field == "image" or name in (
                "a number",
                "a huge number",
                "NaN",
                "null",
                "an object",
                "10^6 characters",
                "NUL",
                "a surrogate",
                "markup",
            ):
                yield Case(
                    "posts",
                    f"{field} is {name}",
                    "a.zip",
                    lambda f=field, o=odd: folder("posts.jsonl", lines(post(**{f: o}))),
                )
    for name, (file, build) in TEXTS.items():
        yield Case("posts", name, "a.zip", lambda f=file, b=build: folder(f, b()))
    for name, build in SHARDS.items():
        yield Case("posts", name, "a.zip", build)
    yield Case("posts", "every hostile picture", "a.zip", _with_pictures)


def _with_pictures() -> bytes:
    """A post for each picture that is a bomb or mislabelled, among honest ones."""
    files = {f"{i}.png": build() for i, (_, build) in enumerate(PICTURE_BOMBS.values())}
    files |= {f"m{i}.png": data for i, data in enumerate(MISLABELLED.values())}
    rows = [post(id=name, image=name) for name in files]
    # Stored, since the archive would be a bomb itself.
    images = {f"images/{name}": data for name, data in files.items()}
    return zipped({"posts.jsonl": lines(*rows), "images/a.png": picture(), **images}, zipfile.ZIP_STORED)
