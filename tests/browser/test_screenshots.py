"""The README's pictures: the script makes exactly them, small, and they show the pages as they are now."""

import re
from pathlib import Path

import pytest
from PIL import Image

from docs.screenshots import FOLDER, MOST_BYTES, PICTURES, SIZE, stored_outline, take

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_what_the_script_makes_and_nothing_else() -> None:
    shown = re.findall(r"!\[([^\]]*)\]\(docs/images/([\w-]+)\.png\)", (ROOT / "README.md").read_text())
    assert sorted(shown) == sorted((picture.alt, picture.name) for picture in PICTURES)
    assert sorted(path.stem for path in FOLDER.glob("*.png")) == sorted(p.name for p in PICTURES)


@pytest.mark.browser
@pytest.mark.timeout(900)
def test_the_pictures_are_current(looking, sample, stack, tmp_path: Path) -> None:
    """Not pixel by pixel, which no two machines share: the headings, inputs and buttons that they show."""
    now = take(looking(SIZE, "light"), stack.url, sample.ids, tmp_path)
    then = {picture.name: stored_outline(FOLDER / f"{picture.name}.png") for picture in PICTURES}
    assert now == then, "run `make screenshots`"
    for picture in PICTURES:
        with Image.open(tmp_path / f"{picture.name}.png") as taken:
            assert taken.size == SIZE
        assert (FOLDER / f"{picture.name}.png").stat().st_size <= MOST_BYTES
