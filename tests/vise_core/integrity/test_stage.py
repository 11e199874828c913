"""The stage over real posts, labels and a task: what is planted is found, shown in pictures, and nothing else."""

import csv
import io
import json
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from vise_core.errors import BadInput, Stopped
from vise_core.posts.exclusions import read_ids
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.integrity import CHECKS, IntegrityResult, IntegritySpec
from vise_core.specs.label import LabelSpec
from vise_core.stage import run_stage

SPEC = IntegritySpec.model_validate({"task": {"kind": "csv"}})


def check(spec: IntegritySpec, inputs: dict[str, Path], out: Path) -> tuple[IntegrityResult, LocalReporter]:
    reporter = LocalReporter(out / "artifacts")
    result = run_stage("integrity", spec, inputs, out / "work", reporter)
    assert isinstance(result, IntegrityResult)
    return result, reporter


@pytest.fixture
def task(csv_task, sample_jpegs):
    parts = ["train"] * 20 + ["val"] * 5 + ["test"] * 10
    return csv_task([(sample_jpegs[n], "ab"[n % 2], part) for n, part in enumerate(parts)])


@pytest.fixture
def posts(sample_jpegs, write_posts, copies) -> Path:
    """30 posts: two with a file of the test set, one with a copy of it, one with a copy of a training image."""

    def copy(source: int, kind: str) -> bytes:
        return copies[kind](Image.open(io.BytesIO(sample_jpegs[source])), Random(0))

    posts = [(f"p{n}", sample_jpegs[100 + n]) for n in range(30)]
    posts[4] = ("p4", sample_jpegs[25])
    posts[17] = ("p17", sample_jpegs[26])
    posts[18] = ("p18", copy(27, "5 % cut off the left"))
    posts[29] = ("p29", copy(2, "flipped"))
    return write_posts(posts, 12)


def label_rows(ids: list[str]) -> list[tuple[str, list[int], int | None]]:
    return [(post_id, [n % 4], n % 3) for n, post_id in enumerate(ids)]


def test_test_images_among_the_posts_are_found(task, posts, tmp_path) -> None:
    result, reporter = check(SPEC, {"dataset": task.root, "posts": posts}, tmp_path)
    checked = result.report.check("pretraining_overlap")
    assert checked.verdict == "failed"
    assert result.posts == 30
    assert checked.counts["affected"] == 3
    assert checked.counts["images_seen"] == 4
    assert checked.counts["images_seen_identical"] == 2
    assert [(e.first, e.second, e.kind, e.where) for e in checked.examples] == [
        ("0025.jpg", "p4", "identical", "test / post"),
        ("0026.jpg", "p17", "identical", "test / post"),
        ("0027.jpg", "p18", "copy", "test / post"),
        ("0002.jpg", "p29", "mirrored copy", "train or val / post"),
    ]
    for example in checked.examples:
        with Image.open(reporter.artifacts["pairs"] / example.picture) as strip:
            assert strip.size == (338, 172)
    # The list is whole however few examples are shown; p29 is a copy of a training image.
    few, told = check(
        SPEC.model_copy(update={"examples": 1}), {"dataset": task.root, "posts": posts}, tmp_path / "few"
    )
    assert read_ids(told.artifacts["integrity"]) == ["p4", "p17", "p18"]
    assert few.copied_posts == result.copied_posts == 3
    table = list(csv.DictReader((told.artifacts["pairs"] / "copies.csv").open()))
    assert [(row["post_id"], row["image"], row["reported"]) for row in table] == [
        ("p4", "0025.jpg", "1"),
        ("p17", "0026.jpg", "1"),
        ("p18", "0027.jpg", "1"),
        ("p29", "0002.jpg", "0"),
    ]
    left, right = strip_halves(reporter.artifacts["pairs"] / checked.examples[0].picture)
    assert left == right, "the same file is shown twice"
    assert result.synthetic


def strip_halves(path: Path) -> tuple[bytes, bytes]:
    with Image.open(path) as strip:
        return strip.crop((6, 6, 166, 166)).tobytes(), strip.crop((172, 6, 332, 166)).tobytes()


def test_only_posts_with_a_label_count(task, posts, write_labels, tmp_path) -> None:
    kept = [f"p{n}" for n in range(30) if n not in (4, 18)]
    labels = write_labels([label_rows(kept[:11]), label_rows(kept[11:22]), label_rows(kept[22:])])
    result, _ = check(SPEC, {"dataset": task.root, "posts": posts, "labels": labels}, tmp_path)
    checked = result.report.check("pretraining_overlap")
    assert result.posts == 28
    assert [e.second for e in checked.examples] == ["p17", "p29"]


def test_labels_of_other_posts_are_refused(task, posts, write_labels, tmp_path) -> None:
    labels = write_labels([label_rows(["p0"])])
    with pytest.raises(BadInput, match="labels are of other posts"):
        check(SPEC, {"dataset": task.root, "posts": posts, "labels": labels}, tmp_path)


def test_without_perceptual_only_equal_files_are_found(task, posts, tmp_path) -> None:
    spec = SPEC.model_copy(update={"perceptual": False})
    result, _ = check(spec, {"dataset": task.root, "posts": posts}, tmp_path)
    assert result.report.check("pretraining_overlap").counts["images_seen"] == 2
    assert result.report.check("split_near_duplicates").verdict == "not_run"


def test_every_check_has_its_place_and_what_is_not_given_is_not_run(task, tmp_path) -> None:
    result, reporter = check(SPEC, {"dataset": task.root}, tmp_path)
    assert [c.name for c in result.report.checks] == list(CHECKS)
    assert [c.verdict for c in result.report.checks] == ["ok"] * 3 + ["not_run"] * 3
    assert "The run has no input posts: add one" in result.report.check("pretraining_overlap").sentence
    written = json.loads(reporter.artifacts["integrity"].read_text())
    assert IntegrityResult.model_validate(written).report == result.report
    assert result.headline() == {"failed": 0, "warning": 0, "not_run": 3}


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> dict[str, Path]:
    """The real chain: ingest, cluster and label of sample data."""
    out = tmp_path_factory.mktemp("chain")
    reporter = LocalReporter(out / "artifacts")
    source = {"kind": "sample", "posts": 150, "evaluation_images": 300}
    run_stage("ingest", IngestSpec.model_validate({"source": source}), {}, out / "ingest", reporter)
    spec = {
        "subset": {"cluster_fraction": 0.4},
        "comments": {"kmeans": {"k": 12}},
        "reactions": {"kmeans": {"k": 4}},
    }
    posts = reporter.artifacts["posts"]
    run_stage("cluster", ClusterSpec.model_validate(spec), {"posts": posts}, out / "cluster", reporter)
    inputs = {"posts": posts, "clusterer": reporter.artifacts["clusterer"]}
    run_stage("label", LabelSpec(), inputs, out / "label", reporter)
    return reporter.artifacts


@pytest.mark.slow
def test_the_sample_data_are_clean(chain, tmp_path) -> None:
    inputs = {name: chain[name] for name in ("posts", "labels", "clusterer")}
    result, reporter = check(IntegritySpec(), inputs | {"dataset": chain["evaluation_set"]}, tmp_path)
    assert {c.name: c.verdict for c in result.report.checks} == dict.fromkeys(CHECKS, "ok")
    facts = json.loads((chain["labels"] / "labels.json").read_text())
    assert result.report.check("cluster_leak").counts["posts"] == facts["posts"]
    assert any("None of the" in message for message in reporter.messages)


def test_posts_of_the_cluster_subset_with_a_label_are_a_leak(chain, tmp_path) -> None:
    """The same labels under another rule: about 40 % of them should not be there."""
    from vise_core.formats.labels import label_batches
    from vise_core.posts.subsets import in_cluster_subset
    from vise_core.specs.posts.subset import SubsetSpec

    rule = SubsetSpec(cluster_fraction=0.4, seed=1)
    spec = IntegritySpec(subset=rule, examples=3)
    inputs = {"dataset": chain["evaluation_set"], "labels": chain["labels"]}
    result, _ = check(spec, inputs, tmp_path)
    leak = result.report.check("cluster_leak")
    ids = [i for batch in label_batches(chain["labels"]) for i in batch["post_id"].to_pylist()]
    leaked = [i for i in ids if in_cluster_subset(i, rule)]
    assert leak.verdict == "failed"
    assert leak.counts["leaked"] == len(leaked) > 10
    assert [e.first for e in leak.examples] == leaked[:3]


def test_without_the_rule_the_leak_cannot_be_judged(chain, tmp_path) -> None:
    inputs = {"dataset": chain["evaluation_set"], "labels": chain["labels"]}
    result, _ = check(IntegritySpec(), inputs, tmp_path)
    assert result.report.check("cluster_leak").verdict == "not_run"
    assert result.report.check("pretraining_balance").verdict == "ok"


def test_a_stopped_check_goes_on_with_what_is_hashed(task, posts, own_cache, tmp_path) -> None:
    inputs = {"dataset": task.root, "posts": posts}
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped):
        run_stage("integrity", SPEC, inputs, tmp_path / "work", reporter)
    result, _ = check(SPEC, inputs, tmp_path / "again")
    assert len(list(own_cache.iterdir())) == 4, "the task and three shards"
    quiet = LocalReporter(tmp_path / "quiet", stop=True)
    again = run_stage("integrity", SPEC, inputs, tmp_path / "third", quiet)
    assert again.report == result.report, "nothing is hashed any more, so nothing asks to stop"
