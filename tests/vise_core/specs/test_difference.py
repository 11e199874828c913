"""What differs between specs, and which preset a spec comes from."""

from vise_core.specs.paths import Difference, difference, differing, flatten
from vise_core.specs.stages import STAGES, validate_spec


def test_leaves_have_dotted_paths_and_lists_are_leaves() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "d": [1, {"e": 2}]}


def test_a_difference_names_the_field_and_both_values() -> None:
    base = {"lr": 0.1, "decay": {"kind": "steps", "gamma": 0.5}}
    assert difference(base, {"lr": 0.2, "decay": {"kind": "even", "times": 3}}) == [
        Difference("lr", 0.1, 0.2),
        Difference("decay.kind", "steps", "even"),
        Difference("decay.gamma", 0.5, None),
        Difference("decay.times", None, 3),
    ]
    assert difference(base, base) == []


def test_only_what_is_not_the_same_everywhere_differs() -> None:
    assert differing([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1, "c": 0}]) == ["b", "c"]
    assert differing([{"a": 1}]) == []


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
