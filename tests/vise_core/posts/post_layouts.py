"""The same posts in every layout that ingest reads. Each writer returns the ``source`` of an ingest spec."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.pictures import encoded

REACTIONS = ("haha", "sorry", "angry", "wow", "love")


@dataclass
class Written:
    """A post: ``comments`` are texts, or (text, replies)."""

    id: str
    comments: list[Any] = field(default_factory=list)
    reactions: dict[str, int] = field(default_factory=dict)
    image: bytes = b""

    @property
    def name(self) -> str:
        return f"{self.id}.jpg"

    def texts(self) -> list[str]:
        """Comments and replies in order."""
        return list(_texts(self.comments))


def _texts(comments: list[Any]) -> Iterator[str]:
    for one in comments:
        if isinstance(one, str):
            yield one
        else:
            yield one[0]
            yield from _texts(one[1])


def picture(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values), "JPEG", quality=80)


def fifty() -> list[Written]:
    """Posts with replies, quotes, newlines, separators and several scripts; some without comments or reactions."""
    words = [
        "so cute!",
        'she said "no"',
        "a, b; c\td",
        "line\nbreak",
        "ㅋㅋㅋ",
        "שלום",
        "😂😂",
        "[not a list",
        "don’t",
    ]
    posts = []
    for n in range(50):
        comments: list[Any] = [words[(n + k) % len(words)] for k in range(n % 5)]
        if n % 4 == 3 and comments:
            comments[0] = (comments[0], [f"reply {n}", (f"nested {n}", ["deepest"])])
        reactions = {name: (n * (k + 3)) % 11 for k, name in enumerate(REACTIONS)} if n % 7 else {}
        posts.append(Written(f"post{n:03d}", comments, reactions, picture(n)))
    return posts


def _nested(comments: list[Any], text: str, replies: str, wrap: Callable[[list[Any]], Any]) -> list[Any]:
    return [
        {text: one, replies: wrap([])}
        if isinstance(one, str)
        else {text: one[0], replies: wrap(_nested(one[1], text, replies, wrap))}
        for one in comments
    ]


def plain_row(post: Written) -> dict[str, Any]:
    comments = [
        one if isinstance(one, str) else {"text": one[0], "replies": _nested(one[1], "text", "replies", list)}
        for one in post.comments
    ]
    return {"id": post.id, "image": post.name, "comments": comments, "reactions": post.reactions}


def _images(folder: Path, posts: list[Written]) -> None:
    (folder / "images").mkdir(parents=True)
    for post in posts:
        (folder / "images" / post.name).write_bytes(post.image)


def _flat(post: Written) -> dict[str, Any]:
    return {"id": post.id, "comments": post.texts(), **{name: post.reactions.get(name) for name in REACTIONS}}


def write_csv(folder: Path, posts: list[Written]) -> dict[str, Any]:
    _images(folder, posts)
    _table(folder / "posts.csv", posts, ",", "utf-8")
    return {"kind": "csv"}


def write_tsv(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """As Excel saves "Unicode text": UTF-16 with a BOM, and tabs."""
    _images(folder, posts)
    _table(folder / "posts.tsv", posts, "\t", "utf-16")
    return {"kind": "csv", "posts": "posts.tsv"}


def _table(path: Path, posts: list[Written], delimiter: str, encoding: str) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(["id", "image", "comments", *(name.upper() for name in REACTIONS)])
        for post in posts:
            flat = _flat(post)
            comments = json.dumps(flat["comments"]) if flat["comments"] else ""
            rows.writerow([post.id, post.name, comments, *(flat[name] for name in REACTIONS)])


def write_json(folder: Path, posts: list[Written]) -> dict[str, Any]:
    _images(folder, posts)
    (folder / "posts.json").write_text(json.dumps([plain_row(post) for post in posts], indent=1))
    return {"kind": "json"}


def _jsonl(posts: list[Written], row: Callable[[Written], dict[str, Any]] = plain_row) -> bytes:
    return b"".join(json.dumps(row(post), ensure_ascii=False).encode() + b"\n" for post in posts)


def write_jsonl(folder: Path, posts: list[Written]) -> dict[str, Any]:
    _images(folder, posts)
    (folder / "posts.jsonl").write_bytes(_jsonl(posts))
    return {"kind": "jsonl"}


def write_jsonl_gz(folder: Path, posts: list[Written]) -> dict[str, Any]:
    _images(folder, posts)
    (folder / "posts.jsonl.gz").write_bytes(gzip.compress(_jsonl(posts)))
    return {"kind": "jsonl", "posts": "posts.jsonl.gz"}


def write_jsonl_zst(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """Two frames, as tools that compress in parallel write them."""
    _images(folder, posts)
    packed = [pa.compress(_jsonl(part), codec="zstd", asbytes=True) for part in (posts[:20], posts[20:])]
    (folder / "posts.jsonl.zst").write_bytes(b"".join(packed))
    return {"kind": "jsonl", "posts": "posts.jsonl.zst"}


def write_parquet_flat(folder: Path, posts: list[Written]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    rows = [_flat(post) | {"image": post.image} for post in posts]
    pq.write_table(pa.Table.from_pylist(rows), folder / "posts.parquet", row_group_size=16)
    return {"kind": "parquet", "fields": {"map": "flat"}}


def write_parquet_structs(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """Nested lists of structs, and null for what a post has not."""
    folder.mkdir(parents=True)
    rows = []
    for post in posts:
        comments = [
            {"text": one, "replies": None}
            if isinstance(one, str)
            else {"text": one[0], "replies": [{"text": text} for text in _texts(one[1])]}
            for one in post.comments
        ]
        reactions = {name: post.reactions.get(name) for name in REACTIONS}
        rows.append({"id": post.id, "image": post.image, "comments": comments, "reactions": reactions})
    pq.write_table(pa.Table.from_pylist(rows), folder / "posts.parquet")
    return {"kind": "parquet"}


def write_datasets(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """The folder of the datasets library: data/*.parquet, and image a struct of bytes and path."""
    (folder / "data").mkdir(parents=True)
    for part, some in enumerate((posts[:30], posts[30:])):
        rows = [_flat(post) | {"image": {"bytes": post.image, "path": post.name}} for post in some]
        for row in rows:
            row["reactions"] = {name: row.pop(name) for name in REACTIONS}
        pq.write_table(pa.Table.from_pylist(rows), folder / "data" / f"train-0000{part}-of-00002.parquet")
    return {"kind": "parquet"}


def write_webdataset(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """Two tars; the key is the id, and every sample has its members in another order."""
    folder.mkdir(parents=True)
    for part, some in enumerate((posts[:25], posts[25:])):
        with tarfile.open(folder / f"{part:05d}.tar", "w") as tar:
            for n, post in enumerate(some):
                row = plain_row(post)
                del row["id"], row["image"]
                members = [("json", json.dumps(row).encode()), ("JPG" if n % 2 else "jpg", post.image)]
                for suffix, data in members if n % 3 else reversed(members):
                    add_member(tar, f"{post.id}.{suffix}", data)
    return {"kind": "webdataset"}


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def write_pictures(folder: Path, posts: list[Written]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    for post in posts:
        (folder / post.name).write_bytes(post.image)
        row = plain_row(post)
        del row["image"]
        (folder / f"{post.id}.json").write_text(json.dumps(row))
    return {"kind": "pictures"}


def write_graph_api(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """The shape of a Graph-API export: lists in data, a summary per reaction."""
    _images(folder, posts)

    def row(post: Written) -> dict[str, Any]:
        comments = _nested(post.comments, "message", "comments", lambda some: {"data": some})
        summaries = {
            name: {"data": [], "summary": {"total_count": count}} for name, count in post.reactions.items()
        }
        return {"id": post.id, "image": f"images/{post.name}", "comments": {"data": comments}, **summaries}

    (folder / "export.json").write_text(json.dumps({"data": [row(post) for post in posts], "paging": {}}))
    return {"kind": "json", "posts": "export.json", "fields": {"map": "graph_api"}}


def write_reddit(folder: Path, posts: list[Written]) -> dict[str, Any]:
    """The shape of Reddit dumps: body, score, nested listings of replies, and "" for none."""
    _images(folder, posts)

    def listing(some: list[Any]) -> Any:
        if not some:
            return ""
        return {"kind": "Listing", "data": {"children": [{"kind": "t1", "data": one} for one in some]}}

    def row(post: Written) -> dict[str, Any]:
        comments = listing(_nested(post.comments, "body", "replies", listing))
        image = f"images\\{post.name}"
        return {"id": post.id, "image": image, "score": 7, "comments": comments, "reactions": post.reactions}

    (folder / "posts.jsonl").write_bytes(_jsonl(posts, row))
    return {"kind": "jsonl", "fields": {"map": "reddit"}}


LAYOUTS: dict[str, Callable[[Path, list[Written]], dict[str, Any]]] = {
    "csv": write_csv,
    "tsv": write_tsv,
    "json": write_json,
    "jsonl": write_jsonl,
    "jsonl.gz": write_jsonl_gz,
    "jsonl.zst": write_jsonl_zst,
    "parquet, flat": write_parquet_flat,
    "parquet, structs": write_parquet_structs,
    "datasets library": write_datasets,
    "webdataset": write_webdataset,
    "pictures": write_pictures,
    "graph api": write_graph_api,
    "reddit": write_reddit,
}
