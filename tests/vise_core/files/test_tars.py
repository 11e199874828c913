"""A tar costs no more than it says: headers, skipped members and sizes are bounded while it is read."""

import gzip
import io
import lzma
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import pytest

from vise_core.data.archives import BadArchive, is_archive, unpack
from vise_core.errors import BadInput
from vise_core.files.compressed import TooLarge
from vise_core.files.tars import MAX_HEADERS, is_tar, open_tar
from vise_core.posts.readers import Notes
from vise_core.posts.readers.webdataset import read_webdataset
from vise_core.specs.fetch import UnpackLimits
from vise_core.specs.posts.sources import WebDatasetSource


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + padded(data)


def packed_zeros(
    path: Path,
    before: bytes,
    size: int,
    after: bytes = b"",
    opened: Callable = partial(gzip.open, compresslevel=1),
) -> Path:
    """A compressed tar with ``size`` zeros in it."""
    with opened(path, "wb") as file:
        file.write(before)
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
        file.write(after + bytes(1024))
    return path


def pax(**records: str) -> bytes:
    lines = b""
    for key, value in records.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + len(str(len(text) + 3))
        lines += f"{length}".encode() + text
    return member("pax", lines, tarfile.XHDTYPE)


GOOD = member("1.json", b"{}")
ATTACKS: dict[str, Callable[[Path], Path]] = {
    "a long name of 300 MB": lambda path: packed_zeros(
        path, header("././@LongLink", 300 * 2**20, tarfile.GNUTYPE_LONGNAME), 300 * 2**20, GOOD
    ),
    "PAX records of 300 MB": lambda path: packed_zeros(
        path, header("pax", 300 * 2**20, tarfile.XHDTYPE), 300 * 2**20, GOOD
    ),
    "a hidden member of 300 MB": lambda path: packed_zeros(
        path, header("._a", 300 * 2**20), 300 * 2**20, GOOD
    ),
    "a hidden member in xz": lambda path: packed_zeros(
        path, header(".DS_Store", 300 * 2**20), 300 * 2**20, GOOD, partial(lzma.open, preset=0)
    ),
    "many records for all members": lambda path: packed_zeros(
        path, b"".join(member("g", pax_global(number), tarfile.XGLTYPE) for number in range(300)), 2**20
    ),
    "records for all members between members": lambda path: packed_zeros(
        path,
        b"".join(
            member("g", pax_global(number), tarfile.XGLTYPE) + member(f"{number}.json", b"{}")
            for number in range(300)
        ),
        2**20,
    ),
    "a chain of long names": lambda path: packed_zeros(
        path, member("././@LongLink", b"x" * 300, tarfile.GNUTYPE_LONGNAME) * 20_000, 0, GOOD
    ),
}
ATTACKS["a number of a million digits"] = lambda path: packed_zeros(
    path, pax(size="9" * (MAX_HEADERS - 4096)), 0, GOOD
)
ATTACKS["numbers of 200 digits"] = lambda path: packed_zeros(
    path, pax(comment=("9" * 200 + "x") * (MAX_HEADERS // 202)) + header("a", 2**40), 0, GOOD
)
DAMAGED: dict[str, bytes] = {
    "a size that is no number": pax(size="many") + GOOD,
    "an end in a header": GOOD + header("2.json", 10)[:100],
    "an end in a member": GOOD + header("2.json", 9000) + b"x",
}


def negative(name: str, size: int, kind: bytes) -> bytes:
    """A header with a size below zero, in the base-256 of GNU tar."""
    block = bytearray(header(name, 0, kind))
    block[124:136] = (2**96 + size).to_bytes(12, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


BACKWARDS: dict[str, bytes] = {
    # Without a check, tarfile reads the first as an empty file, and each of the others again and again.
    "a size below zero": pax(size="-512") + GOOD,
    "a size that leads back to its own header": pax(size="-1536") + GOOD,
    "a size before the archive": pax(size="-5000") + GOOD,
    "a sparse member that leads back to its own header": negative("a", -512, tarfile.GNUTYPE_SPARSE) + GOOD,
}


def pax_global(number: int) -> bytes:
    text = f" key{number}={'x' * 9000}\n"
    return f"{len(text) + 4}{text}".encode()


def seconds_and_bytes(work: Callable[[], object]) -> tuple[float, int]:
    before, start = getrusage(RUSAGE_SELF).ru_maxrss, time.process_time()
    work()
    return time.process_time() - start, 1024 * (getrusage(RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_a_file_is_counted_too(tmp_path: Path, attack: str) -> None:
    archive = ATTACKS[attack](tmp_path / "a.tar.gz")

    def read() -> None:
        assert is_archive(archive)
        with pytest.raises(BadArchive, match=r"a\.tar\.gz: .*(unpacks to more than|header|damaged)"):
            unpack(archive, tmp_path / "out", UnpackLimits())

    cost, memory = seconds_and_bytes(read)
    assert cost < 2
    assert memory < 60e6


@pytest.mark.parametrize(
    "attack", ["a long name of 300 MB", "PAX records of 300 MB", "many records for all members"]
)
def test_posts_in_such_a_tar_take_little_memory(tmp_path: Path, attack: str) -> None:
    archive = ATTACKS[attack](tmp_path / "a.tar.gz")

    def read() -> None:
        with pytest.raises(BadInput, match=r"a\.tar\.gz: cannot be read as tar \(a header"):
            list(read_webdataset(archive, WebDatasetSource(), Notes()))

    assert seconds_and_bytes(read)[1] < 60e6


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_tar_is_a_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(BadArchive, match=r"a\.tar: (damaged|holds no file)"):
        unpack(path, tmp_path / "out", UnpackLimits())
    with pytest.raises(BadInput):
        list(read_webdataset(path, WebDatasetSource(), Notes()))


@pytest.mark.parametrize("damage", BACKWARDS)
def test_a_size_below_zero_is_damage(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.tar"
    # After a member: at byte 0 tarfile stops by itself.
    path.write_bytes(GOOD + BACKWARDS[damage] + bytes(1024))
    with pytest.raises(BadArchive, match=r"a\.tar: damaged.*a member of negative size"):
        unpack(path, tmp_path / "out", UnpackLimits(files=10))
    with pytest.raises(BadInput, match="a member of negative size"):
        list(read_webdataset(path, WebDatasetSource(), Notes()))


@pytest.mark.slow
def test_an_honest_tar_of_many_small_files_is_within_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb") as file:
        for number in range(30_000):
            file.write(member(f"{number}.txt", b"x"))
        file.write(bytes(1024))
    assert unpack(path, tmp_path / "out", UnpackLimits(bytes=30_000)).files == 30_000


def test_a_header_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    text = f" comment={'x' * (MAX_HEADERS - 4096)}\n"
    record = f"{len(text) + 7}{text}".encode()
    path.write_bytes(member("pax", record, tarfile.XHDTYPE) + GOOD + bytes(1024))
    with open_tar(path) as tar:
        assert [entry.name for entry in tar.members()] == ["1.json"]
    assert is_tar(path)
    with open_tar(path, most=0) as tar, pytest.raises(TooLarge):
        tar.tar.fileobj.seek(10**9)
    assert not is_tar(Path(__file__))
    (tmp_path / "b.tar").write_bytes(io.BytesIO().getvalue())
    assert not is_tar(tmp_path / "b.tar")
