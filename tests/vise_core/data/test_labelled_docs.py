"""docs/labelled-data.md: every layout that it shows is recognised as it says, and can be read."""

import re
from pathlib import Path

import pytest
import yaml
from PIL import Image
from pydantic import TypeAdapter

from vise_core.data.layout import task_of
from vise_core.specs.tasks.kinds import Task
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import load_task

DOCS = (Path(__file__).parents[3] / "docs/labelled-data.md").read_text(encoding="utf-8")
FENCES = re.findall(r"```(\w+)(?: title=(\S+))?\n(.*?)```", DOCS, re.DOTALL)


def examples() -> list[tuple[list[str], dict[str, str], dict]]:
    """(images, lists, task) of each layout: the fences up to one of YAML."""
    found, images, lists = [], [], {}
    for language, title, text in FENCES:
        if language == "text":
            images = text.splitlines()
        elif language in ("csv", "tsv"):
            lists[title] = text
        elif language == "yaml":
            found.append((images, lists, yaml.safe_load(text)))
            images, lists = [], {}
    return found


@pytest.mark.parametrize(("images", "lists", "told"), examples())
def test_a_layout_is_recognised_as_the_docs_say(tmp_path: Path, images, lists, told) -> None:
    for number, name in enumerate(images):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / name)
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    layout, task = task_of(tmp_path)
    assert (layout, task) == (told["kind"], TypeAdapter(Task).validate_python(told))
    assert len(load_task(task, tmp_path)) == len(images)


def test_every_layout_of_ones_own_is_shown_and_the_splits_are_the_defaults() -> None:
    assert [told["kind"] for _, _, told in examples()] == [
        "folder", "folder", "csv", "csv", "unbiased_emotion", "politics"
    ]  # fmt: skip
    (written,) = re.findall(r"`splits: (\{.*?\})`", DOCS)
    assert SplitSpec.model_validate(yaml.safe_load(written)) == SplitSpec()
