"""A training killed in mid-epoch and resumed is, to the bit, the training that nobody killed."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from vise_core.errors import BadInput, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.pretrain import PretrainSpec
from vise_core.stage import run_stage
from vise_core.training.state import SavedState

SPEC = {
    "backbone": "resnet18",
    "epochs": 3,
    "batch": 8,
    "image_size": 32,
    "log_every": 1,
    "checkpoint_seconds": 0.0001,
    "compute": {"device": "cpu"},
}
# On two processes the shuffle has a random stream of its own to go on with.
MOCO = {
    "objective": "moco-v2",
    "epochs": 2,
    "moco": {"queue": 24, "momentum": 0.9, "dim": 16},
    "compute": {"device": "cpu", "processes": 2},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real shards of 42 sample posts, and labels in the published layout: two heads, both with gaps."""
    folder = tmp_path_factory.mktemp("inputs")
    reporter = LocalReporter(folder)
    source = {"kind": "sample", "posts": 42, "evaluation_images": 60, "image_size": 32}
    spec = IngestSpec.model_validate({"source": source, "posts_per_shard": 20})
    run_stage("ingest", spec, {}, folder / "work", reporter)
    index = ShardIndex.open(reporter.artifacts["posts"])
    labels = folder / "labels"
    labels.mkdir()
    schema = pa.schema(
        [
            ("post_id", pa.string()),
            ("key", pa.string()),
            ("comment_labels", pa.list_(pa.int32())),
            ("reaction_label", pa.int32()),
        ]
    )
    start = 0
    for number, shard in enumerate(index.shards):
        rows = []
        for i in range(start, start + shard.posts):
            post = index.read_post(i)
            row = {
                "post_id": post.id,
                "key": post.key,
                "comment_labels": [i % 5, (i * i) % 5] if i % 7 else [],
            }
            rows.append(row | {"reaction_label": i % 3 if i % 5 else None})
        rows = [row for row in rows if row["comment_labels"] or row["reaction_label"] is not None]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), labels / f"shard-{number:06d}.parquet")
        start += shard.posts
    facts = {"format": "vise-labels-1", "comment_clusters": 5, "reaction_clusters": 3, "posts": 40}
    (labels / "labels.json").write_text(json.dumps(facts | {"synthetic": True, "shuffled": False}))
    return {"posts": reporter.artifacts["posts"], "labels": labels}


class Recorder(LocalReporter):
    """Appends each point to a file, so that those told before a kill are known; dies when told to."""

    def __init__(self, folder: Path, kill_at: int | None = None) -> None:
        super().__init__(folder)
        self.kill_at = kill_at

    def metrics(self, step: int, values, *, epoch: float | None = None) -> None:
        super().metrics(step, values, epoch=epoch)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "points.jsonl").open("a") as file:
            file.write(
                json.dumps([step, {k: v for k, v in values.items() if k != "images_per_second"}]) + "\n"
            )
        if step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def points(folder: Path) -> dict[int, dict[str, float]]:
    """{step: values}; a step that was told twice must have been told alike."""
    found: dict[int, dict[str, float]] = {}
    for line in (folder / "points.jsonl").read_text().splitlines():
        step, values = json.loads(line)
        assert found.setdefault(step, values) == values, f"step {step} differs after the kill"
    return found


def pretrain(inputs: dict[str, Path], folder: Path, kill_at: int | None = None, **spec: object) -> None:
    torch.set_num_threads(1)
    reporter = Recorder(folder / "artifacts", kill_at)
    run_stage("pretrain", PretrainSpec.model_validate(SPEC | spec), inputs, folder / "work", reporter)


def in_a_process(*arguments: object, **spec: object) -> int | None:
    # Forks of a process that has imported torch: a new interpreter would import it for seconds.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["vise_core.pretrain.stage"])
    child = processes.Process(target=pretrain, args=arguments, kwargs=spec)
    child.start()
    child.join(120)
    return child.exitcode


@pytest.mark.parametrize("spec", [{}, MOCO], ids=["vise", "moco-v2"])
def test_killed_in_mid_epoch_and_resumed_equals_not_killed(inputs, tmp_path, spec) -> None:
    assert in_a_process(inputs, tmp_path / "whole", **spec) == 0
    whole = points(tmp_path / "whole" / "artifacts")
    middle = sorted(whole)[len(whole) // 2]
    assert in_a_process(inputs, tmp_path / "killed", middle, **spec) == -signal.SIGKILL
    assert (tmp_path / "killed" / "work" / "state").exists()
    assert in_a_process(inputs, tmp_path / "killed", **spec) == 0

    assert points(tmp_path / "killed" / "artifacts") == whole
    for name in ("backbone", "heads"):
        one, other = (
            load_file(tmp_path / run / "artifacts" / "checkpoint" / f"{name}.safetensors")
            for run in ("whole", "killed")
        )
        assert one.keys() == other.keys()
        assert all((one[key] == other[key]).all() for key in one)
    # The last state: of MoCo-v2 also the key encoder, the queue, its pointer and the shuffle's stream.
    one, other = (
        SavedState(tmp_path / run / "work", LocalReporter(tmp_path)).load("training")["network"]
        for run in ("whole", "killed")
    )
    assert ({"queue", "pointer", "_extra_state", "key.1.0.weight"} <= one.keys()) == bool(spec)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_stop_saves_the_state_first(inputs, tmp_path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped):
        run_stage("pretrain", PretrainSpec.model_validate(SPEC), inputs, tmp_path / "work", reporter)
    assert (tmp_path / "work" / "state").exists()


@pytest.mark.slow
def test_heads_are_those_of_the_signals_asked_for(inputs, tmp_path) -> None:
    pretrain(inputs, tmp_path, signals=["reactions"], epochs=1)
    heads = load_file(tmp_path / "artifacts" / "checkpoint" / "heads.safetensors")
    assert {key.split(".")[0] for key in heads} == {"reactions"}
    assert all("comments" not in key for values in points(tmp_path / "artifacts").values() for key in values)


def test_a_batch_larger_than_the_posts_is_explained(inputs, tmp_path) -> None:
    with pytest.raises(BadInput, match="batch"):
        pretrain(inputs, tmp_path, batch=1000)
