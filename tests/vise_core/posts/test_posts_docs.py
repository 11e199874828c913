"""docs/posts.md names every layout, map and reason, and its specs are specs."""

import re
from pathlib import Path

import jmespath
import yaml

from vise_core.posts.readers import READERS
from vise_core.specs.ingest import DROPPED, IngestSpec
from vise_core.specs.posts.fields import EXPRESSIONS, FIELD_MAPS

PAGE = (Path(__file__).parents[3] / "docs" / "posts.md").read_text()


def test_the_page_names_every_layout_map_field_and_reason() -> None:
    rows = set(re.findall(r"`(\w+)`", "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))))
    for named in (READERS, FIELD_MAPS, EXPRESSIONS, DROPPED):
        assert set(named) <= rows


def test_its_specs_and_expressions_are_valid() -> None:
    specs = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(specs) == 1
    spec = IngestSpec.model_validate(yaml.safe_load(specs[0]))
    assert spec.source.kind == "json"
    assert spec.source.fields.names == {"sad": "sorry", "care": "love"}
    (expression,) = re.findall(r"``(.*?)``\.", PAGE)
    row = {"comments": [{"body": "a"}, {"body": "[deleted]"}]}
    assert jmespath.search(expression, row) == [{"body": "a"}]
