"""``vise ingest-peek`` as it is called from a shell."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import run_vise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve posts under names of their own; the third has a count with a separator."""
    made = tmp_path / "my posts"
    (made / "photos").mkdir(parents=True)
    rows = []
    for n in range(12):
        Image.new("RGB", (20, 20), (n, 0, 0)).save(made / "photos" / f"{n}.png")
        counts = {"LOVE": "1,234" if n == 2 else n, "Like": 5}
        said = [{"said": "hi", "body": f"comment {n}"}]
        rows.append(
            {
                "Post ID": n,
                "file name": f"photos\\{n}.png",
                "thread": {"comments": said},
                "counts": {"reactions": counts},
            }
        )
    (made / "dump.json").write_text(json.dumps({"posts": rows}))
    return made


def test_a_peek_shows_posts_and_rejections_and_its_command_ingests(folder: Path, tmp_path: Path) -> None:
    told = run_vise("ingest-peek", folder)
    assert (told.returncode, told.stderr) == (0, "")
    assert "layout: json" in told.stdout
    assert "dump.json: post 1: id 0, image photos/0.png" in told.stdout
    assert "reactions: love 1; comments: 1" in told.stdout
    assert "post 3: rejected, bad_reactions: reactions.LOVE is '1,234'" in told.stdout
    assert "Like 45" in told.stdout
    assert "Of the first 10 posts 9 would be kept." in told.stdout
    command = shlex.split(told.stdout.strip().splitlines()[-1])
    done = run_vise(*command[1:], "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    report = json.loads(next((tmp_path / "out").rglob("report.json")).read_text())
    assert (report["read"], report["posts"], report["rejected"]) == (12, 11, {"bad_reactions": 1})
    assert report["other_reactions"] == {"Like": 55}


def test_a_field_can_be_set_and_the_record_is_json(folder: Path) -> None:
    told = run_vise(
        "ingest-peek", folder, "--json", "--posts", "2", "--set", 'fields.id="thread.comments[0].body"'
    )
    content = json.loads(told.stdout)
    assert [post["id"] for post in content["posts"]] == ["comment 0", "comment 1"]
    assert content["source"]["kind"] == "json"


def test_a_bad_expression_names_its_field_and_a_folder_without_posts_ends_with_1(
    folder: Path, tmp_path: Path
) -> None:
    told = run_vise("ingest-peek", folder, "--set", "fields.text=a..b")
    assert told.returncode == 1
    assert "fields.text" in told.stderr
    (tmp_path / "empty").mkdir()
    told = run_vise("ingest-peek", tmp_path / "empty")
    assert (told.returncode, "No layout of posts fits" in told.stdout) == (1, True)
