"""The form and its YAML say the same as the spec, for every stage and every preset of the paper."""

import pytest

from frontend.views.launch.spec_schema import (
    completed,
    matching,
    merged,
    parsed,
    parsed_table,
    resolve,
    scalar_paths,
    without_defaults,
    written,
    written_table,
)
from frontend.views.launch.spec_yaml import from_yaml, to_yaml
from vise_core.specs.recipes.sweep import SweepSpec
from vise_core.specs.stages import STAGES, validate_spec

EVERY_PRESET = [(name, preset) for name, stage in STAGES.items() for preset in stage.presets]


def defaults(stage: str) -> dict:
    return STAGES[stage].spec().model_dump(mode="json")


@pytest.mark.parametrize(("stage", "preset"), EVERY_PRESET)
def test_a_preset_goes_through_the_form_and_through_yaml_unchanged(stage: str, preset: str) -> None:
    spec = STAGES[stage].presets[preset]
    shortest = without_defaults(merged(defaults(stage), spec), defaults(stage))
    assert validate_spec(stage, shortest) == validate_spec(stage, spec)
    assert from_yaml(to_yaml(shortest, {})) == (shortest, {})


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_all_defaults_is_written_as_nothing(stage: str) -> None:
    assert without_defaults(defaults(stage), defaults(stage)) == {}
    assert from_yaml(to_yaml({}, {})) == ({}, {})


def test_another_kind_of_a_union_takes_nothing_from_the_default_one() -> None:
    default = {"source": {"kind": "jsonl", "posts": "posts.jsonl"}, "seed": 0}
    value = {"source": {"kind": "sample", "posts": 50}}
    assert merged(default, value) == {"source": {"kind": "sample", "posts": 50}, "seed": 0}
    assert without_defaults(merged(default, value), default) == value


@pytest.mark.parametrize("stage", STAGES)
def test_every_field_can_be_swept_also_inside_a_union(stage: str) -> None:
    schema = STAGES[stage].spec.model_json_schema()
    for path in scalar_paths(schema, schema, defaults(stage)):
        node = defaults(stage)
        for part in path.split("."):
            assert part in node, path
            node = node[part]
        base = completed({}, defaults(stage), schema, schema, [path])
        (point,) = SweepSpec(stage=stage, base=base, grid={path: (node,)}).points()
        assert validate_spec(stage, point.spec) == STAGES[stage].spec()


def test_a_change_in_a_group_keeps_what_the_group_cannot_do_without() -> None:
    schema = STAGES["cluster"].spec.model_json_schema()
    values = merged(defaults("cluster"), {"comments": {"kmeans": {"algorithm": "spherical"}}})
    spec = completed(without_defaults(values, defaults("cluster")), values, schema, schema)
    assert spec == {"comments": {"kmeans": {"algorithm": "spherical", "k": 5000}}}


def test_the_sweep_follows_the_kind_that_is_chosen() -> None:
    schema = STAGES["ingest"].spec.model_json_schema()
    values = merged(defaults("ingest"), {"source": {"kind": "sample"}})
    assert "source.evaluation_images" in set(scalar_paths(schema, schema, values))
    assert "source.evaluation_images" not in set(scalar_paths(schema, schema, defaults("ingest")))


@pytest.mark.parametrize("value", [1, -3, 0.1, 0.00025, 1e-4, True, False, "cpu", 25.0, 1 / 3])
def test_a_value_reads_back_as_it_was_written(value: object) -> None:
    assert parsed(written(value)) == value


@pytest.mark.parametrize("table", [{}, {"sad": "sorry"}, {"sad": None, "care": "love"}])
def test_a_table_of_names_reads_back_as_it_was_written(table: dict) -> None:
    assert parsed_table(written_table(table)) == table


def test_a_name_that_is_added_or_taken_out_in_the_form_is_so_in_the_spec() -> None:
    for text, names in (
        ("sad: sorry, care: love", {"sad": "sorry", "care": "love"}),
        ("sad:", {"sad": None}),
    ):
        default = {"source": {"kind": "jsonl", "fields": {"names": {"sad": "sorry"}}}}
        values = {"source": {"kind": "jsonl", "fields": {"names": parsed_table(text)}}}
        spec = validate_spec("ingest", without_defaults(values, default))
        assert spec.source.fields.names == names


def test_a_sweep_is_part_of_the_yaml() -> None:
    grid = {"base_lr": [0.1, 0.01], "compute.amp": ["off", "bf16"]}
    assert from_yaml(to_yaml({"epochs": 3}, grid)) == ({"epochs": 3}, grid)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs: [1,\nbatch: 3", "line 2"),
        ("just words", "write fields"),
        ("sweep: 3", "a list of values"),
        ("sweep: {base_lr: 3}", "a list of values"),
        ("a: &a [1]\nb: *a", "line 2, column 4: write the value again"),
        ("a: &a\n  b: *a", "write the value again"),
        ("a: " + "[" * 20_000, "nested too deep"),
        ("a: " + "b" * 500_000, "more than 500,000 characters"),
    ],
)
def test_yaml_that_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_yaml(text)


def test_the_alternative_is_the_one_that_the_value_is_of() -> None:
    schema = STAGES["evaluate"].spec.model_json_schema()
    weights = resolve(schema["properties"]["weights"], schema)
    assert "name" in matching(weights, schema, {"kind": "catalogue"})["properties"]
    assert "name" not in matching(weights, schema, {"kind": "random"})["properties"]
