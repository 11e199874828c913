"""Previews of files that somebody else wrote, the hostile ones too: bounded, never executed, never an exception."""

import io
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from frontend.views.run import file_preview as module
from frontend.views.run.file_preview import MOST_BYTES, TEXT_BYTES, FilePreview, bytes_needed, file_preview
from tests.pictures import encoded, png_bomb


def shown_of(name: str, data: bytes, size: int | None = None) -> FilePreview:
    """The preview as the page makes it: only the bytes that are asked for are read."""
    size = len(data) if size is None else size
    return file_preview(name, size, data[: bytes_needed(name, size)])


def picture(kind: str, size: tuple[int, int] = (30, 20)) -> bytes:
    return encoded(Image.new("RGB", size, "teal"), kind)


def parquet(table: pa.Table, **options) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_json_is_shown_as_what_it_says() -> None:
    shown = shown_of("result.json", json.dumps({"mean": 60.5, "splits": [1, 2]}).encode())
    assert (shown.kind, shown.value) == ("json", {"mean": 60.5, "splits": [1, 2]})


def test_of_a_table_the_head_is_shown() -> None:
    data = parquet(pa.table({"path": [f"{n}.jpg" for n in range(1000)], "score": np.arange(1000.0)}))
    shown = shown_of("predictions.parquet", data)
    assert shown.rows[1] == {"path": "1.jpg", "score": 1.0}
    assert (shown.kind, len(shown.rows), shown.note) == ("table", 50, "50 of 1,000 rows")


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("b.JPG", "JPEG"), ("c.webp", "WEBP")])
def test_a_picture_is_shown_as_it_is(name: str, kind: str) -> None:
    data = picture(kind)
    assert shown_of(name, data) == FilePreview("image", "30 × 20 pixels", value=data)


def test_of_a_long_text_the_beginning_is_read_and_said_so() -> None:
    shown = shown_of("big.log", b"x" * (3 * 2**20))
    assert (len(shown.text), shown.note) == (TEXT_BYTES, "the first 64 KiB of 3.0 MiB")


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "PAGE.HTM"])
def test_what_a_browser_would_execute_is_shown_as_source(name: str) -> None:
    source = "<svg onload=alert(1)><script>alert(2)</script></svg>"
    shown = shown_of(name, source.encode())
    assert (shown.kind, shown.text) == ("text", source)


def test_markdown_fetches_nothing_from_elsewhere() -> None:
    shown = shown_of(
        "card.md", b"# Card\n![x](https://elsewhere.example/pixel.png)\n<script>alert(1)</script>"
    )
    assert shown.kind == "markdown"
    assert "![" not in shown.text


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("bomb.png", png_bomb(), "too many pixels"),
        ("disguised.png", b"<html><script>alert(1)</script>", "not a PNG"),
        ("gif-in-disguise.jpg", b"GIF89a" + b"\xff" * 50, "not a JPEG"),
        ("cut.parquet", b"PAR1" + b"\xff" * 64, "cannot be read as Parquet"),
        ("lies.parquet", b"PAR1" + b"\0" * 20 + struct.pack("<I", 2**31 - 1) + b"PAR1", "cannot be read"),
        ("empty.parquet", b"", "cannot be read as Parquet"),
        ("model.safetensors", b"\0" * 100, "no preview of this kind"),
        ("code.pkl", b"cos\nsystem\n(S'true'\ntR.", "no preview of this kind"),
    ],
)
def test_what_cannot_be_shown_says_why(name: str, data: bytes, why: str) -> None:
    shown = shown_of(name, data)
    assert (shown.kind, why in shown.note) == ("none", True), shown.note


def test_a_parquet_file_that_unpacks_to_gigabytes_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNPACKED", 10_000)
    data = parquet(pa.table({"zeros": ["0" * 10_000] * 500}), compression="zstd", use_dictionary=False)
    assert len(data) < 20_000
    assert "too large when unpacked" in shown_of("bomb.parquet", data).note


def test_a_parquet_file_whose_footer_lies_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNPACKED", 2**20)
    table = pa.table({"zeros": ["0" * 2**22] * 80})
    data = parquet(table, compression="zstd", use_dictionary=False)
    size = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).total_byte_size
    assert size > 300 * 2**20
    data = data.replace(varint(2 * size), varint(2 * 1000, len(varint(2 * size))))
    assert pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).total_byte_size == 1000
    shown = shown_of("bomb.parquet", data)
    assert (shown.kind, "too large when unpacked" in shown.note) == ("none", True), shown.note


def varint(number: int, length: int = 1) -> bytes:
    """A number as Thrift's compact protocol writes it; with leading zeros up to this length."""
    digits = []
    while number or len(digits) < length:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits[:-1], digits[-1] & 127])


def test_long_cells_and_many_columns_are_cut() -> None:
    table = pa.table({f"c{n}": ["y" * 10_000] for n in range(200)})
    shown = shown_of("wide.parquet", parquet(table))
    assert len(shown.rows[0]) == 60
    assert max(len(value) for value in shown.rows[0].values()) <= 501
    assert "60 of 200 columns" in shown.note


def test_json_that_is_too_deep_too_long_or_wrong_becomes_text() -> None:
    assert shown_of("deep.json", b"[" * 100_000).kind == "text"
    assert shown_of("wrong.json", b'{"a": ').note.startswith("not valid JSON")
    long = json.dumps(list(range(100_000))).encode()
    assert (shown_of("long.json", long).kind, len(shown_of("long.json", long).text)) == ("text", TEXT_BYTES)


def test_of_a_file_that_is_too_large_nothing_is_read() -> None:
    for name in ("huge.png", "huge.parquet"):
        assert bytes_needed(name, MOST_BYTES + 1) == 0
        assert "larger than 8 MiB" in file_preview(name, MOST_BYTES + 1, b"").note
    assert bytes_needed("huge.json", 10**12) == TEXT_BYTES


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(
        ["a.json", "a.parquet", "a.png", "a.jpg", "a.webp", "a.md", "a.html", "a", "a.bin", ""]
    ),
    data=st.binary(max_size=3000),
)
def test_no_bytes_raise(name: str, data: bytes) -> None:
    assert shown_of(name, data).kind in ("json", "table", "image", "text", "markdown", "none")
