"""docs/your-own-data.md: every command of the page, run in order on a CSV and a folder of pictures."""

import csv
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vise_client.cli import app

pytestmark = pytest.mark.slow


PAGE = Path(__file__).parents[1] / "docs" / "your-own-data.md"
POSTS, LABELLED, SHARED = 240, 90, 20
REACTIONS = {"haha": "haha", "sad": "sorry", "angry": "angry", "wow": "wow", "love": "love"}
"""Column of posts.csv: name in the sample posts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's ``mydata``, made of sample posts; the first labelled pictures are posts' too."""
    root = tmp_path_factory.mktemp("own")
    made = CliRunner().invoke(
        app, ["sample-data", "--posts", str(POSTS), "--evaluation-images", str(LABELLED), "--seed", "3",
              "--out", str(root / "sample")], catch_exceptions=False,
    )  # fmt: skip
    assert made.exit_code == 0
    photos = root / "mydata" / "photos"
    photos.mkdir(parents=True)
    names = []
    for number, picture in enumerate(sorted((root / "sample" / "evaluation").glob("[a-z]*/*.jpg"))):
        if picture.parent.name == "masks":
            continue
        name = "beach.jpg" if number == 0 else f"{picture.parent.name} {number:02d}.jpg"
        shutil.copy(picture, photos / name)
        names.append((f"photos/{name}", picture.parent.name))
    assert len(names) == LABELLED
    with (root / "mydata" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "mood"), *names])
    posts = [json.loads(line) for line in (root / "sample" / "posts.jsonl").read_text().splitlines()]
    with (root / "mydata" / "posts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "image", "comments", *REACTIONS))
        for number, post in enumerate(posts):
            image = f"photos/post {number}.jpg"
            shutil.copy(root / "sample" / "images" / post["image"], root / "mydata" / image)
            # Some posts show labelled pictures: the integrity check of the page has something to find.
            shown = names[number][0] if number < SHARED else image
            counts = [post["reactions"][name] for name in REACTIONS.values()]
            rows.writerow((post["id"], shown, json.dumps(post["comments"]), *counts))
    shutil.rmtree(root / "sample")
    return root


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith("vise ")]


@pytest.fixture(scope="module")
def outputs(folder: Path) -> Iterator[dict[str, str]]:
    """What each command of the page printed, all run in order as they stand there."""
    for block in blocks("yaml"):
        name = block.splitlines()[0].removeprefix("# ")
        (folder / name).write_text(block)
    before = Path.cwd()
    os.chdir(folder)
    printed: dict[str, str] = {}
    try:
        for command in commands():
            done = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
            assert done.exit_code == 0, f"{command}\n{done.output}"
            printed[command] = printed.get(command, "") + done.output
        yield printed
    finally:
        os.chdir(before)


def output(outputs: dict[str, str], part: str) -> str:
    (found,) = (text for command, text in outputs.items() if part in command)
    return found


def test_the_page_has_the_commands_from_a_csv_to_a_predictor(outputs: dict[str, str]) -> None:
    parts = (
        "run survey",
        "run ingest ",
        "run pretrain",
        "report --local",
        "predict --predictor",
        "ingest-peek",
    )
    for part in parts:
        assert any(part in command for command in outputs), part


def test_the_survey_proposes_the_task_of_the_page(folder: Path, outputs: dict[str, str]) -> None:
    task = json.loads((folder / "out/survey/result.json").read_text())["task"]
    assert (task["kind"], task["manifest"], task["path_column"], task["label_column"]) == (
        "csv", "labels.csv", "file", "mood",
    )  # fmt: skip


def test_every_post_is_counted(folder: Path, outputs: dict[str, str]) -> None:
    result = json.loads((folder / "out/ingest/result.json").read_text())
    assert result["posts"] == POSTS
    assert result["rejected"] == {}
    with (folder / "mydata" / "posts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert result["reactions"] == sum(int(row[name]) for row in rows for name in REACTIONS)


def test_the_table_has_a_row_for_each_method(outputs: dict[str, str]) -> None:
    lines = output(outputs, "report --local").splitlines()
    last = lines[-lines[::-1].index(next(line for line in lines[::-1] if line.startswith("| Method"))) - 1 :]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in last[2:] if line.startswith("|")]
    assert sorted(rows) == ["IN-Sup", "Random Init", "VisE"]
    assert "Mood, linear (accuracy)" in last[0]
    assert all("(n=3)" in line for line in last[2 : 2 + len(rows)])


def test_posts_that_show_test_pictures_are_found_and_left_out(folder: Path, outputs: dict[str, str]) -> None:
    content = json.loads((folder / "out/integrity/artifacts/integrity.json").read_text())["posts_to_exclude"]
    # Posts 0 to 19 show labelled pictures; those that some split tests on are to be left out, and no other.
    assert content
    assert set(content) < {f"sample-3-{number}" for number in range(SHARED)}
    clean = json.loads((folder / "out/label-clean/result.json").read_text())
    every = json.loads((folder / "out/label/result.json").read_text())
    assert clean["excluded"] == len(content)
    assert 0 < every["posts"] - clean["posts"] <= len(content)


def test_the_predictor_answers_with_probabilities_and_an_overlay(
    folder: Path, outputs: dict[str, str]
) -> None:
    said = output(outputs, "predict --predictor")
    shares = [float(value) for value in re.findall(r"([\d.]+)%", said)]
    assert len(shares) == 6
    assert sum(shares) == pytest.approx(100, abs=0.5)
    (overlay,) = (folder / "overlays").iterdir()
    assert overlay.name.startswith("beach-")
