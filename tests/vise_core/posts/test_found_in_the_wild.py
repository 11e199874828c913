"""Posts as they were found elsewhere: one strange thing costs one post, and nothing is left out without a count."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from post_layouts import picture
from source_reading import comments, read, sample, tar_of

from vise_core.data import survey
from vise_core.posts.peek import peek
from vise_core.reporter import LocalReporter
from vise_core.specs.survey import SurveySpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "images").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (made / "images" / f"{name}.jpg").write_bytes(picture(ord(name)))
    return made


def test_a_quote_that_nothing_closes_costs_its_own_row_only(folder: Path) -> None:
    (folder / "posts.csv").write_text(
        'id,image,comments\n1,a.jpg,"two\nlines"\n2,b.jpg,"open\n3,c.jpg,"quoted, too"\n4,d.jpg,"open\n5,a.jpg,last\n'
    )
    kept, tally, _ = read(folder, {"kind": "csv"})
    assert comments(kept) == {"1": ("two\nlines",), "3": ("quoted, too",), "5": ("last",)}
    assert (tally.read, tally.rejected) == (5, {"bad_row": 2})
    assert [one["where"] for one in tally.examples["bad_row"]] == ["posts.csv:4", "posts.csv:6"]


def test_a_cell_of_parquet_that_cannot_be_read_costs_its_row_and_a_time_nothing(folder: Path) -> None:
    ends = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in range(5)))
    broken = pa.Array.from_buffers(pa.string(), 4, [None, ends, pa.py_buffer(b"x\xffyz")])
    columns = {
        "id": ["1", "2", "3", "4"],
        "image": [f"{name}.jpg" for name in "abcd"],
        "comments": [["hi"]] * 4,
        "created": pa.array([0, 0, 2**62, 0], pa.timestamp("us")),
        "author": broken,
    }
    pq.write_table(pa.table(columns), folder / "posts.parquet")
    kept, tally, _ = read(folder, {"kind": "parquet"})
    assert list(comments(kept)) == ["1", "3", "4"]
    assert tally.rejected == {"bad_encoding": 1}
    assert tally.examples["bad_encoding"][0]["where"] == "posts.parquet: row 2"
    assert "'author'" in tally.examples["bad_encoding"][0]["message"]


def test_an_id_that_is_a_float_says_so(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1.0], "image": ["a.jpg"]}), folder / "posts.parquet")
    _, tally, _ = read(folder, {"kind": "parquet"})
    assert "is 1.0, not a text or a whole number" in tally.examples["bad_id"][0]["message"]


@pytest.mark.parametrize("name", ["graph_api", "reddit"])
def test_null_comments_of_a_list_are_counted_by_every_map_that_takes_lists(folder: Path, name: str) -> None:
    text = {"graph_api": "message", "reddit": "body"}[name]
    row = {"id": "1", "image": "a.jpg", "comments": [None, {text: "x", "replies": None, "comments": None}]}
    (folder / "posts.jsonl").write_text(json.dumps(row))
    kept, tally, _ = read(folder, {"kind": "jsonl", "fields": {"map": name}})
    assert comments(kept) == {"1": ("x",)}
    assert tally.dropped["comments_without_text"] == 1


def test_columns_of_counts_are_neither_comments_nor_reactions(folder: Path) -> None:
    """The columns of a published table of Facebook posts, and of an export with a column Comments of counts."""
    (folder / "live.csv").write_text(
        "status_id,image,num_reactions,num_comments,num_likes,num_loves,num_wows,num_hahas,num_sads,num_angrys\n"
        "s1,a.jpg,529,512,432,92,3,1,1,2\n"
    )
    preview = peek(folder)
    assert preview.source == {"kind": "csv", "posts": "live.csv", "fields": {"id": "status_id"}}
    assert preview.posts[0].reactions == {"haha": 1, "sorry": 1, "angry": 2, "wow": 3, "love": 92}
    (folder / "live.csv").write_text("Facebook Id,Image,Comments,Love,Sad\n7,a.jpg,12,3,1\n")
    preview = peek(folder)
    assert (preview.posts[0].id, preview.posts[0].comments) == ("7", 0)
    assert (preview.posts[0].reactions["love"], preview.posts[0].reactions["sorry"]) == (3, 1)


def test_aliases_of_the_graph_api_with_the_word_type_are_read(folder: Path) -> None:
    row = {"id": "1", "image": "a.jpg", "reactions_type_love": {"summary": {"total_count": 4}}}
    (folder / "posts.jsonl").write_text(json.dumps(row))
    assert peek(folder).posts[0].reactions["love"] == 4


def test_endings_of_compression_may_be_in_capitals(folder: Path) -> None:
    (folder / "POSTS.JSONL.GZ").write_bytes(gzip.compress(b'{"id": "1", "image": "a.jpg"}\n'))
    kept, _, _ = read(folder, {"kind": "jsonl", "posts": "POSTS.JSONL.GZ"})
    assert list(comments(kept)) == ["1"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("posts.csv", b"", "posts.csv: is empty"),
        ("posts.csv", b"id,image,comments\n", "posts.csv holds no post"),
        ("posts.json", b"[]", "posts.json holds no post"),
        ("posts.jsonl", b"", "posts.jsonl holds no post"),
        ("posts.jsonl.gz", gzip.compress(b"{}\n" * 9, mtime=0)[:-9], "cannot be read to its end"),
        ("posts.parquet", b"", "cannot be read as Parquet"),
        ("posts.json", b'[{"id": "1", "image": "a.jpg"}, {"id": "2"', "breaks off before its list ends"),
    ],
)
def test_a_look_at_posts_that_cannot_be_read_says_why(
    folder: Path, name: str, data: bytes, told: str
) -> None:
    (folder / name).write_bytes(data)
    assert any(told in warning for warning in peek(folder).warnings)
    (folder.parent / "out").mkdir()
    reporter = LocalReporter(folder.parent / "out")
    result = survey.run(SurveySpec(kind="posts"), {"dataset": folder}, folder.parent / "out", reporter)
    assert result.layout == "unknown"
    assert any(told in warning for warning in result.warnings)


def test_a_link_that_leads_out_is_shown_under_its_own_name(folder: Path) -> None:
    (folder.parent / "secret.jpg").write_bytes(picture(1))
    (folder / "images" / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "posts.jsonl").write_text('{"id": "1", "image": "a.jpg"}\n')
    _, tally, _ = read(folder, {"kind": "jsonl"})
    shown = [one["where"] for one in tally.examples["images_without_post"]]
    assert shown == ["images/b.jpg", "images/c.jpg", "images/d.jpg", "images/link.jpg"]


def test_pictures_that_share_a_stem_are_posts_of_their_own_where_each_has_a_file(tmp_path: Path) -> None:
    made = tmp_path / "in"
    made.mkdir()
    for name in ("a.jpg", "a.png", "b.jpg", "c.jpg", "d.jpg", "d.png"):
        (made / name).write_bytes(picture(ord(name[0])))
    for name in ("a.jpg.json", "a.png.json", "b.jpg.json", "b.json", "c.json", "c.JSON", "d.json"):
        (made / name).write_text('{"comments": ["x"]}')
    kept, tally, _ = read(made, {"kind": "pictures", "fields": {"id": "__key__"}})
    assert list(comments(kept)) == ["a.jpg", "a.png"]
    assert tally.rejected == {"several_sidecars": 2, "several_images": 1}


def test_a_page_of_the_graph_api_holds_its_posts_in_an_object(folder: Path) -> None:
    rows = [{"id": name, "image": f"{name}.jpg"} for name in "abc"]
    for key in ("posts", "feed"):
        (folder / "posts.json").write_text(json.dumps({"id": "7", key: {"data": rows, "paging": {}}}))
        kept, _, _ = read(folder, {"kind": "json"})
        assert list(comments(kept)) == ["a", "b", "c"], key


def test_numbered_rows_are_not_taken_for_one_post(folder: Path) -> None:
    rows = {str(n): {"id": name, "image": f"{name}.jpg"} for n, name in enumerate("abc")}
    (folder / "x.json").write_text(json.dumps(rows))
    assert [post.reason for post in peek(folder).posts] == ["missing_image"]


def test_one_zero_byte_does_not_make_a_table_utf_16(folder: Path) -> None:
    (folder / "posts.csv").write_bytes(b"id,image,comments\r1,a.jpg,z\0z\r2,b.jpg,y\r")
    kept, tally, _ = read(folder, {"kind": "csv"})
    assert comments(kept) == {"1": ("zz",), "2": ("y",)}
    assert tally.repaired["broken_unicode"] == 1


def test_tars_with_endings_in_capitals_are_read(tmp_path: Path) -> None:
    made = tmp_path / "in"
    made.mkdir()
    for name, key in (("A.TAR", "x"), ("b.tar", "y"), ("c.Tar", "z")):
        (tar_of(made, sample(key)) / "a.tar").rename(made / name)
    kept, tally, _ = read(made, {"kind": "webdataset", "fields": {"id": "__key__"}})
    assert list(comments(kept)) == ["x", "y", "z"]
    assert "other_files" not in tally.dropped
