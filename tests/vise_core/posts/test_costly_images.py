"""An image costs at most 512 MB and 5 s of processor time, wherever it is read."""

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import PNG, png_chunk
from vise_core.errors import BadImage
from vise_core.posts.images import helper
from vise_core.posts.images.decode import open_image, store_image
from vise_core.posts.images.ordinary import PIXEL_SCANS, PIXELS, is_ordinary
from vise_core.posts.images.pixels import decode_pixels

from .corpus import PICTURE
from .picture_files import heic, saved


def png(width: int, height: int, *, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG of zeros, made without holding its pixels."""
    row = b"\0" * (1 + (width * {0: 1, 2: 3, 4: 2, 6: 4}[colour] * bits + 7) // 8)
    packer = zlib.compressobj(9)
    pixels = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]
    return PNG + b"".join(png_chunk(name, data) for name, data in chunks)


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(np.zeros((side, side, 3), np.uint8), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


COSTLY: dict[str, Callable[[], bytes]] = {
    "16 bits, colours": lambda: png(7071, 7071, bits=16, colour=2),
    "grey with alpha": lambda: png(7071, 7071, colour=4),
    "10,000 scans": lambda: many_scans(2000, 10_000),
    "one by 65,500": lambda: png(1, 65_500),
    "a million chunks": lambda: png(8, 8)[:33] + png_chunk(b"tEXt", b"a\0") * 1_000_000 + png(8, 8)[33:],
}


TOO_LONG = "decoding the image takes more than 5 s of processor time; save it as a JPEG, or as a PNG of 8 bits, of fewer pixels"
TOO_LARGE = TOO_LONG.replace("5 s of processor time", "512 MB of memory")
OUTCOMES = {
    "16 bits, colours": {("too_costly", TOO_LARGE)},
    "grey with alpha": {("too_costly", TOO_LARGE)},
    "10,000 scans": {("too_costly", TOO_LONG)},
    "one by 65,500": {("", "")},
    "a million chunks": {("", ""), ("too_costly", TOO_LONG)},  # a fast machine reads them in time
}


def memory_of(process: int) -> int:
    """Largest memory that a process has taken, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize("kind", COSTLY)
@pytest.mark.slow
def test_a_costly_image_is_read_or_rejected_within_the_limits(kind: str) -> None:
    data = COSTLY[kind]()
    helper._end_unused()
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    start = time.process_time()
    try:
        image = open_image(data)
    except BadImage as error:
        reason, message = error.reason, str(error)
    else:
        reason, message = "", ""
        assert image.mode == "RGB"
    assert (reason, message) in OUTCOMES[kind]
    assert time.process_time() - start < 3, "this process only takes the pixels"
    for other in helper._unused:
        assert memory_of(other._process.pid) < helper.MEMORY_BYTES + 100e6
    helper._end_unused()
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < helper.SECONDS + 3, "with its start"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_file_that_ends_anywhere_is_rejected(kind: str) -> None:
    data = saved(PICTURE, kind)
    for length in range(len(data)):
        is_ordinary(data[:length])
    for length in range(1, 48):
        with pytest.raises(BadImage):
            open_image(data[:length])


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"RIFF\0\0\0\0WEBPVP8X", b"\xff\xd8\xff", b""]),
    st.binary(max_size=80),
)
def test_any_bytes_are_judged(start: bytes, rest: bytes) -> None:
    assert is_ordinary(start + rest) in (True, False)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "BMP", "AVIF", "HEIC", "PNG"])
def test_a_helper_gives_the_same_pixels(kind: str) -> None:
    data = heic(PICTURE) if kind == "HEIC" else saved(PICTURE, kind)
    here, there = decode_pixels(data, 10**6), helper.decode_limited(data, 10**6)
    assert np.array_equal(np.asarray(here.image), np.asarray(there.image))
    assert (here.plain, here.repairs) == (there.plain, there.repairs)


def test_a_helper_writes_no_file(tmp_path: Path) -> None:
    write = f"import os; os.write(os.open({str(tmp_path / 'a')!r}, os.O_CREAT | os.O_WRONLY), b'x')"
    code = f"from vise_core.posts.images.helper import _limit; _limit(); {write}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "File too large" in ended.stderr
    assert (tmp_path / "a").read_bytes() == b""


def test_errors_of_a_helper_are_those_of_the_image() -> None:
    for data in (b"GIF89a", b"<svg", b"II*\0" + b"\0" * 30, b"nothing", saved(PICTURE, "TIFF")[:200]):
        with pytest.raises(BadImage) as here:
            decode_pixels(data, 10**6)
        with pytest.raises(BadImage) as there:
            helper.decode_limited(data, 10**6)
        assert (str(here.value), here.value.reason) == (str(there.value), there.value.reason)
    with pytest.raises(BadImage) as raised:
        store_image(saved(PICTURE, "TIFF"), max_pixels=100, max_side=64)
    assert raised.value.reason == "too_large"


def test_threads_and_forks_have_helpers_of_their_own() -> None:
    pictures = [np.full((40, 30, 3), level, np.uint8) for level in range(24)]
    files = [saved(picture, "TIFF") for picture in pictures]

    def same(number: int) -> bool:
        return bool((np.asarray(open_image(files[number])) == pictures[number]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, range(24)))
    assert 1 <= len(helper._unused) <= helper.HELPERS
    own = {one._process.pid for one in helper._unused}
    child = os.fork()
    if child == 0:
        alike = same(3) and not {one._process.pid for one in helper._unused} & own
        helper._end_unused()
        os._exit(0 if alike else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same(5)


@pytest.fixture
def parent() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a helper that decodes for seconds, and the helper's id."""
    code = (
        "import sys, threading, time; from vise_core.posts.images import helper;"
        "h = helper._Helper(); print(h._process.pid, flush=True);"
        "data = sys.stdin.buffer.read(); threading.Thread(target=h.decode, args=(data, 10**9)).start()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"SECRET": "x"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.stdin.write(many_scans(7000, 400))
    process.stdin.close()
    yield process, pid
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_helper_ends_with_its_process_and_sees_none_of_its_settings(parent) -> None:
    process, pid = parent
    assert b"SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10
    while (
        time.monotonic() < end
        and Path(f"/proc/{pid}/cmdline").exists()
        and Path(f"/proc/{pid}/cmdline").read_bytes()
    ):
        time.sleep(0.1)
    assert time.monotonic() < end


def test_what_is_decoded_here_is_bounded_by_its_header() -> None:
    assert is_ordinary(saved(PICTURE, "JPEG"))
    assert is_ordinary(saved(PICTURE, "JPEG", progressive=True))
    assert is_ordinary(saved(PICTURE, "PNG"))
    assert is_ordinary(saved(PICTURE, "WEBP"))
    assert is_ordinary(png(4000, 4000))
    assert not is_ordinary(png(4001, 4000))
    assert PIXELS == 16_000_000
    assert not is_ordinary(png(8, 8, bits=16))
    side = 1000
    assert is_ordinary(many_scans(side, PIXEL_SCANS // side**2 - 20))
    assert not is_ordinary(many_scans(side, PIXEL_SCANS // side**2))
    jpeg = saved(PICTURE, "JPEG")
    for damaged in (
        jpeg[:20],
        jpeg[:2] + b"\0" * 50,
        jpeg[:2] + b"\xff\xe1\0\2" * 5000 + jpeg[2:],
        b"",
        b"RIFF",
    ):
        assert not is_ordinary(damaged)


def test_an_ordinary_image_needs_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "_Helper", lambda: pytest.fail("a helper was started"))
    monkeypatch.setattr(helper, "_unused", [])
    assert open_image(saved(PICTURE, "JPEG")).size == PICTURE.shape[1::-1]


def test_a_helper_that_ended_because_nobody_used_it_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    helper._end_unused()
    monkeypatch.setattr(helper, "IDLE_SECONDS", 0.2)
    open_image(saved(PICTURE, "TIFF"))
    assert [one._process.wait(10) for one in helper._unused] == [0]
    assert open_image(saved(PICTURE, "TIFF")).size == PICTURE.shape[1::-1]
