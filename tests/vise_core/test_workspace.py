"""Whose a workspace is: what may go on in it, what is rejected and why, and what stays of an earlier run."""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from vise_core.errors import BadInput, InputChanged, OtherRun, Stopped
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Result, Spec
from vise_core.specs.compute import DataCompute
from vise_core.specs.stage import InputRole, Stage
from vise_core.specs.stages import STAGES
from vise_core.stage import run_stage


class CountSpec(Spec):
    """Count to ``steps`` with what is in the input."""

    steps: int = 5
    label: str | None = None
    fail_at: int | None = None
    compute: DataCompute = DataCompute()


class CountResult(Result):
    """Artifact: ``counted``."""

    first: int


def count(spec: CountSpec, inputs: dict[str, Path], workspace: Path, reporter: LocalReporter) -> CountResult:
    """Saves its state after each step; leaves a file of its own that it would believe if it were there."""
    state, scratch = workspace / "state", workspace / "scratch.txt"
    first = json.loads((state / "step.json").read_text()) if state.exists() else 0
    assert not state.exists() or [path.name for path in state.iterdir()] == ["step.json"]
    if not scratch.exists():
        scratch.write_text(inputs["words"].read_text() if inputs["words"].is_file() else "folder")
    for step in range(first, spec.steps):
        if step == spec.fail_at:
            raise BadInput("a bad word")
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        (state / "step.json").write_text(json.dumps(step + 1))
        reporter.checkpoint(state)
        if reporter.should_stop():
            raise Stopped(f"stopped after {step + 1}")
    (workspace / "counted").mkdir()
    (workspace / "counted" / f"{spec.steps}.txt").write_text(scratch.read_text())
    reporter.artifact("counted", workspace / "counted")
    return CountResult(first=first)


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))
    entry = Stage(
        name="test-count",
        title="Count",
        help="Count.",
        runner=f"{__name__}:count",
        spec=CountSpec,
        result=CountResult,
        queue="cpu",
        inputs={
            "words": InputRole(help="Words.", artifact="source"),
            "more": InputRole(help="More.", artifact="source", required=False),
        },
        outputs={"counted": "How far."},
        speed_only=("compute.processes",),
    )
    monkeypatch.setitem(STAGES, "test-count", entry)
    monkeypatch.setitem(STAGES, "test-recount", entry)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("one")
    return tmp_path / "words.txt"


class Saves(LocalReporter):
    """Keeps what is checkpointed, as a worker does; stops after so many steps."""

    def __init__(self, folder: Path, steps: int = 10**9) -> None:
        super().__init__(folder)
        self.saved, self.steps = folder / "saved", steps

    def checkpoint(self, path: Path) -> None:
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(path, self.saved)

    def should_stop(self) -> bool:
        self.steps -= 1
        return self.steps <= 0


def run(
    words: Path, work: Path, spec: CountSpec | None = None, *, stop: int = 10**9, **options
) -> CountResult:
    reporter = Saves(work.parent / f"{work.name}-out", stop)
    inputs = {"words": words, **options.pop("more", {})}
    stage = options.pop("stage", "test-count")
    return run_stage(stage, spec or CountSpec(), inputs, work, reporter, **options)


def stopped(words: Path, work: Path, after: int = 2) -> Path:
    """A workspace with a state; the folder that a worker would have kept."""
    with pytest.raises(Stopped):
        run(words, work, stop=after)
    return work.parent / f"{work.name}-out" / "saved"


def test_the_same_run_goes_on(words, tmp_path):
    stopped(words, tmp_path / "work")
    assert run(words, tmp_path / "work").first == 2


def test_a_message_names_all_that_differs(words, tmp_path):
    stopped(words, tmp_path / "work")
    words.write_text("two")
    spec = CountSpec(steps=7, label="new", seed=3)
    with pytest.raises(OtherRun) as caught:
        run(words, tmp_path / "work", spec, more={"more": words})
    message = str(caught.value)
    assert "the input 'words' has another content (SHA-256 7692c3ad3540, now 3fc4ccfe7458)" in message
    assert "the input 'more' was not given before" in message
    assert "spec.steps was 5, now 7" in message
    assert 'spec.label was null, now "new"' in message
    assert "spec.seed was 0, now 3" in message
    assert "--fresh" in message


def test_another_stage_is_rejected(words, tmp_path):
    stopped(words, tmp_path / "work")
    with pytest.raises(OtherRun, match="the stage was test-count, now test-recount"):
        run(words, tmp_path / "work", stage="test-recount")


def test_a_state_of_another_format_is_rejected(words, tmp_path, monkeypatch):
    stopped(words, tmp_path / "work")
    entry = replace(STAGES["test-count"], state_format="2")
    monkeypatch.setitem(STAGES, "test-count", entry)
    with pytest.raises(OtherRun, match="the state's format was '1', now '2'"):
        run(words, tmp_path / "work")


def test_what_changes_only_the_speed_may_differ_and_other_parts_of_compute_may_not(words, tmp_path):
    stopped(words, tmp_path / "work")
    with pytest.raises(OtherRun, match=r'spec\.compute\.device was "auto", now "cpu"'):
        run(words, tmp_path / "work", CountSpec(compute=DataCompute(device="cpu")))
    assert run(words, tmp_path / "work", CountSpec(compute=DataCompute(processes=2))).first == 2


def test_fresh_starts_over_without_anything_of_the_run_before(words, tmp_path):
    stopped(words, tmp_path / "work")
    words.write_text("two")
    assert run(words, tmp_path / "work", fresh=True).first == 0
    assert (tmp_path / "work-out" / "counted" / "5.txt").read_text() == "two"


def test_a_finished_run_is_not_replaced_by_another_one_silently(words, tmp_path):
    run(words, tmp_path / "work")
    shutil.rmtree(tmp_path / "work" / "state")
    with pytest.raises(OtherRun, match=r"belongs to another, finished run: spec\.steps was 5, now 3"):
        run(words, tmp_path / "work", CountSpec(steps=3))
    assert run(words, tmp_path / "work", CountSpec(steps=3), fresh=True).first == 0
    assert [p.name for p in (tmp_path / "work-out" / "counted").iterdir()] == ["3.txt"]


def test_after_a_failure_without_a_state_another_run_may_start(words, tmp_path):
    """A bad file is fixed, and the same command is run again."""
    with pytest.raises(BadInput, match="a bad word"):
        run(words, tmp_path / "work", CountSpec(fail_at=0))
    words.write_text("fixed")
    assert run(words, tmp_path / "work", CountSpec(fail_at=None)).first == 0
    assert (tmp_path / "work-out" / "counted" / "5.txt").read_text() == "fixed"


def test_a_finished_run_is_made_anew_by_other_software(words, tmp_path, monkeypatch):
    run(words, tmp_path / "work")
    assert run(words, tmp_path / "work").first == 5
    monkeypatch.setattr("vise_core.provenance.git_commit", lambda: "another")
    assert run(words, tmp_path / "work").first == 0


def test_a_saved_state_goes_on_elsewhere_and_says_whose_it_is(words, tmp_path):
    saved = stopped(words, tmp_path / "work")
    assert sorted(path.name for path in saved.iterdir()) == ["identity.json", "step.json"]
    shutil.copytree(saved, tmp_path / "other" / "state")
    with pytest.raises(OtherRun, match=r"spec\.steps was 5, now 6"):
        run(words, tmp_path / "other", CountSpec(steps=6))
    assert run(words, tmp_path / "other").first == 2


@pytest.mark.parametrize("damage", ["no identity", "garbage", "changed"])
def test_a_state_that_does_not_say_whose_it_is_is_rejected(words, tmp_path, damage):
    saved = stopped(words, tmp_path / "work")
    identity = saved / "identity.json"
    if damage == "no identity":
        identity.unlink()
    elif damage == "garbage":
        identity.write_text("{")
    else:
        identity.write_text(identity.read_text().replace('"steps": 5', '"steps": 6'))
    shutil.copytree(saved, tmp_path / "other" / "state")
    spec = CountSpec(steps=6) if damage == "changed" else CountSpec()
    with pytest.raises(OtherRun, match=r"state.* unknown run"):
        run(words, tmp_path / "other", spec)
    assert run(words, tmp_path / "other", spec, fresh=True).first == 0


def test_outputs_of_an_unknown_run_are_rejected_and_files_of_the_users_own_stay(words, tmp_path):
    work = tmp_path / "work"
    (work / "counted").mkdir(parents=True)
    (work / "counted" / "stale.txt").write_text("stale")
    (work / "notes.txt").write_text("mine")
    with pytest.raises(OtherRun, match="holds counted of an unknown run"):
        run(words, work)
    run(words, work, fresh=True)
    assert [path.name for path in (tmp_path / "work-out" / "counted").iterdir()] == ["5.txt"]
    (work / "later.txt").write_text("mine too")
    run(words, work, CountSpec(steps=2), fresh=True)
    assert [(work / name).read_text() for name in ("notes.txt", "later.txt")] == ["mine", "mine too"]


def test_inputs_and_results_inside_the_workspace_stay(tmp_path):
    work = tmp_path / "work"
    words = work / "inputs" / "words.txt"
    words.parent.mkdir(parents=True)
    words.write_text("one")
    for steps in (2, 3):
        reporter = LocalReporter(work / "artifacts")
        run_stage("test-count", CountSpec(steps=steps), {"words": words}, work, reporter, fresh=True)
    assert words.read_text() == "one"
    assert [path.name for path in (work / "artifacts" / "counted").iterdir()] == ["3.txt"]


def _count_and_die(words: Path, work: Path) -> None:
    class Dies(LocalReporter):
        def should_stop(self) -> bool:
            os.kill(os.getpid(), signal.SIGKILL)
            return False

    run_stage("test-count", CountSpec(), {"words": words}, work, Dies(work / "out"))


def test_after_a_kill_the_same_run_goes_on_and_another_is_rejected(words, tmp_path):
    child = multiprocessing.get_context("fork").Process(
        target=_count_and_die, args=(words, tmp_path / "work")
    )
    child.start()
    child.join()
    assert child.exitcode == -9
    with pytest.raises(OtherRun, match="belongs to another, unfinished run"):
        run(words, tmp_path / "work", CountSpec(steps=9))
    assert run(words, tmp_path / "work").first == 1


def test_a_workspace_holds_one_process_at_a_time(words, tmp_path, monkeypatch):
    def inner(spec, inputs, workspace, reporter) -> CountResult:
        child = multiprocessing.get_context("fork").Process(target=_try, args=(words, workspace))
        child.start()
        child.join()
        assert child.exitcode == 7
        return CountResult(first=0)

    monkeypatch.setattr("vise_core.stage._load", lambda stage: inner)
    run(words, tmp_path / "work")


def _try(words: Path, work: Path) -> None:
    try:
        run(words, work)
    except BadInput as error:
        os._exit(7 if "another process uses this folder" in str(error) else 8)
    os._exit(0)


def test_a_run_does_not_write_into_its_own_input(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(BadInput, match="would write into its own input 'words'"):
        run(tmp_path / "data", tmp_path / "data" / "out" / "work")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "a.txt").write_text("b"), "a.txt changed"),
        (lambda folder: (folder / "a.txt").unlink(), "a.txt vanished"),
        (lambda folder: (folder / "sub" / "b.txt").write_text("b"), "sub/b.txt appeared"),
    ],
)
@pytest.mark.parametrize("ends", ["well", "stopped", "failed"])
def test_an_input_that_changes_while_the_stage_runs_fails_it(tmp_path, monkeypatch, change, expected, ends):
    folder, work = tmp_path / "data", tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    shutil.copytree(folder, tmp_path / "kept")
    saved = stopped(folder, work)

    def changes(*arguments) -> CountResult:
        change(folder)
        if ends == "failed":
            raise FileNotFoundError("a.txt")
        return count(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("vise_core.stage._load", lambda stage: changes)
        with pytest.raises(
            InputChanged, match=f"the input 'words' has changed since the run started: .*{expected}"
        ):
            run(folder, work, stop=1 if ends == "stopped" else 10**9)
    assert not (tmp_path / "work-out" / "counted").exists()
    # Also once the files are again what they were, nothing goes on from what was read meanwhile.
    assert [path.name for path in saved.iterdir()] == ["identity.json"]
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    shutil.copytree(saved, tmp_path / "other" / "state")
    assert run(folder, tmp_path / "other").first == 0
    assert run(folder, work).first == 0


def test_the_clock_does_not_run_while_inputs_are_hashed(words, tmp_path, monkeypatch):
    def slow(path, **_):
        import time

        time.sleep(0.3)
        return original(path)

    from vise_core.files import hashing

    original = hashing.Snapshot.take
    monkeypatch.setattr("vise_core.stage.Snapshot.take", slow)
    result = run(words, tmp_path / "work")
    assert result.provenance.wall_seconds < 0.2
    assert result.provenance.inputs == {"words": hashing.file_sha256(words)}


def test_hashes_that_the_caller_knows_are_trusted(words, tmp_path, monkeypatch):
    monkeypatch.setattr("vise_core.stage.Snapshot.take", lambda *_, **__: pytest.fail("hashed"))
    result = run(words, tmp_path / "work", input_hashes={"words": "ab" * 32})
    assert result.provenance.inputs == {"words": "ab" * 32}


def test_an_artifact_replaces_the_one_before_whole(tmp_path):
    reporter = LocalReporter(tmp_path / "out")
    for names in (("a", "b"), ("b",)):
        folder = tmp_path / "made" / str(len(names))
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(str(len(names)))
        reporter.artifact("posts", folder)
    assert {p.name: p.read_text() for p in (tmp_path / "out" / "posts").iterdir()} == {"b": "1"}
    (tmp_path / "report.json").write_text("{}")
    reporter.artifact("report", tmp_path / "report.json")
    reporter.artifact("report", tmp_path / "out" / "report.json")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["posts", "report.json"]
