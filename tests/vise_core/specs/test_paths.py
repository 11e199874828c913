"""Values of a spec by dotted path, and the differences between two specs."""

import pytest

from vise_core.specs.paths import Difference, difference, differing, flatten, value_at, without


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


def test_fields_are_read_and_left_out_by_their_paths() -> None:
    spec = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert value_at(spec, "a.c.d") == 2
    with pytest.raises(KeyError):
        value_at(spec, "e.f")
    assert without(spec, ("a.c.d", "e", "no.such")) == {"a": {"b": 1, "c": {}}}
    assert spec["e"] == 3
