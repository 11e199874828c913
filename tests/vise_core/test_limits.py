"""What reading one file takes of a process is bounded, with an error that names the file; afterwards nothing is."""

import resource
import sys
import zipfile
from pathlib import Path

import pytest

from vise_core.data import fetch
from vise_core.errors import BadInput
from vise_core.limits import limited
from vise_core.models import import_stage
from vise_core.reporter import NullReporter
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.import_weights import ImportSpec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
KINDS = (resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)
ROOM = {"memory": 2**30, "seconds": 60.0, "file_bytes": 2**30}


@pytest.fixture(autouse=True)
def unchanged():
    before = [resource.getrlimit(kind) for kind in KINDS]
    yield
    assert [resource.getrlimit(kind) for kind in KINDS] == before


def test_memory() -> None:
    with (
        pytest.raises(BadInput, match=r"a\.zip: reading it takes more than 64 MB of memory"),
        limited("a.zip", **ROOM | {"memory": 64 * 2**20}),
    ):
        bytearray(256 * 2**20)
    bytearray(256 * 2**20)


def test_processor_time() -> None:
    def read() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                raise AssertionError from None

    with (
        pytest.raises(BadInput, match=r"a\.zip: reading it takes more than 0 s of processor time"),
        limited("a.zip", **ROOM | {"seconds": 0.0}),
    ):
        read()


def test_size_of_a_file(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match="more than 1,000 bytes of one file"),
        limited("a.zip", **ROOM | {"file_bytes": 1000}),
    ):
        (tmp_path / "a").write_bytes(bytes(2000))
    (tmp_path / "a").write_bytes(bytes(2000))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), limited("a.zip", **ROOM):
        (tmp_path / "a").read_bytes()


def _take_memory(*_: object, **__: object) -> None:
    bytearray(16 * 2**30)


def test_archives_and_checkpoints_are_read_within_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/1.txt", "x")
    monkeypatch.setattr(fetch, "unpack", _take_memory)
    with pytest.raises(BadInput, match=r"a\.zip: reading it takes more than 2,977 MB of memory"):
        fetch.run(FetchSpec(kind="posts"), {"archive": archive}, tmp_path / "w", NullReporter())
    monkeypatch.setattr(import_stage, "read_published", _take_memory)
    with pytest.raises(BadInput, match=r"a\.zip: reading it takes more than 2,048 MB of memory"):
        import_stage.run(ImportSpec(), {"file": archive}, tmp_path / "w", NullReporter())
