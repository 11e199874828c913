"""The stage ``fetch``: import a data set from an upload or a URL, and survey it."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vise_core.errors import BadInput
from vise_core.files.download import download
from vise_core.limits import limited
from vise_core.reporter import Reporter
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.survey import SurveyResult

from .archives import Unpacked, is_archive, most_of_archive, unpack
from .layout import unwrapped
from .public_addresses import allowed_networks, public_connect
from .survey import survey

MEMORY_BYTES = 2**30
SECONDS = 60.0
PACKED_BYTES_PER_SECOND = 5_000_000
BYTES_PER_SECOND = 50_000_000
FILES_PER_SECOND = 2_000
PACKED_FILE_BYTES = 100
"""What unpacking may take of memory and processor time; see docs/security.md. Slowest are bzip2, by what is packed, and
many small files, of which each takes at least ``PACKED_FILE_BYTES`` of the archive."""


def run(spec: FetchSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> SurveyResult:
    """Run the stage; artifacts ``data`` (the unpacked files) and ``survey``.

    Raises BadInput unless exactly one of a URL and an archive is given, and the errors of unpacking and downloading.
    """
    if (spec.url is None) == ("archive" not in inputs):
        raise BadInput("url: give either an address or an uploaded archive as input")
    folder = workspace / "data"
    # Begun anew after a stop: half an archive is worth nothing.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if spec.url is None:
        packed = _only_file(inputs["archive"])
    else:
        packed = workspace / _file_name(spec.url)
        _download(spec, packed, reporter)
    unpacked = Unpacked()
    if is_archive(packed) and spec.kind != "weights":

        def progress(done: int) -> None:
            reporter.progress(done, None, "files", phase="unpacking")

        with _limited(packed, spec):
            unpacked = unpack(packed, folder, spec.limits, progress)
        reporter.log(f"{unpacked.files:,} files unpacked.")
    elif spec.kind == "weights":
        shutil.copyfile(packed, folder / packed.name)
    else:
        raise BadInput(f"{packed.name}: neither a zip nor a tar archive")
    data = unwrapped(folder)
    result = survey(data, spec.kind, spec.samples, True, workspace, reporter, unpacked)
    reporter.artifact("data", data)
    return result


def _limited(packed: Path, spec: FetchSpec) -> AbstractContextManager[None]:
    size = packed.stat().st_size
    most = most_of_archive(size, spec.limits)
    files = min(spec.limits.files, size // PACKED_FILE_BYTES)
    return limited(
        packed.name,
        # Each file of the list of a zip takes up to 1 KiB; a zip with wrongly marked names is copied.
        memory=MEMORY_BYTES + 1024 * spec.limits.files + size,
        seconds=SECONDS + size / PACKED_BYTES_PER_SECOND + most / BYTES_PER_SECOND + files / FILES_PER_SECOND,
        file_bytes=most,
    )


def _download(spec: FetchSpec, target: Path, reporter: Reporter) -> None:
    assert spec.url is not None

    def progress(done: int, total: int | None) -> None:
        reporter.progress(done, total, "bytes", phase="downloading")

    if spec.sha256 is None:
        reporter.log("No SHA-256 was given: the download is not verified.", level="warning")
    sha256 = download(
        spec.url,
        target,
        sha256=spec.sha256,
        max_bytes=spec.download_bytes,
        connect=public_connect(allowed_networks()),
        progress=progress,
        should_stop=reporter.should_stop,
    )
    reporter.log(f"Downloaded {target.stat().st_size:,} bytes, SHA-256 {sha256}.")


def _only_file(path: Path) -> Path:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    if len(files) != 1:
        raise BadInput(f"archive: one file is expected, not {len(files)}")
    return files[0]


def _file_name(url: str) -> str:
    """Return a safe file name from the last part of a URL."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    kept = "".join(c for c in last if c.isalnum() or c in "._-").lstrip(".")
    return kept[-100:] or "download"
