"""Tars as the webdataset library writes them, and broken ones."""

import json
import tarfile

import pytest
from post_layouts import add_member, picture
from source_reading import ROW, read, sample, tar_of

from vise_core.errors import BadInput


@pytest.mark.parametrize(
    ("members", "kept", "rejected"),
    [
        # The case of six samples under one name: one post, five rejected.
        ([m for n in range(6) for m in sample("x", n)], ["x"], {"duplicate_member": 5}),
        ([*sample("x"), *sample("y"), *sample("x", 1)], ["x", "y"], {"duplicate_member": 1}),
        ([*sample("x"), ("x.json", ROW)], ["x"], {"duplicate_member": 1}),
        ([*sample("x"), *sample("./x")], ["x"], {"duplicate_member": 1}),
        ([*sample("a/x"), *sample("b/x")], ["a/x", "b/x"], {}),
        ([("x.JPG", picture(1)), ("x.Json", ROW)], ["x"], {}),
        ([("a.b.jpg", picture(1)), ("a.json", ROW)], ["a"], {}),
        ([("x.jpg", picture(1)), ("x.meta.json", ROW)], ["x"], {}),
        ([("x.jpg", picture(1)), ("x.png", picture(2)), ("x.json", ROW)], [], {"several_images": 1}),
        ([("x.jpg", picture(1)), ("y.jpg", picture(2)), ("x.json", ROW), ("y.json", ROW)], [],
         {"missing_data": 2, "missing_image": 2}),
        ([("x.jpg", picture(1)), ("x.txt", b"one\n\ntwo\n")], ["x"], {}),
        ([("x.jpg", picture(1)), ("x.json", b"{")], [], {"not_json": 1}),
        ([("._x.jpg", b"Apple"), ("__MACOSX/._x.json", b"Apple"), (".DS_Store", b"d"), *sample("x")], ["x"], {}),
        ([("n" * 200 + "/" + "m" * 120 + ".jpg", picture(1)), ("n" * 200 + "/" + "m" * 120 + ".json", ROW)],
         ["n" * 200 + "/" + "m" * 120], {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_of_a_tar_are_kept_or_rejected_and_counted(tmp_path, members, kept, rejected, layout) -> None:
    found, tally, _ = read(tar_of(tmp_path / "in", members, format=layout), {"kind": "webdataset"})
    assert ([record.post.id for record in found], tally.rejected) == (kept, rejected)


def test_the_member_that_is_the_image_can_be_named_and_further_members_are_counted(tmp_path) -> None:
    members = [*sample("x", 1), ("x.mask.png", picture(2)), ("x.cls", b"3"), ("x.txt", b"hi")]
    folder = tar_of(tmp_path / "in", members)
    kept, tally, _ = read(folder, {"kind": "webdataset", "image": "jpg"})
    assert (kept[0].image, tally.rejected) == (picture(1), {})
    assert tally.dropped["extra_members"] == 2


def test_a_key_of_the_json_is_the_id_and_a_name_that_is_not_utf_8_is_escaped(tmp_path) -> None:
    row = json.dumps({"__key__": "mine"}).encode()
    members = [("a.jpg", picture(1)), ("a.json", row), ("caf\udce9.jpg", picture(2)), ("caf\udce9.json", ROW)]
    folder = tar_of(
        tmp_path / "in", members, format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    )
    kept, tally, _ = read(folder, {"kind": "webdataset"})
    assert ([record.post.id for record in kept], tally.rejected) == (["mine", "caf\\xe9"], {})


@pytest.mark.parametrize("cut", ["inside a member", "at a header", "damaged header"])
def test_a_tar_that_breaks_off_is_an_error_and_not_its_end(tmp_path, cut) -> None:
    folder = tar_of(tmp_path / "in", [m for n in range(4) for m in sample(f"{n}", n)])
    data = bytearray((folder / "a.tar").read_bytes())
    with tarfile.open(folder / "a.tar") as tar:
        last = tar.getmembers()[-2]
    if cut == "damaged header":
        data[last.offset : last.offset + 20] = b"\xff" * 20
    (folder / "a.tar").write_bytes(
        data[: last.offset + 1000 if cut == "inside a member" else last.offset + 200]
        if "damaged" not in cut
        else data
    )
    with pytest.raises(BadInput, match=r"a\.tar: cannot be read as tar"):
        read(folder, {"kind": "webdataset"})


def test_a_tar_without_its_end_mark_is_a_warning(tmp_path) -> None:
    folder = tar_of(tmp_path / "in", sample("x"))
    with tarfile.open(folder / "a.tar") as tar:
        end = tar.getmembers()[-1].offset_data + 512
    (folder / "a.tar").write_bytes((folder / "a.tar").read_bytes()[:end])
    kept, _, warnings = read(folder, {"kind": "webdataset"})
    assert (len(kept), "no end mark" in warnings[0]) == (1, True)


def test_links_in_a_tar_are_rejected(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        link = tarfile.TarInfo("x.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        add_member(tar, "x.json", ROW)
    assert read(folder, {"kind": "webdataset"})[1].rejected == {"not_a_file": 1}
