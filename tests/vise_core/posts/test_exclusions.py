"""Lists of posts to leave out, in each form in which people bring them."""

import csv
import json
import os
import time
from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.formats.post import post_key
from vise_core.posts.exclusions import excluded_keys, read_ids

LISTS = {
    "ids.txt": "\ufeffp 1\r\n\n  p2\np 1\n",
    "ids.csv": "\ufeffid,why\r\np 1,copy\r\np2,copy\r\n",
    "semicolons.csv": "why;Post_ID\ncopy;p 1\ncopy;p2\n",
    "ids.tsv": "post_id\timage\np 1\ta.jpg\np2\tb.jpg\n",
    "ids.jsonl": '{"id": "p 1", "x": 3}\n"p2"\n\n',
    "ids.json": json.dumps(["p 1", {"post_id": "p2"}]),
    "integrity.json": json.dumps({"task": "a", "posts_to_exclude": ["p 1", "p2"]}),
}


@pytest.mark.parametrize("name", LISTS)
def test_every_form_gives_the_same_ids(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LISTS[name], "utf-8", newline="")
    for place in (tmp_path / name, tmp_path):
        assert read_ids(place) == ["p 1", "p2"]
        assert excluded_keys(place) == {post_key("p 1"), post_key("p2")}


def test_numbers_are_ids_and_nothing_excludes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text("[17, 18]")
    assert read_ids(tmp_path / "ids.json") == ["17", "18"]
    assert excluded_keys(None) == frozenset()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.csv", b"name,why\na,b\n", "ids.csv: no column named id or post_id; it has name, why"),
        ("ids.csv", b"id,why\n,b\n", "ids.csv, line 2: no id"),
        ("ids.json", b"[" * 200_000, "ids.json: not JSON"),
        ("ids.jsonl", b'"a"\n{"x": 1}\n', "ids.jsonl, line 2: no post id"),
        ("ids.jsonl", b'"a"\n{\n', "ids.jsonl, line 2: not JSON"),
        ("ids.json", b'{"task": "a"}', "run integrity again, with the input posts"),
        ("ids.json", b"[true]", "ids.json, entry 1: no post id"),
        ("ids.json", b"3", "a list of post ids is expected"),
        ("ids.json", b'["\\ud800"]', "ids.json, id 1: .* is no Unicode text"),
        ("ids.txt", b"a\xff\n", "ids.txt: not UTF-8 text"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_ids(tmp_path / name)


@pytest.mark.parametrize("text", ["id," + "y" * 2000, "id,why\np," + "y" * 2000])
def test_a_cell_that_is_too_long_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.csv").write_text(text)
    limit = csv.field_size_limit(1000)
    try:
        with pytest.raises(BadInput, match=r"ids\.csv, line 1: field larger"):
            read_ids(tmp_path)
    finally:
        csv.field_size_limit(limit)


def test_a_folder_must_hold_one_list(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"must hold one list of post ids .* found none"):
        read_ids(tmp_path)
    (tmp_path / "a.txt").write_text("p")
    (tmp_path / "b.csv").write_text("id\np")
    with pytest.raises(BadInput, match=r"found a\.txt, b\.csv"):
        read_ids(tmp_path)


def test_a_list_that_changed_is_read_again_though_its_time_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("first\n")
    before = path.stat()
    assert excluded_keys(path) == {post_key("first")}
    time.sleep(0.05)  # longer than a tick of the clock of files
    path.write_text("other\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert excluded_keys(path) == {post_key("other")}
