"""``vise run --local`` twice into one folder: the right result, or a rejection that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from vise_client.cli import app, main
from vise_core.errors import BadInput, OtherRun
from vise_core.files.hashing import tree_sha256


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_posts(folder: Path, posts: int, seed: int) -> Path:
    (folder / "images").mkdir(parents=True)
    random, lines = np.random.default_rng(seed), []
    for number in range(posts):
        pixels = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        row = {
            "id": f"{seed}-{number}",
            "image": f"{number}.png",
            "comments": ["so sad"],
            "reactions": {"wow": 1},
        }
        lines.append(json.dumps(row))
    (folder / "posts.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def vise(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments, "--local"])


def ingest(source: Path, *more: str) -> Result:
    return vise("ingest", "--input", f"source={source}", *more)


def tree(out: Path) -> tuple[str, dict]:
    """(digest of the artifacts, result without provenance)."""
    result = json.loads((out / "result.json").read_bytes())
    return tree_sha256(out / "artifacts"), {k: v for k, v in result.items() if k != "provenance"}


def test_another_source_in_the_default_folder_is_rejected_and_fresh_replaces_everything(tmp_path):
    one, two = write_posts(tmp_path / "one", 6, 1), write_posts(tmp_path / "two", 4, 2)
    size = ("--set", "posts_per_shard=2")
    assert ingest(one, *size).exit_code == 0
    before = tree(Path("vise-out"))
    rejected = ingest(two, *size)
    assert isinstance(rejected.exception, OtherRun)
    assert "the input 'source' has another content" in str(rejected.exception)
    assert "--fresh" in str(rejected.exception)
    assert tree(Path("vise-out")) == before
    assert ingest(two, *size, "--fresh").exit_code == 0
    assert ingest(two, *size, "--out", "clean").exit_code == 0
    assert tree(Path("vise-out")) == tree(Path("clean"))
    assert json.loads((tmp_path / "vise-out" / "result.json").read_bytes())["posts"] == 4


def test_the_same_again_gives_the_same(tmp_path):
    one = write_posts(tmp_path / "one", 6, 1)
    assert ingest(one).exit_code == 0
    before = tree(Path("vise-out"))
    assert ingest(one).exit_code == 0
    assert tree(Path("vise-out")) == before


def test_artifacts_that_the_new_run_does_not_make_go_with_the_old_run(tmp_path):
    sample = (
        "--set",
        "source.kind=sample",
        "--set",
        "source.posts=10",
        "--set",
        "source.evaluation_images=60",
    )
    assert vise("ingest", *sample).exit_code == 0
    (tmp_path / "vise-out" / "artifacts" / "notes.txt").write_text("mine")
    assert (tmp_path / "vise-out" / "artifacts" / "evaluation_set").exists()
    one = write_posts(tmp_path / "one", 3, 1)
    assert ingest(one, "--fresh").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "vise-out" / "artifacts").iterdir())
    assert names == ["notes.txt", "posts", "report.json"]


def test_a_run_that_fails_leaves_no_result_of_the_run_before(tmp_path):
    assert ingest(write_posts(tmp_path / "one", 3, 1)).exit_code == 0
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "posts.jsonl").write_text("")
    assert isinstance(ingest(tmp_path / "empty", "--fresh").exception, BadInput)
    assert not (tmp_path / "vise-out" / "result.json").exists()
    assert list((tmp_path / "vise-out" / "artifacts").iterdir()) == []


def test_results_of_an_older_version_are_rejected(tmp_path):
    (tmp_path / "vise-out" / "artifacts" / "clusterer").mkdir(parents=True)
    one = write_posts(tmp_path / "one", 3, 1)
    assert "belongs to no known run" in str(ingest(one).exception)
    assert ingest(one, "--fresh").exit_code == 0
    assert not (tmp_path / "vise-out" / "artifacts" / "clusterer").exists()


def test_a_run_does_not_replace_what_it_reads(tmp_path):
    assert ingest(write_posts(tmp_path / "one", 3, 1)).exit_code == 0
    posts = tmp_path / "vise-out" / "artifacts" / "posts"
    for fresh in ((), ("--fresh",)):
        result = vise("survey", "--set", "kind=posts", "--input", f"dataset={posts}", *fresh)
        assert "choose another folder with --out" in str(result.exception)
    assert posts.exists()


RECIPE = """
title: Two steps
steps:
  posts: {stage: ingest, spec: {source: {kind: sample, posts: 20, evaluation_images: 60, image_size: 32}}}
  look: {stage: survey, spec: {kind: images, samples: SAMPLES}, inputs: {dataset: {step: posts, artifact: evaluation_set}}}
"""


def test_a_recipe_goes_on_and_another_one_is_rejected(tmp_path):
    (tmp_path / "a.yaml").write_text(RECIPE.replace("SAMPLES", "4"))
    (tmp_path / "b.yaml").write_text(RECIPE.replace("SAMPLES", "2"))
    (tmp_path / "c.yaml").write_text(RECIPE.replace("SAMPLES", "2").replace("look:", "see:"))
    assert vise("a.yaml").exit_code == 0
    before = [tree(tmp_path / "vise-out" / step) for step in ("posts", "look")]
    assert vise("a.yaml").exit_code == 0
    assert [tree(tmp_path / "vise-out" / step) for step in ("posts", "look")] == before
    assert "spec.samples was 4, now 2" in str(vise("b.yaml").exception)
    assert "holds the step 'look' of another recipe" in str(vise("c.yaml").exception)
    assert vise("c.yaml", "--fresh").exit_code == 0
    assert not (tmp_path / "vise-out" / "look").exists()
    assert vise("c.yaml", "--out", "clean").exit_code == 0
    assert tree(tmp_path / "vise-out" / "see") == tree(tmp_path / "clean" / "see")
    one = write_posts(tmp_path / "one", 3, 1)
    assert "holds the steps of a recipe" in str(ingest(one, "--fresh").exception)


def test_fresh_is_for_local_runs():
    result = CliRunner().invoke(app, ["run", "ingest", "--fresh"])
    assert result.exit_code == 2
    assert "--fresh" in result.output


def test_a_rejection_is_one_sentence_at_the_command_line(tmp_path, monkeypatch):
    assert ingest(write_posts(tmp_path / "one", 3, 1)).exit_code == 0
    two = write_posts(tmp_path / "two", 3, 2)
    monkeypatch.setattr("sys.argv", ["vise", "run", "ingest", "--local", "--input", f"source={two}"])
    with pytest.raises(SystemExit, match=r"^vise: vise-out/work belongs to another, finished run: "):
        main()
