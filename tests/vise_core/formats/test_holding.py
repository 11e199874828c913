"""A post is found in every kind of file that may hold it, and not by chance in others; and removed from shards and labels."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vise_core.formats.holding import Searched, Wanted, search_file
from vise_core.formats.labels import (
    LabelFacts,
    read_label_facts,
    read_label_table,
    write_label_facts,
    write_label_table,
)
from vise_core.formats.post import Post, PostRecord, post_key
from vise_core.formats.posts import ShardIndex, ShardWriter, shard_name, write_index
from vise_core.formats.removal import remove_posts

ID, SHORT, ACCENT = "1234567890_77", "17", "beitrag-äöü"
WANTED = Wanted([ID, SHORT, ACCENT])


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def parquet(**columns: list) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


LINE = json.dumps({"id": ID, "comments": ["x"]}).encode()
HOLDING = {
    "json": (json.dumps([{"id": ID}]).encode(), {ID}),
    "json number": (b'{"rows": [{"post_id": 17}, {"reactions": 18}]}', {SHORT}),
    "json key": (json.dumps({ACCENT: 1}).encode(), {ACCENT}),
    "json escaped": (json.dumps({"text": f"the post {ACCENT}."}).encode(), {ACCENT}),
    "jsonl": (b'{"id": "1"}\n' + LINE + b"\n", {ID}),
    "key": (json.dumps(post_key(SHORT)).encode(), {SHORT}),
    "text": (f"about {ID}: bad\n".encode(), {ID}),
    "list": (b"16\n17\n18\n", {SHORT}),
    "csv": (b"post_id,likes\n17,3\n", {SHORT}),
    "tsv": (b"likes\tid\n3\t17\n", {SHORT}),
    "latin-1": (f"é {ID}".encode("latin-1"), {ID}),
    "parquet": (parquet(post_id=["a", SHORT], likes=[1, 2]), {SHORT}),
    "parquet numbers": (parquet(id=[16, 17]), {SHORT}),
    "parquet lists": (parquet(sample_posts=[["a"], [ID, "b"]]), {ID}),
    "parquet records": (parquet(post=[{"id": 17, "text": "x"}]), {SHORT}),
    "zip": (zipped("posts.jsonl", LINE), {ID}),
    "zip name": (zipped(f"images/{ID}.jpg", b"\xff\xd8"), {ID}),
    "tar": (tarred(f"{post_key(ACCENT)}.jpg", b"\xff\xd8"), {ACCENT}),
    "tar in gzip in zip": (zipped("a.tgz", gzip.compress(tarred("x", LINE))), {ID}),
    "broken zip": (b"PK\x03\x04 broken " + ID.encode(), {ID}),
    "bytes": (b"\0" * 1000 + ID.encode() + b"\0", {ID}),
    "bytes across chunks": (b"\0" * (2**22 - 5) + ID.encode() + b"\0", {ID}),
}
FREE = {
    "another number": b'{"reactions": [17, 18], "17th": 17.5}',
    "part of a longer id": f'["{ID}8", "9{ID}"]'.encode(),
    "csv of counts": b"id,likes\n3,17\n",
    "bytes": b"\0\x0117\0" + bytes(range(256)),
    "parquet of counts": parquet(likes=[17], id=[3]),
    "empty": b"",
}


@pytest.mark.parametrize("kind", HOLDING)
def test_a_post_is_found(kind: str, tmp_path: Path) -> None:
    content, ids = HOLDING[kind]
    (tmp_path / "object").write_bytes(content)
    assert search_file(tmp_path / "object", WANTED).posts == ids


@pytest.mark.parametrize("kind", FREE)
def test_no_post_is_found_by_chance(kind: str, tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(FREE[kind])
    assert search_file(tmp_path / "object", WANTED) == Searched(frozenset())


def test_posts_are_removed_from_shards_and_labels_and_the_others_stay(tmp_path: Path) -> None:
    posts, labels = tmp_path / "posts", tmp_path / "labels"
    posts.mkdir()
    labels.mkdir()
    shards = []
    for number in range(3):
        writer = ShardWriter(posts / shard_name(number))
        made = [Post(f"post-{number}-{n}", (f"comment {n}",), (n, 0, 0, 0, 0)) for n in range(4)]
        for post in made:
            writer.write(PostRecord(post, f"image of {post.id}".encode()))
        shards.append(writer.close())
        rows = [{"post_id": p.id, "key": p.key, "comment_labels": [1], "reaction_label": 0} for p in made]
        write_label_table(labels / f"shard-{number:06d}.parquet", pa.Table.from_pylist(rows))
    write_index(posts, shards, synthetic=True)
    facts = LabelFacts(comment_clusters=2, reaction_clusters=1, posts=12, synthetic=True, shuffled=False)
    write_label_facts(labels, facts)
    before = list(ShardIndex.open(posts).iterate())
    untouched = (posts / shard_name(1)).read_bytes()

    gone = ["post-0-2", "post-2-0", "post-2-1", "unknown"]
    assert remove_posts("posts", posts, gone) == [shard_name(0), shard_name(2), "index.json"]
    assert remove_posts("labels", labels, gone) == [
        "shard-000000.parquet",
        "shard-000002.parquet",
        "labels.json",
    ]

    index = ShardIndex.open(posts)
    assert list(index.iterate()) == [record for record in before if record.post.id not in gone]
    assert (len(index), index.synthetic) == (9, True)
    assert (posts / shard_name(1)).read_bytes() == untouched
    assert read_label_facts(labels) == facts.model_copy(update={"posts": 9})
    left = [
        i
        for n in range(3)
        for i in read_label_table(labels / f"shard-{n:06d}.parquet")["post_id"].to_pylist()
    ]
    assert left == [record.post.id for record in index.iterate()]
    wanted = Wanted(gone)
    assert not any(search_file(path, wanted).posts for folder in (posts, labels) for path in folder.iterdir())
    assert remove_posts("posts", posts, gone) == []
    assert remove_posts("labels", labels, gone) == []
