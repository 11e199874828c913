"""A compressed file of posts unpacks to a bounded multiple of its size, whatever layout it is in."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from vise_core.errors import BadInput
from vise_core.files import compressed
from vise_core.files.compressed import BoundedReader, TooLarge
from vise_core.posts.readers import READERS, Notes
from vise_core.specs.posts.sources import CsvSource, JsonlSource, JsonSource, WebDatasetSource

ALWAYS = 2**20
LINE = b" " * 100_000 + b"\n"


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data))


def shard(size: int) -> bytes:
    """A tar with one member of zeros, which no sample needs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("1.bin")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    return buffer.getvalue()


FILES = {
    "gzip of lines": ("posts.jsonl.gz", JsonlSource(), lambda n: gzip.compress(LINE * (n // len(LINE)))),
    "zstd of lines": ("posts.jsonl.zst", JsonlSource(), lambda n: zstd(LINE * (n // len(LINE)))),
    "gzip of one line": ("posts.jsonl.gz", JsonlSource(), lambda n: gzip.compress(bytes(n))),
    "zstd of a list": ("posts.json.zst", JsonSource(), lambda n: zstd(b"[" + b" " * n + b"]")),
    "gzip of a table": ("posts.csv.gz", CsvSource(), lambda n: gzip.compress(b"id,image,comments\n" + LINE * (n // len(LINE)))),
    "gzip of a shard": ("a.tar.gz", WebDatasetSource(), lambda n: gzip.compress(shard(n))),
    "xz of a shard": ("a.tar", WebDatasetSource(), lambda n: lzma.compress(shard(n))),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "ALWAYS", ALWAYS)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_zeros_stops_early_and_says_so(tmp_path: Path, name: str) -> None:
    file, source, build = FILES[name]
    build_: Callable[[int], bytes] = build
    (tmp_path / file).write_bytes(build_(64 * ALWAYS))
    with pytest.raises(BadInput, match=rf"{file}: .*unpacks to more than [\d,]+ bytes.*unpack it"):
        for _ in READERS[source.kind](tmp_path, source, Notes()):
            pass


def test_texts_that_compress_well_are_read(tmp_path: Path) -> None:
    lines = b"".join(b'{"id": "%d", "image": "a.png", "comments": ["so sweet"]}\n' % i for i in range(20_000))
    (tmp_path / "posts.jsonl.gz").write_bytes(gzip.compress(lines))
    assert len(lines) > ALWAYS
    assert sum(1 for _ in READERS["jsonl"](tmp_path, JsonlSource(), Notes())) == 20_000


def test_a_reader_counts_what_it_has_unpacked() -> None:
    reader = io.BufferedReader(BoundedReader(io.BytesIO(bytes(100)), 100), 10)
    assert len(reader.read()) == 100
    with pytest.raises(TooLarge, match="unpacks to more than 99 bytes"):
        io.BufferedReader(BoundedReader(io.BytesIO(bytes(100)), 99), 10).read()
