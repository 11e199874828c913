"""What stages answer about themselves: repetitions, presets, inputs that a spec needs, artifacts that it does not make."""

from collections.abc import Iterator
from typing import Any

import pytest

from vise_core.specs.paths import difference
from vise_core.specs.stages import STAGES, validate_spec


def test_repetitions_are_equal_but_for_seed_and_splits() -> None:
    one, two = ({"seed": n, "splits": {"count": n, "seed": n, "train": 0.7}, "batch": 4} for n in (1, 2))
    experiment = STAGES["evaluate"].experiment
    assert experiment(one) == experiment(two) == {"splits": {"train": 0.7}, "batch": 4}


def test_every_preset_is_nearest_to_itself_and_a_changed_one_to_where_it_came_from() -> None:
    for stage in STAGES.values():
        specs = stage.preset_specs()
        for name, spec in specs.items():
            assert difference(specs[stage.nearest_preset(spec)], spec) == [], (stage.name, name)
    mine = {"posts_limit": 123_000, "base_lr": 0.05}
    spec = validate_spec("pretrain", mine).model_dump(mode="json")
    assert STAGES["pretrain"].nearest_preset(spec) == "VisE-123k, ResNet-50"


@pytest.mark.parametrize(
    ("stage", "spec", "expected"),
    [
        ("ingest", {}, {"source"}),
        ("ingest", {"source": {"kind": "sample"}}, set()),
        ("fetch", {}, {"archive"}),
        ("fetch", {"url": "https://example.org/a.zip"}, set()),
        ("pretrain", {}, {"posts", "labels"}),
        ("pretrain", {"objective": "moco-v2", "batch": 256}, {"posts"}),
        ("evaluate", {}, {"dataset", "checkpoint"}),
        ("evaluate", {"weights": {"kind": "random"}}, {"dataset"}),
    ],
)
def test_the_inputs_that_a_spec_needs(stage: str, spec: dict, expected: set[str]) -> None:
    assert STAGES[stage].needed_inputs(validate_spec(stage, spec)) == expected


def test_an_evaluation_that_reads_texts_makes_no_predictor() -> None:
    missing = STAGES["evaluate"].missing
    assert missing({"setup": "image"}) == {}
    assert "reads texts (setup text)" in missing({"setup": "text"})["predictor"]


def test_a_split_has_the_values_of_its_chosen_point() -> None:
    chosen = {"val": 70.0, "test": None, "val_secondary": {"top5": 90.0}, "test_secondary": {}}
    result = {"metric": "top1", "splits": [{"chosen": chosen}, {"chosen": chosen | {"val": 72.0}}]}
    assert STAGES["evaluate"].per_split(result) == {"val_top1": [70.0, 72.0], "val_top5": [90.0, 90.0]}
    assert STAGES["pretrain"].per_split({"final_loss": 1.0}) == {}


def unbounded(schema: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """The places of lists, and of objects of any names, that may be of any length."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for union in ("anyOf", "oneOf"):
        for part in schema.get(union, ()):
            yield from unbounded(part, root, place)
    items, values = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield f"{place}[]"
    if schema.get("type") == "object" and values and "maxProperties" not in schema:
        yield f"{place}{{}}"
    for name, part in {**schema.get("properties", {}), "[]": items, "{}": values}.items():
        if isinstance(part, dict):
            yield from unbounded(part, root, f"{place}.{name}")


@pytest.mark.parametrize("stage", STAGES)
def test_every_list_of_a_spec_has_a_greatest_length(stage: str) -> None:
    schema = STAGES[stage].spec.model_json_schema()
    assert sorted(set(unbounded(schema, schema, stage))) == []
