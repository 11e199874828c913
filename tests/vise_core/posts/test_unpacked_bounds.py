"""A compressed file of posts unpacks to a bounded multiple of its size, whatever layout it is in."""

import gzip
import io
import lzma
import random
import tarfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vise_core.errors import BadInput
from vise_core.files import compressed
from vise_core.files.compressed import BoundedReader, TooLarge
from vise_core.posts.readers import READERS, Notes, table
from vise_core.specs.posts.sources import CsvSource, JsonlSource, JsonSource, ParquetSource, WebDatasetSource

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


@pytest.mark.parametrize(
    "columns", [{"id": ["a" * 2**20] * 100}, {"id": [None] * 10_000}], ids=["values", "rows"]
)
def test_equal_values_and_rows_of_parquet_are_counted(
    tmp_path: Path, columns: dict[str, list[str | None]]
) -> None:
    path = tmp_path / "posts.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd")
    assert path.stat().st_size < 2000
    with pytest.raises(BadInput, match=r"posts\.parquet: unpacks to more than [\d,]+ bytes"):
        for _ in READERS["parquet"](tmp_path, ParquetSource(), Notes()):
            pass


def test_many_small_rows_of_parquet_are_read(tmp_path: Path) -> None:
    source = random.Random(1)
    rows = {
        "id": [str(i) for i in range(5000)],
        "image": [f"img/{i}.png" for i in range(5000)],
        "comments": [["".join(source.choices("abcdefgh ", k=20))] for _ in range(5000)],
    }
    pq.write_table(pa.table(rows), tmp_path / "posts.parquet", compression="zstd")
    assert sum(1 for _ in READERS["parquet"](tmp_path, ParquetSource(), Notes())) == 5000


def test_lines_that_each_open_a_quote_are_not_read_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MOST_AGAIN", 2**20)
    (tmp_path / "posts.csv").write_bytes(b"id,image,comments\n" + b'y","\n' * 20_000)
    with pytest.raises(BadInput, match=r"posts\.csv: too many quotes that nothing closes"):
        deque(READERS["csv"](tmp_path, CsvSource(), Notes()), maxlen=0)


def test_a_row_of_many_lines_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_TEXT", 10_000)
    text = b'id,image,comments\n1,a.png,"' + b"a\n" * 10_000 + b'"\n2,a.png,b\n'
    (tmp_path / "posts.csv").write_bytes(text)
    rows = list(READERS["csv"](tmp_path, CsvSource(), Notes()))
    assert rows[0].rejected is not None
    assert "more than 10,000 characters" in str(rows[0].rejected)
    assert rows[-1].row == {"id": "2", "image": "a.png", "comments": "b"}


def test_a_reader_counts_what_it_has_unpacked() -> None:
    reader = io.BufferedReader(BoundedReader(io.BytesIO(bytes(100)), 100), 10)
    assert len(reader.read()) == 100
    with pytest.raises(TooLarge, match="unpacks to more than 99 bytes"):
        io.BufferedReader(BoundedReader(io.BytesIO(bytes(100)), 99), 10).read()
