"""Tables, JSON lists, tars and folders as others write them; nothing outside the folder is read."""

import gzip
import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from post_layouts import picture
from pydantic import ValidationError
from source_reading import ROW, comments, read

from vise_core.errors import BadInput
from vise_core.posts.readers import json_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "images").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (made / "images" / f"{name}.jpg").write_bytes(picture(ord(name)))
    return made


TABLE = 'id,image,comments,love\r\n1,a.jpg,"two\r\nlines, ""quoted""",3\r\n2,b.jpg,é 😂,\r\n\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_table_of_any_encoding_and_delimiter_is_detected(folder, encoding, delimiter, ending) -> None:
    text = TABLE.replace(",", delimiter).encode(encoding)
    packed = {"": text, ".gz": gzip.compress(text), ".zst": pa.compress(text, codec="zstd", asbytes=True)}
    (folder / f"posts.csv{ending}").write_bytes(packed[ending])
    kept, tally, _ = read(folder, {"kind": "csv"})
    assert comments(kept) == {"1": (f'two\r\nlines{delimiter} "quoted"',), "2": ("é 😂",)}
    assert kept[0].post.reactions == (0, 0, 0, 0, 3)
    assert (tally.rejected, tally.dropped["images_without_post"]) == ({}, 1)


def test_a_table_of_windows_is_read_with_a_warning_and_a_given_encoding_without(folder) -> None:
    rows = ["id;image;comments", *(f"{n};a.jpg;très déçu, c’est l’été à la plage" for n in range(20))]
    (folder / "posts.csv").write_bytes("\n".join(rows).encode("cp1252"))
    _, tally, warnings = read(folder, {"kind": "csv"})
    assert (tally.posts, tally.rejected) == (20, {})
    assert "not UTF-8" in warnings[0]
    kept, _, warnings = read(folder, {"kind": "csv", "encoding": "cp1252"})
    assert comments(kept)["0"] == ("très déçu, c’est l’été à la plage",)
    assert warnings == []


def test_broken_rows_are_rejected_one_by_one(folder) -> None:
    rows = [
        b"id,image,comments",
        b"1,a.jpg,good",
        b"2,a.jpg,too,many",
        b"3,a.jpg",
        b'4,a.jpg,"broken" quote',
        b"5,a.jpg,\xff\xfe bytes",
        "6,a.jpg,é".encode(),
        b"7,a.jpg,last",
    ]
    (folder / "posts.csv").write_bytes(b"\n".join(rows))
    kept, tally, _ = read(folder, {"kind": "csv"})
    assert comments(kept) == {"1": ("good",), "6": ("é",), "7": ("last",)}
    assert tally.rejected == {"bad_row": 3, "bad_encoding": 1}
    assert tally.examples["bad_row"][0] == {
        "where": "posts.csv:3",
        "message": "the row has 4 cells, the first line names 3 columns",
    }


@pytest.mark.parametrize("kind", ["jsonl", "json", "pictures"])
def test_json_that_is_nested_too_deep_rejects_its_post_alone(folder, kind: str) -> None:
    deep, good = "[" * 200_000 + "]" * 200_000, json.dumps({"id": "1", "image": "a.jpg", "comments": ["x"]})
    if kind == "pictures":
        (folder / "images/b.json").write_text(deep)
        (folder / "images/a.json").write_text(good)
    else:
        (folder / f"posts.{kind}").write_text(f"{deep}\n{good}" if kind == "jsonl" else f"[{deep}, {good}]")
    kept, tally, _ = read(folder, {"kind": kind})
    assert comments(kept) == {"1": ("x",)}
    assert tally.rejected["not_json"] == 1


def test_a_replacement_character_is_a_character_and_a_given_encoding_may_have_a_bom(folder) -> None:
    row = {"id": "1", "image": "a.jpg", "comments": ["caf\ufffd"]}
    (folder / "posts.jsonl").write_text(json.dumps(row, ensure_ascii=False))
    (folder / "posts.json").write_text(json.dumps([row], ensure_ascii=False), encoding="utf-8-sig")
    (folder / "posts.csv").write_text("id,image,comments\n1,a.jpg,caf\ufffd\n", encoding="utf-8-sig")
    for kind in ("jsonl", "json", "csv"):
        for encoding in (None, "UTF-8"):
            kept, _, _ = read(folder, {"kind": kind, "encoding": encoding})
            assert comments(kept) == {"1": ("caf\ufffd",)}, (kind, encoding)


def test_bytes_that_a_given_encoding_has_not_reject_their_row(folder) -> None:
    (folder / "posts.csv").write_bytes(b"id,image,comments\n1,a.jpg,\x81 hi\n2,a.jpg,\xe9\n")
    kept, tally, _ = read(folder, {"kind": "csv", "encoding": "cp1252"})
    assert (comments(kept), tally.rejected) == ({"2": ("é",)}, {"bad_encoding": 1})


def test_a_window_beyond_what_is_read_says_what_to_do(folder) -> None:
    # A frame whose window is 2 GiB, as of dumps made with zstd --long=31: header, window, one raw block.
    frame = bytes.fromhex("28b52ffd00a8") + (5 << 3 | 1).to_bytes(3, "little") + b"hello"
    (folder / "posts.jsonl.zst").write_bytes(frame)
    with pytest.raises(BadInput, match=r"unpack it with zstd -d --long=31"):
        read(folder, {"kind": "jsonl"})


def test_columns_of_one_name_become_a_list_and_excels_first_line_is_passed_over(folder) -> None:
    (folder / "posts.csv").write_text("sep=;\nid;image;comments;comments\n1;a.jpg;x;y\n2;b.jpg;;z\n")
    kept, _, _ = read(folder, {"kind": "csv"})
    assert comments(kept) == {"1": ("x", "y"), "2": ("z",)}


def test_lines_of_json_in_utf_16_are_read_and_bytes_that_are_not_utf_8_are_rejected(folder) -> None:
    row = json.dumps({"id": "1", "image": "a.jpg", "comments": ["é"]}, ensure_ascii=False)
    (folder / "posts.jsonl").write_bytes((row + "\r\n\r\n").encode("utf-16"))
    assert comments(read(folder, {"kind": "jsonl"})[0]) == {"1": ("é",)}
    (folder / "posts.jsonl").write_bytes(
        b"\xef\xbb\xbf" + row.encode() + b"\n" + row.encode("latin-1") + b"\n"
    )
    kept, tally, _ = read(folder, {"kind": "jsonl"})
    assert (comments(kept), tally.rejected) == ({"1": ("é",)}, {"not_json": 1})


def test_lines_and_elements_beyond_the_bound_are_rejected_and_reading_goes_on(folder, monkeypatch) -> None:
    for module in ("jsonl", "json_list", "table"):
        monkeypatch.setattr(f"vise_core.posts.readers.{module}.MAX_TEXT", 1000)
    monkeypatch.setattr(json_list, "CHUNK", 64)
    rows = [
        json.dumps({"id": n, "image": "a.jpg", "comments": ["x" * (5000 if n == 1 else 5)]}) for n in range(3)
    ]
    (folder / "posts.jsonl").write_text("\n".join(rows))
    (folder / "posts.json").write_text("[" + ",".join(rows) + "]")
    (folder / "posts.csv").write_text("id,image,comments\n0,a.jpg,x\n1,a.jpg," + "x" * 5000 + "\n2,a.jpg,x\n")
    for kind in ("jsonl", "json", "csv"):
        kept, tally, _ = read(folder, {"kind": kind})
        assert (list(comments(kept)), tally.rejected) == (["0", "2"], {"long_line": 1}), kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(JSON, max_size=6),
    chunk=st.integers(1, 40),
    ascii_only=st.booleans(),
    wrapped=st.booleans(),
)
def test_the_elements_of_a_list_are_those_that_json_reads(values, chunk, ascii_only, wrapped) -> None:
    whole = {"paging": {"a": [1, "]"]}, "data": values, "after": 1} if wrapped else values
    text = json.dumps(whole, ensure_ascii=ascii_only, indent=chunk % 3 or None)
    before, json_list.CHUNK = json_list.CHUNK, chunk
    try:
        path = (
            Path(f"/dev/shm/vise-{id(values)}.json")
            if Path("/dev/shm").is_dir()
            else Path(f"{id(values)}.json")
        )
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert [json.loads(part or "") for part in json_list.elements(path, "utf-8", None)] == values
    finally:
        json_list.CHUNK = before
        path.unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1}, {"id"', "breaks off"),
        ('[{"id": 1}] [{"id": 2}]', "more after its list"),
        ('{"id": 1}\n{"id": 2}\n', "no list of posts"),
        ('{"data": {"id": 1}}', "no list of posts"),
        ("[}", "has no {"),
        ("", "no list of posts"),
    ],
)
def test_a_file_that_is_no_whole_list_is_an_error_that_names_it(folder, text, message) -> None:
    (folder / "posts.json").write_text(text)
    with pytest.raises(BadInput, match=message) as error:
        read(folder, {"kind": "json"})
    assert "posts.json" in str(error.value)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_compressed_file_that_breaks_off_is_an_error(folder, ending) -> None:
    rows = b"".join(json.dumps({"id": n, "image": "a.jpg"}).encode() + b"\n" for n in range(500))
    packed = gzip.compress(rows) if ending == ".gz" else pa.compress(rows, codec="zstd", asbytes=True)
    (folder / f"posts.jsonl{ending}").write_bytes(packed[:-20])
    with pytest.raises(BadInput, match="get the file again"):
        read(folder, {"kind": "jsonl"})


NFC, NFD = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "images/a.jpg", "images\\a.jpg", ".\\images\\a.jpg", "{folder}/images/a.jpg", "file://{folder}/images/a.jpg",
     "file://images/a.jpg", "images/../images/a.jpg", f"{NFC}.jpg", f"{NFD}.jpg", "b%20c.jpg"],
)  # fmt: skip
def test_images_are_found_however_their_names_are_written(folder, name) -> None:
    (folder / "images" / f"{NFD}.jpg").write_bytes(picture(1))
    (folder / "images" / "b%20c.jpg").write_bytes(picture(2))
    row = {"id": "1", "image": name.replace("{folder}", str(folder))}
    (folder / "posts.jsonl").write_text(json.dumps(row))
    kept, tally, _ = read(folder, {"kind": "jsonl"})
    assert (len(kept), tally.rejected, tally.dropped["images_without_post"]) == (1, {}, 4)


def test_images_beside_a_file_of_posts_in_a_subfolder_are_found(tmp_path) -> None:
    (tmp_path / "in" / "dump" / "images").mkdir(parents=True)
    (tmp_path / "in" / "dump" / "images" / "a.jpg").write_bytes(picture(1))
    (tmp_path / "in" / "dump" / "b.jpg").write_bytes(picture(2))
    rows = [{"id": 1, "image": "a.jpg"}, {"id": 2, "image": "b.jpg"}, {"id": 3, "image": "../dump/b.jpg"}]
    (tmp_path / "in" / "dump" / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kept, tally, _ = read(tmp_path / "in", {"kind": "jsonl", "posts": "dump/all.jsonl"})
    assert (len(kept), tally.rejected) == (3, {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.jpg", "outside_folder"),
        ("..\\outside.jpg", "outside_folder"),
        ("images/../../outside.jpg", "outside_folder"),
        ("{outside}", "outside_folder"),
        ("file://{outside}", "outside_folder"),
        ("C:\\Users\\me\\a.jpg", "outside_folder"),
        ("link.jpg", "outside_folder"),
        ("linked/outside.jpg", "outside_folder"),
        ("https://example.org/a.jpg", "image_address"),
        ("gone.jpg", "image_missing"),
        ("images", "image_missing"),
        ("x" * 5000, "image_missing"),
        ("a\0.jpg", "missing_image"),
        ("\ud800.jpg", "image_missing"),
        (["a.jpg", "b.jpg"], "several_images"),
        (7, "missing_image"),
        ("", "missing_image"),
    ],
)
def test_nothing_outside_the_folder_is_read(folder, name, reason) -> None:
    outside = folder.parent / "outside.jpg"
    outside.write_bytes(picture(1))
    (folder / "images" / "link.jpg").symlink_to(outside)
    (folder / "images" / "linked").symlink_to(folder.parent)
    image = name.replace("{outside}", str(outside)) if isinstance(name, str) else name
    rows = [{"id": "1", "image": image}, {"id": "2", "image": "a.jpg"}]
    (folder / "posts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kept, tally, _ = read(folder, {"kind": "jsonl"})
    assert ([record.post.id for record in kept], tally.rejected) == (["2"], {reason: 1})


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "jsonl", "posts": "../secret.jsonl"},
        {"kind": "jsonl", "posts": "/etc/passwd"},
        {"kind": "jsonl", "posts": "../*.jsonl"},
        {"kind": "jsonl", "posts": "link.jsonl"},
        {"kind": "csv", "posts": "../secret.jsonl"},
        {"kind": "json", "posts": "../secret.jsonl"},
        {"kind": "parquet", "posts": "../*.jsonl"},
        {"kind": "jsonl", "images": "/etc"},
        {"kind": "jsonl", "images": ".."},
        {"kind": "jsonl", "images": "linked"},
    ],
)
def test_a_spec_cannot_name_what_lies_outside_the_folder(folder, source) -> None:
    secret = folder.parent / "secret.jsonl"
    secret.write_text(json.dumps({"id": "s", "image": "a.jpg"}))
    (folder / "posts.jsonl").write_text(json.dumps({"id": "1", "image": "a.jpg"}))
    (folder / "link.jsonl").symlink_to(secret)
    (folder / "linked").symlink_to("/etc")
    with pytest.raises(
        (BadInput, ValidationError),
        match=r"source\.(posts|images): '.*' leads out of the data set's folder|a path inside the folder",
    ):
        read(folder, source)


def test_parquet_names_its_images_by_file_and_null_or_nan_counts_are_missing(folder) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = {
        "id": [1, 2, 3],
        "image": pa.array(
            [{"bytes": None, "path": "a.jpg"}, {"bytes": picture(5), "path": "x.jpg"}, None], struct
        ),
        "love": pa.array([float("nan"), 2.0, 1.0]),
        "wow": pa.array([None, 4, 1]),
    }
    pq.write_table(pa.table(table), folder / "posts.parquet")
    kept, tally, _ = read(folder, {"kind": "parquet", "fields": {"map": "flat"}})
    assert [record.post.reactions for record in kept] == [(0, 0, 0, 0, 0), (0, 0, 0, 4, 2)]
    assert tally.rejected == {"missing_image": 1}


def test_maps_of_parquet_are_counts_by_name(folder) -> None:
    reactions = pa.array([[("SAD", 2), ("love", 1)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"id": ["1"], "image": ["a.jpg"], "reactions": reactions}), folder / "p.parquet")
    kept, _, _ = read(folder, {"kind": "parquet"})
    assert kept[0].post.reactions == (0, 2, 0, 0, 1)


def test_pictures_with_one_file_each(tmp_path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.JPG", "c.jpg", "c.png", "sub/a.jpg", "alone.jpg"):
        (folder / name).write_bytes(picture(len(name)))
    (folder / "a.json").write_text(json.dumps({"id": 7, "comments": ["x"]}))
    (folder / "b.JPG.json").write_bytes(b"\xef\xbb\xbf" + ROW)
    (folder / "c.json").write_bytes(ROW)
    (folder / "sub" / "a.txt").write_text("one\ntwo\n")
    (folder / "nothing.json").write_bytes(ROW)
    (folder / "._a.json").write_bytes(b"Apple")
    kept, tally, _ = read(folder, {"kind": "pictures"})
    assert comments(kept) == {"7": ("x",), "b": ("x",), "sub/a": ("one", "two")}
    assert tally.rejected == {"missing_data": 1, "several_images": 1, "missing_image": 1}
    assert tally.dropped.get("other_files") is None


def test_memory_does_not_grow_with_a_list(folder) -> None:
    """A list of 40 MB takes a few MB: one element and a chunk."""
    import tracemalloc

    row = json.dumps({"id": "1", "image": "a.jpg", "comments": ["word " * 200] * 10})
    with (folder / "posts.json").open("w") as file:
        file.write("[" + row)
        for _ in range(4000):
            file.write("," + row)
        file.write("]")
    tracemalloc.start()
    number = sum(1 for _ in json_list.elements(folder / "posts.json", "utf-8", None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (number, peak < 16 * 2**20) == (4001, True)
