"""Hostile files are searched for posts at a bounded cost, and those that cannot be searched as a whole are named."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from tests.hostile.archives import archives
from tests.hostile.case import Case, zipped
from tests.hostile.post_sets import post_sets
from vise_core.formats import holding, holding_process
from vise_core.formats.holding import Wanted, search_file
from vise_core.formats.holding_process import Searcher

ID, SHORT = "1234567890_77", "17"
LINE = json.dumps({"id": ID}).encode()
UNSEARCHED = {
    "cut in half",
    "unknown method",
    "encrypted",
    "false check sum",
    "100,000 headers",
    "size of 2^95",
    "PAX size of 10^6 digits",
    "header of 300 MB",
    "zips in zips",
    "shard, cut",
    "Parquet with a footer of 2^31",
}


def cases() -> list[Case]:
    """All hostile archives and sets of posts, but for those that take seconds to make."""
    large = (" MB", " GB", "every hostile picture")
    return [
        case
        for case in (*archives(), *post_sets())
        if case.name == "header of 300 MB" or not any(part in case.name for part in large)
    ]


def test_hostile_files_are_searched_and_named_where_they_cannot_be(tmp_path: Path) -> None:
    path, problems, honest = tmp_path / "object", {}, set()
    with Searcher(["honest1", ID]) as searcher:
        for case in cases():
            path.write_bytes(case.build())
            searched = searcher.search(path)
            problems[case.name] = searched.problem
            if searched.posts:
                honest.add(case.kind)
        assert len(searcher._unused) == 1
        path.write_bytes(LINE)
        assert searcher.search(path).posts == {ID}
    named = {name for name, problem in problems.items() if problem}
    assert [kind for kind in UNSEARCHED if not any(kind in name for name in named)] == []
    assert "posts" in honest
    assert not problems["hard link" if "hard link" in problems else "tar with a hard link"]


def test_a_bomb_costs_a_bounded_amount_of_memory_and_reading(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "object"
    bomb = gzip.compress(bytes(2**26), 1)
    path.write_bytes(zipped({"posts.jsonl": LINE, "bomb.gz": bomb}))
    assert search_file(path, Wanted([ID])) == holding.Searched(frozenset({ID}))
    monkeypatch.setattr(holding, "UNPACKED_BYTES", 2**20)
    monkeypatch.setattr(holding, "UNPACKED_TIMES", 1)
    searched = search_file(path, Wanted([ID]))
    assert (searched.posts, "unpacks to more than" in searched.problem) == ({ID}, True)


@pytest.mark.parametrize("kind", ["bad member", "encrypted", "cut"])
def test_what_can_be_read_of_a_damaged_archive_is_searched(kind: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first", b"x" * 1000)
        archive.writestr("posts.jsonl", LINE)
    data = bytearray(file.getvalue())
    if kind == "bad member":
        data[40:44] = b"\xff\xff\xff\xff"
    elif kind == "encrypted":
        data[data.index(b"PK\x01\x02") + 8] |= 1
    else:
        data = bytearray(gzip.compress(b"\n".join([LINE] * 1000 + [b"x" * 2**16]))[:-20])
    path = tmp_path / "object"
    path.write_bytes(data)
    searched = search_file(path, Wanted([ID]))
    assert (searched.posts, searched.problem[:10]) == ({ID}, "it is dama")


def test_large_text_is_searched_line_by_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(holding, "TEXT_BYTES", 1000)
    path, wanted = tmp_path / "object", Wanted([ID, SHORT])
    row = json.dumps({"id": "1", "likes": 17}).encode() + b"\n"
    for text, posts, whole in (
        (row * 100 + b'{"id": 17}', {SHORT}, True),
        (b"post_id,likes\n" + b"1,17\n" * 500 + b"17,1\n", {SHORT}, True),
        (b"16\n" * 500 + b"17\n", {SHORT}, True),
        (row + b"x" * 3000 + ID.encode(), set(), False),
        (row + b"x" * 3000 + b" " + ID.encode(), {ID}, False),
    ):
        path.write_bytes(text)
        searched = search_file(path, wanted)
        assert (searched.posts, not searched.problem) == (posts, whole)
        # A long id stands alone, wherever.
        assert not search_file(path, Wanted([ID])).problem


def test_a_file_that_takes_too_long_or_ends_its_process_is_named_and_the_next_one_is_searched(
    tmp_path: Path, monkeypatch
) -> None:
    path, slow = tmp_path / "object", tmp_path / "slow"
    path.write_bytes(LINE)
    slow.write_bytes(gzip.compress(bytes(2**30), 1))
    with Searcher([ID]) as searcher:
        assert searcher.search(path).posts == {ID}
        monkeypatch.setattr(holding_process, "SECONDS", 0.0)
        monkeypatch.setattr(holding_process, "BYTES_PER_SECOND", 10**9)
        assert "takes more than 0 s" in searcher.search(slow).problem
        monkeypatch.undo()
        assert searcher.search(path).posts == {ID}
        searcher._unused[0]._process.kill()
        assert "fails" in searcher.search(path).problem
        with pytest.raises(FileNotFoundError):
            searcher.search(tmp_path / "none")
