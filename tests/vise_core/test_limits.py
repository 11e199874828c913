"""What reading one file takes of a process is bounded, with an error that names the file; afterwards nothing is."""

import resource
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vise_core import limits
from vise_core.data import fetch, survey
from vise_core.errors import BadInput
from vise_core.evaluate import stage
from vise_core.limits import limited
from vise_core.models import import_stage
from vise_core.posts import ingest
from vise_core.reporter import NullReporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.setups import RandomWeights
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.import_weights import ImportSpec
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.posts.sources import JsonlSource
from vise_core.specs.survey import SurveySpec
from vise_core.specs.tasks.kinds import FolderTask

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


def _endless(*_: object, **__: object) -> None:
    while True:
        try:
            sum(range(1000))
        except Exception:
            raise AssertionError from None


@pytest.mark.parametrize(
    ("read", "seconds", "reason"),
    [(_take_memory, 60.0, "2,048 MB of memory"), (_endless, 0.0, "0 s of processor time")],
)
def test_surveys_ingest_and_evaluations_read_within_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., None], seconds: float, reason: str
) -> None:
    monkeypatch.setattr(limits, "DATA_SECONDS", seconds)
    folder = tmp_path / "posts"
    folder.mkdir()
    (folder / "posts.jsonl").write_text("{}\n")
    spec = IngestSpec(source=JsonlSource())
    monkeypatch.setattr(ingest, "_write_shards", read)
    with pytest.raises(BadInput, match=f"reading it takes more than {reason}"):
        ingest.run(spec, {"source": folder}, tmp_path / "w", NullReporter())
    monkeypatch.setattr(survey, "survey_posts", read)
    with pytest.raises(BadInput, match=f"reading it takes more than {reason}"):
        survey.run(SurveySpec(kind="posts"), {"dataset": folder}, tmp_path / "w", NullReporter())
    monkeypatch.setattr(survey, "task_of", read)
    with pytest.raises(BadInput, match=f"reading it takes more than {reason}"):
        survey.run(SurveySpec(kind="images"), {"dataset": folder}, tmp_path / "w", NullReporter())
    monkeypatch.setattr(stage, "open_task", read)
    evaluation = EvaluateSpec(task=FolderTask(), weights=RandomWeights(backbone="resnet18"))
    with pytest.raises(BadInput, match=f"reading it takes more than {reason}"):
        stage.run(evaluation, {"dataset": folder}, tmp_path / "w", NullReporter())


def test_large_sets_may_take_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    granted: dict[str, float] = {}
    monkeypatch.setattr(limits, "limited", lambda _, **bounds: granted.update(bounds))
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**30)
    limits.limited_data([tmp_path / "a"] * 1_000)
    assert granted["memory"] == 2 * 2**30 + 2**30 + 4096 * 1_000
    assert granted["seconds"] == pytest.approx(120 + 1_000 * 2**30 / 20_000)


@pytest.mark.parametrize(
    ("packed", "minutes"), [(10_000, 1), (10_000_000, 2.5), (250_000_000, 35), (20 * 2**30, 107)]
)
def test_the_processor_time_of_unpacking_is_what_the_docs_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: int, minutes: float
) -> None:
    granted: dict[str, float] = {}
    monkeypatch.setattr(fetch, "limited", lambda _, **bounds: granted.update(bounds))
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        file.truncate(packed)
    fetch._limited(archive, FetchSpec(kind="posts"))
    assert granted["seconds"] / 60 == pytest.approx(minutes, rel=0.05)
