"""Hostile archives land nowhere; honest ones land whole."""

import errno
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from vise_core.data import archives
from vise_core.data.archives import BadArchive, is_archive, unpack
from vise_core.specs.fetch import UnpackLimits


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w", **entry: object) -> Path:
    """A tar of these files; ``entry``: attributes of the last one's header."""
    with tarfile.open(path, mode) as tar:
        for number, (name, content) in enumerate(files.items(), 1):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if number == len(files):
                for key, value in entry.items():
                    setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def inside(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_any_kind_is_unpacked(tmp_path: Path, mode: str) -> None:
    files = {"joy/1.jpg": b"one", "fear/2.jpg": b"two"}
    archive = make_tar(tmp_path / "a.tar", files, mode)
    assert is_archive(archive)
    assert unpack(archive, tmp_path / "out", UnpackLimits()).files == 2
    assert inside(tmp_path / "out") == files


def test_a_zip_is_unpacked_without_what_systems_add(tmp_path: Path) -> None:
    files = {"a/1.jpg": b"one", "__MACOSX/a/._1.jpg": b"fork", "a/.DS_Store": b"x", "a/._1.jpg": b"fork"}
    unpack(make_zip(tmp_path / "a.zip", files), tmp_path / "out", UnpackLimits())
    assert inside(tmp_path / "out") == {"a/1.jpg": b"one"}


@pytest.mark.parametrize(
    "name",
    [
        "../out.jpg",
        "/etc/passwd",
        "a/../../out.jpg",
        "..\\out.jpg",
        "C:\\out.jpg",
    ],
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, make, name: str) -> None:
    archive = make(tmp_path / "a.bin", {"fine.jpg": b"1", name: b"2"})
    with pytest.raises(BadArchive, match="leave its folder"):
        unpack(archive, tmp_path / "deep" / "out", UnpackLimits())
    assert not (tmp_path / "out.jpg").exists()
    assert not (tmp_path / "deep" / "out.jpg").exists()


STRANGE = {
    "a\n.jpg": "control_character",
    "a\x7f.jpg": "control_character",
    "x" * 300: "name_too_long",
    "é" * 130: "name_too_long",
    "a/" * 40 + "b": "too_deep",
}


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_members_with_names_that_no_folder_should_hold_are_rejected_one_by_one(tmp_path: Path, make) -> None:
    archive = make(tmp_path / "a.bin", {"fine.jpg": b"1"} | dict.fromkeys(STRANGE, b"2"))
    done = unpack(archive, tmp_path / "out", UnpackLimits())
    assert (done.files, inside(tmp_path / "out")) == (1, {"fine.jpg": b"1"})
    assert done.rejected == {"control_character": 2, "name_too_long": 2, "too_deep": 1}
    assert done.examples[0] == {
        "path": r"a\x0a.jpg",
        "reason": "control_character",
        "message": r"'a\x0a.jpg' has a control character in its name",
    }


KEPT = [
    "Screenshot 2024-01-30 at 10.32.07\u202fAM.png",
    "a\u00a0b.png",
    "a\u3000b.png",
    "👩\u200d👩\u200d👧.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "joy/IMG.png",
    "joy/img.png",
    "Joy/img.png",
    "CON.png",
    "trailing. ",
    "A: first.png",
    "50%E9.png",
    "  ",
]


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_names_of_all_kinds_are_kept_and_stay_distinct(tmp_path: Path, make) -> None:
    files = {name: str(number).encode() for number, name in enumerate(KEPT)}
    done = unpack(make(tmp_path / "a.bin", files), tmp_path / "out", UnpackLimits())
    assert (done.files, done.rejected, done.escaped) == (len(KEPT), {}, 0)
    assert inside(tmp_path / "out") == files


def test_separators_of_windows_make_folders(tmp_path: Path) -> None:
    unpack(make_zip(tmp_path / "a.zip", {"joy\\deep\\a.jpg": b"1"}), tmp_path / "out", UnpackLimits())
    assert inside(tmp_path / "out") == {"joy/deep/a.jpg": b"1"}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_names_that_are_not_utf8_are_written_escaped(tmp_path: Path, format: int) -> None:
    names = [os.fsdecode(b"joy/caf\xe9.jpg"), os.fsdecode(b"joy/caf\xe8.jpg"), "joy/caf\u00e9.jpg"]
    with tarfile.open(tmp_path / "a.tar", "w", format=format, encoding="utf-8") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    done = unpack(tmp_path / "a.tar", tmp_path / "out", UnpackLimits())
    assert sorted(inside(tmp_path / "out")) == ["joy/caf%E8.jpg", "joy/caf%E9.jpg", "joy/caf\u00e9.jpg"]
    assert (done.files, done.escaped, done.escaped_first) == (3, 2, "joy/caf%E9.jpg")


def unmarked(archive: Path, names: dict[str, bytes]) -> Path:
    """A zip whose names are these bytes, without the mark of UTF-8: each stands for its stand-in of equal length."""
    data = make_zip(archive, dict.fromkeys(names, b"x")).read_bytes()
    for stand_in, raw in names.items():
        assert len(stand_in) == len(raw)
        data = data.replace(stand_in.encode(), raw)
    archive.write_bytes(data)
    return archive


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("caf\u00e9.jpg".encode(), "caf\u00e9.jpg"),
        ("caf\u00e9.jpg".encode("cp437"), "caf\u00e9.jpg"),
        ("ソフト.jpg".encode("cp932"), "ソフト.jpg"),
        ("写真 の.jpg".encode("cp932"), "写真 の.jpg"),
    ],
)
def test_unmarked_zip_names_are_utf8_or_shift_jis_or_code_page_437(
    tmp_path: Path, raw: bytes, name: str
) -> None:
    archive = unmarked(tmp_path / "a.zip", {"Q" * len(raw): raw})
    unpack(archive, tmp_path / "out", UnpackLimits())
    assert list(inside(tmp_path / "out")) == [name]


def test_names_marked_as_utf8_that_are_not_are_read_one_by_one(tmp_path: Path) -> None:
    files = {"joy/caf\u00e9.jpg": b"one", "joy/Q\u00e9.jpg": b"two", "fear/1.jpg": b"three"}
    data = make_zip(tmp_path / "a.zip", files).read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace("Q\u00e9".encode(), b"Q\xff\xfe"))
    before = (tmp_path / "a.zip").read_bytes()
    done = unpack(tmp_path / "a.zip", tmp_path / "out", UnpackLimits())
    assert (done.files, done.rejected) == (3, {})
    found = inside(tmp_path / "out")
    assert found.pop("joy/caf\u00e9.jpg") == b"one"
    assert found.pop("fear/1.jpg") == b"three"
    assert list(found.values()) == [b"two"]
    assert (tmp_path / "a.zip").read_bytes() == before


def test_names_of_other_code_pages_stay_distinct(tmp_path: Path) -> None:
    raw = ["фото 1.jpg".encode("cp866"), "фото 2.jpg".encode("cp866")]
    archive = unmarked(tmp_path / "a.zip", {"Q" * len(raw[0]): raw[0], "R" * len(raw[1]): raw[1]})
    assert unpack(archive, tmp_path / "out", UnpackLimits()).files == 2
    assert len(inside(tmp_path / "out")) == 2


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = make_tar(tmp_path / "a.tar", {"link": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(BadArchive, match="link or a device"):
        unpack(archive, tmp_path / "out", UnpackLimits())


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    with pytest.raises(BadArchive, match="link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out", UnpackLimits())


def test_a_bomb_stops_at_its_ratio(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "bomb.zip", {"zeros": bytes(64 * 2**20)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(BadArchive, match="unpacks to more than"):
        unpack(archive, tmp_path / "out", UnpackLimits())
    assert sum(len(content) for content in inside(tmp_path / "out").values()) <= 17 * 2**20


def test_what_a_zip_says_of_its_size_is_not_believed(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"big": bytes(40 * 2**20)})
    raw = bytearray(archive.read_bytes())
    central = raw.rindex(b"PK\x01\x02")
    raw[central + 24 : central + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(raw)
    with pytest.raises(BadArchive):
        unpack(archive, tmp_path / "out", UnpackLimits())
    assert sum(len(content) for content in inside(tmp_path / "out").values()) <= 17 * 2**20


def test_limits_of_bytes_and_files_hold(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", {f"{n}.jpg": b"12345" for n in range(10)})
    with pytest.raises(BadArchive, match="more than 9 files"):
        unpack(archive, tmp_path / "one", UnpackLimits(files=9))
    with pytest.raises(BadArchive, match="more than 49 bytes"):
        unpack(archive, tmp_path / "two", UnpackLimits(bytes=49))
    assert unpack(archive, tmp_path / "three", UnpackLimits(bytes=50, files=10)).files == 10


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_are_counted_too(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        make_zip(archive, {f"{n}/": b"" for n in range(18)} | {"a.jpg": b"1"})
    else:
        with tarfile.open(archive, "w") as tar:
            for n in range(19):
                info = tarfile.TarInfo(f"{n}" if n < 18 else "a.jpg")
                info.type = tarfile.DIRTYPE if n < 18 else tarfile.REGTYPE
                tar.addfile(info)
    with pytest.raises(BadArchive, match="more than 9 files"):
        unpack(archive, tmp_path / "one", UnpackLimits(files=9))
    assert unpack(archive, tmp_path / "two", UnpackLimits(files=10)).files == 1


def test_members_that_share_a_place_are_rejected_one_by_one_and_the_first_is_kept(tmp_path: Path) -> None:
    members = {
        "c/a.jpg": b"1",
        "c\\a.jpg": b"2",  # the same place, with a separator of Windows
        "c/caf\udce9": b"3",
        "c/caf%E9": b"4",  # how the byte before is written
        "c/a.jpg/x.jpg": b"5",
        "c": b"6",
        "d.jpg": b"7",
    }
    done = unpack(make_tar(tmp_path / "a.tar", members), tmp_path / "one", UnpackLimits())
    assert done.files == 3
    assert done.rejected == {"name_twice": 2, "file_and_folder": 2}
    assert [one["path"] for one in done.examples] == ["c/a.jpg", "c/caf%E9", "c/a.jpg/x.jpg", "c"]
    files = {path for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert {path.name: path.read_bytes() for path in files} == {"a.jpg": b"1", "caf%E9": b"3", "d.jpg": b"7"}
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        for name in ("a.jpg", "a.jpg"):
            tar.addfile(tarfile.TarInfo(name))
    assert unpack(tmp_path / "b.tar", tmp_path / "two", UnpackLimits()).rejected == {"name_twice": 1}


def test_damaged_encrypted_and_empty_archives_are_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "a.tar", {"a.jpg": bytes(range(256)) * 4000}, "w:gz").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArchive, match="damaged"):
        unpack(tmp_path / "cut.tar", tmp_path / "one", UnpackLimits())
    raw = bytearray(make_zip(tmp_path / "b.zip", {"a.jpg": b"x"}).read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(raw)
    with pytest.raises(BadArchive, match="encrypted"):
        unpack(tmp_path / "b.zip", tmp_path / "two", UnpackLimits())
    with pytest.raises(BadArchive, match="no file"):
        unpack(make_tar(tmp_path / "c.tar", {}), tmp_path / "three", UnpackLimits())


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_a_sentence_wherever_the_damage_is(tmp_path: Path, kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as made:
        made.writestr("a.txt", os.urandom(300))
        made.writestr("b.txt", b"b" * 300)
    whole = buffer.getvalue()
    for at in range(0, len(whole), 3):
        for value in (0, 0x80, 0xFF):
            (tmp_path / "a.zip").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            if is_archive(tmp_path / "a.zip"):
                with suppress(BadArchive):
                    unpack(tmp_path / "a.zip", tmp_path / "out", UnpackLimits())


def test_a_path_longer_than_the_system_allows_rejects_its_member_alone(tmp_path: Path) -> None:
    name = "/".join(["x" * 200] * 25) + "/a.jpg"
    done = unpack(make_tar(tmp_path / "a.tar", {name: b"1", "b.jpg": b"2"}), tmp_path / "out", UnpackLimits())
    assert (done.files, done.rejected) == (1, {"name_too_long": 1})
    assert inside(tmp_path / "out") == {"b.jpg": b"2"}


def test_a_zip_of_several_disks_is_damaged(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"a"})
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[:end] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2) + data[end:])
    assert is_archive(path)
    with pytest.raises(BadArchive, match=r"damaged.*\(zipfiles that span multiple disks"):
        unpack(path, tmp_path / "out", UnpackLimits())


def test_a_full_disk_is_not_a_damaged_archive(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", {"a.jpg": b"1" * 9000})
    with (
        patch.object(archives, "_created", side_effect=OSError(errno.ENOSPC, "full")),
        pytest.raises(OSError, match="full"),
    ):
        unpack(archive, tmp_path / "out", UnpackLimits())


def test_a_member_without_a_name_is_a_sentence(tmp_path: Path) -> None:
    data = bytearray(make_zip(tmp_path / "a.zip", {"N": b"1"}).read_bytes())
    local, central = data.index(b"PK\3\4") + 26, data.index(b"PK\1\2") + 28
    for at in (local, central):
        data[at : at + 4] = b"\0\0\1\0"
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(BadArchive, match=r"a\.zip: "):
        unpack(tmp_path / "a.zip", tmp_path / "out", UnpackLimits())
