"""Maps of fields, reactions of every spelling, and what is counted because it is left out."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from post_layouts import picture
from pydantic import ValidationError

from vise_core.formats.post import post_to_json
from vise_core.posts.check import PostChecker, Tally
from vise_core.posts.fields.rows import Checked, check_row
from vise_core.posts.rejected import RejectedPost
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestResult, IngestSpec
from vise_core.specs.posts.fields import EXPRESSIONS, FIELD_MAPS, Fields
from vise_core.stage import run_stage

NAMES = ("haha", "sorry", "angry", "wow", "love")


def check(row: dict[str, Any], fields: dict[str, Any] | None = None, **spec: Any) -> Checked:
    source = {"kind": "jsonl", "fields": fields or {}}
    return check_row({"id": "1", **row}, IngestSpec.model_validate({"source": source, **spec}))


def counts(reactions: Any, fields: dict[str, Any] | None = None) -> dict[str, int]:
    """The counts that are not zero."""
    checked = check({"reactions": reactions}, fields).post.reactions
    return {name: count for name, count in zip(NAMES, checked, strict=True) if count}


@pytest.mark.parametrize("field", EXPRESSIONS)
def test_an_expression_that_is_not_jmespath_names_its_field(field: str) -> None:
    with pytest.raises(ValidationError) as error:
        IngestSpec.model_validate({"source": {"kind": "csv", "fields": {field: "a..b"}}})
    assert [item["loc"][-1] for item in error.value.errors()] == [field]
    assert "'a..b' is not a JMESPath expression" in str(error.value)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, "a", [], None])
@pytest.mark.parametrize(
    "text", ["ceil(n)", "floor(n)", "to_number(n)", "sum(n)", "abs(n)", "to_string(n)", "sort(n)"]
)
def test_whatever_a_function_is_given_the_row_is_a_post_or_rejected(text: str, value: Any) -> None:
    with suppress(RejectedPost):
        check({"n": value}, {"comments": text})


def test_every_ready_map_compiles_and_a_spec_of_old_still_loads() -> None:
    for name, expressions in FIELD_MAPS.items():
        assert Fields(map=name).expressions() == {field: expressions.get(field) for field in EXPRESSIONS}
        Fields.model_validate({"map": name, **expressions})
    old = {"kind": "jsonl", "posts": "posts.jsonl", "images": "images"}
    assert IngestSpec.model_validate({"source": old}).source == IngestSpec().source
    assert IngestResult.model_validate(
        {"posts": 1, "shards": 1, "comments": 0, "reactions": 0}
    ).headline() == {"posts": 1, "rejected": 0, "comments": 0}


@pytest.mark.parametrize(
    ("reactions", "expected"),
    [
        ({"HAHA": 1, "Love": 2}, {"haha": 1, "love": 2}),
        ({"SAD": 3}, {"sorry": 3}),
        # Both names are the one button: their counts are added up.
        ({"sorry": 2, "Sad": 3}, {"sorry": 5}),
        ([{"type": "SAD"}, {"type": "LOVE"}, {"type": "SAD"}], {"sorry": 2, "love": 1}),
        ({"data": [{"type": "WOW"}], "paging": {}}, {"wow": 1}),
        ([{"name": "haha", "count": 7}], {"haha": 7}),
        ([("love", 4), ("wow", 0)], {"love": 4}),
        ({"haha": {"summary": {"total_count": 5}}}, {"haha": 5}),
        ({"reactions_haha_count": 5}, {"haha": 5}),
        ('{"haha": 2}', {"haha": 2}),
        ({"love": "12"}, {"love": 12}),
        ({"love": " 12.0 "}, {"love": 12}),
        ({"love": 3.0}, {"love": 3}),
        ({"love": Decimal("3")}, {"love": 3}),
        ({"love": None, "wow": float("nan"), "haha": "", "angry": "NaN", "sorry": 1}, {"sorry": 1}),
        (float("nan"), {}),
        ("", {}),
        (None, {}),
    ],
)
def test_reactions_of_every_shape_are_counted(reactions: Any, expected: dict[str, int]) -> None:
    assert counts(reactions) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1,234", "bad_reactions"),
        ("1.2K", "bad_reactions"),
        ("1.234", "bad_reactions"),
        ("١٢", "bad_reactions"),
        (1.5, "bad_reactions"),
        (float("inf"), "bad_reactions"),
        (True, "bad_reactions"),
        (2**60, "bad_reactions"),
        ("-3", "negative_count"),
        (-3, "negative_count"),
        ({"users": []}, "bad_reactions"),
    ],
)
def test_a_count_that_would_be_a_guess_rejects_the_post(value: Any, reason: str) -> None:
    with pytest.raises(RejectedPost) as error:
        check({"reactions": {"love": value}})
    assert error.value.reason == reason
    assert "love" in str(error.value)


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10**6)), st.randoms())
def test_case_and_order_of_names_change_no_count(reactions: dict[str, int], random: Any) -> None:
    spelled = [("".join(random.choice((c, c.upper())) for c in name), n) for name, n in reactions.items()]
    random.shuffle(spelled)
    assert counts(dict(spelled)) == {name: n for name, n in reactions.items() if n}


KEYS = st.sampled_from(
    ["id", "image", "comments", "text", "message", "body", "replies", "reactions", "data", "summary", "total_count",
     "children", "type", "haha", "Sad", "love", "reaction_counts", "count", "x"]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)
    | st.sampled_from(["[1]", "[]", '{"haha": 1}', "['a']", "[", "NaN", "7", "1.0", "\ud800", "haha"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(row=st.dictionaries(KEYS, ANY, max_size=8), name=st.sampled_from(sorted(FIELD_MAPS)))
@pytest.mark.slow
def test_whatever_a_row_holds_it_is_a_post_or_rejected_with_a_reason(row: dict[str, Any], name: str) -> None:
    try:
        post = check(row, {"map": name}).post
    except RejectedPost:  # any other error would end the whole ingest
        return
    assert all(isinstance(text, str) and text.strip() for text in post.comments)
    assert all(type(count) is int and count >= 0 for count in post.reactions)
    json.loads(post_to_json(post))


def test_other_names_go_through_the_map_of_the_spec_and_the_rest_is_counted() -> None:
    checked = check({"reactions": {"care": 3, "Like": 10, "love": 1, "thankful": 0}})
    assert checked.post.reactions == (0, 0, 0, 0, 1)
    assert checked.counts.other == {"care": 3, "Like": 10}
    assert checked.dropped == {"other_reactions": 13, "posts_without_comments": 1}
    assert counts({"care": 3, "love": 1, "SAD": 2}, {"names": {"Care": "love"}}) == {"love": 4, "sorry": 2}
    assert counts({"sad": 2, "love": 1}, {"names": {"sad": None}}) == {"love": 1}


@pytest.mark.parametrize(
    ("row", "fields", "unread"),
    [
        ({"reaction_counts": {"haha": 2}}, {}, ("reaction_counts",)),
        ({"haha": 3, "Sad": "4"}, {}, ("haha", "Sad")),
        ({"engagement": {"reactions": {"haha": 1}}}, {}, ("engagement.reactions",)),
        ({"haha": {"summary": {"total_count": 3}}}, {}, ("haha",)),
        ({"haha": 3}, {"map": "graph_api"}, ("haha",)),
        # Read by the map, zero, or no count at all: nothing to report.
        ({"haha": {"summary": {"total_count": 3}}}, {"map": "graph_api"}, ()),
        ({"haha": 3}, {"map": "flat"}, ()),
        ({"stats": {"haha": 3}}, {"haha": "stats.haha"}, ()),
        ({"reaction_counts": {"haha": 2}}, {"reactions": "reaction_counts"}, ()),
        ({"haha": 0, "love": "a film", "reaction_counts": None}, {}, ()),
    ],
)
def test_reactions_where_the_map_does_not_look_are_reported(row, fields, unread) -> None:
    checked = check(row, fields)
    assert checked.counts.unread == unread
    assert checked.dropped.get("unread_reactions", 0) == int(bool(unread))


def test_a_total_without_types_is_counted_as_such() -> None:
    reactions = {"data": [{"type": "LOVE"}], "summary": {"total_count": 6}}
    checked = check({"reactions": reactions}, {"map": "graph_api"})
    assert (checked.post.reactions, checked.counts.untyped) == ((0, 0, 0, 0, 1), 5)
    whole = check(
        {"reactions": {"summary": {"total_count": 4}}, "wow": {"summary": {"total_count": 4}}},
        {"map": "graph_api"},
    )
    assert (whole.post.reactions, whole.counts.untyped) == ((0, 0, 0, 4, 0), 0)


def test_the_graph_api_map_reads_nested_comments() -> None:
    reply = {"message": "c", "comments": {"data": [{"message": "d"}]}}
    row = {"comments": {"data": [{"message": "a"}, {"message": "b", "comments": {"data": [reply]}}]}}
    assert check(row, {"map": "graph_api"}).post.comments == ("a", "b", "c", "d")


def test_the_reddit_map_reads_listings_and_lists_and_leaves_unloaded_comments_out_by_count() -> None:
    inner = {"kind": "t1", "data": {"body": "b", "score": 1, "replies": ""}}
    more = {"kind": "more", "data": {"count": 4, "children": ["x"]}}
    listing = {"kind": "Listing", "data": {"children": [inner, more]}}
    nested = {"kind": "t1", "data": {"body": "a", "replies": listing}}
    empty = {"kind": "t1", "data": {"body": "c", "replies": {"kind": "Listing", "data": {"children": []}}}}
    row = {"comments": {"kind": "Listing", "data": {"children": [nested, empty]}}}
    checked = check(row, {"map": "reddit"})
    assert checked.post.comments == ("a", "b", "c")
    assert checked.dropped["comments_without_text"] == 1
    plain = {"comments": [{"body": "a", "score": -2, "replies": [{"body": "b", "replies": ""}]}]}
    assert check(plain, {"map": "reddit"}).post.comments == ("a", "b")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["a", "b"]', ("a", "b")),
        ("['a', \"don't\"]", ("a", "don't")),
        ('[{"text": "a", "replies": ["b"]}]', ("a", "b")),
        ("[]", ()),
        ("", ()),
        (None, ()),
        (float("nan"), ()),
        ("just a text", ("just a text",)),
        ("[sic] a text", ("[sic] a text",)),
        ([None, "a", float("nan")], ("a",)),
    ],
)
def test_comments_of_a_cell_are_a_list_or_one_text(cell: Any, expected: tuple[str, ...]) -> None:
    assert check({"comments": cell}).post.comments == expected


@pytest.mark.parametrize(
    "cell", ["['a' 'b']", "['a' 'b'\n 'c']", "[deleted]", "['a', nan]", "[1]", 5, {"text": "a"}]
)
def test_a_cell_that_only_looks_like_a_list_rejects_the_post(cell: Any) -> None:
    with pytest.raises(RejectedPost) as error:
        check({"comments": cell})
    assert error.value.reason == "bad_comments"


def test_every_comment_that_is_left_out_is_counted_by_hand() -> None:
    deep: Any = "too deep"
    for level in range(34):
        deep = {"text": f"level {level}", "replies": [deep, {"text": "beside"}]}
    comments = ["a", " ", {"text": None}, "x" * 30, "b", "c", deep]
    checked = check({"comments": comments}, max_comments=5, max_comment_characters=20)
    # Kept: a, the cut one, b, c, and "level 33"; the limit of five leaves out the rest of the tree.
    assert checked.post.comments == ("a", "x" * 20, "b", "c", "level 33")
    tree = 34 + 34 + 1
    # Deeper than 32: "level 0", its two replies, and the text beside it.
    too_deep = checked.dropped["replies_too_deep"]
    assert too_deep == 4
    assert checked.dropped["comments_over_limit"] == tree - too_deep - 1
    assert (checked.dropped["comments_empty"], checked.dropped["comments_without_text"]) == (1, 1)
    assert checked.dropped["comments_cut"] == 1


def test_the_result_counts_what_was_dropped_with_first_examples(tmp_path: Path) -> None:
    images = tmp_path / "in" / "images"
    images.mkdir(parents=True)
    for n in range(4):
        (images / f"{n}.jpg").write_bytes(picture(n))
    (images / "._0.jpg").write_bytes(b"AppleDouble")
    (tmp_path / "in" / "readme.pdf").write_bytes(b"%PDF")
    rows = [
        {"id": "a", "image": "0.jpg", "comments": ["x", ""], "reactions": {"like": 5, "love": 1}},
        {"id": "b", "image": "1.jpg", "comments": [], "reaction_counts": {"haha": 3}},
        {"id": "b", "image": "2.jpg", "comments": ["other content"], "reactions": {"love": 9}},
    ]
    (tmp_path / "in" / "posts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reporter = LocalReporter(tmp_path / "artifacts")
    result = run_stage("ingest", IngestSpec(), {"source": tmp_path / "in"}, tmp_path / "work", reporter)
    assert isinstance(result, IngestResult)
    assert result.headline() == {
        "posts": 2,
        "rejected": 1,
        "comments": 1,
        "comments_empty": 1,
        "other_reactions": 5,
        "unread_reactions": 1,
        "posts_without_reactions": 1,
        "posts_without_comments": 1,
        "images_without_post": 1,
        "other_files": 1,
    }
    assert (result.read, result.rejected) == (3, {"duplicate_id": 1})
    assert (result.other_reactions, result.unread_reactions) == ({"like": 5}, {"reaction_counts": 1})
    examples = json.loads(reporter.artifacts["report"].read_text())["examples"]
    assert examples["other_reactions"] == [{"where": "posts.jsonl:1", "message": "like 5"}]
    assert examples["images_without_post"][0]["where"] == "images/3.jpg"
    assert examples["other_files"][0]["where"] == "readme.pdf"
    assert any("reaction_counts 1" in warning for warning in result.warnings)


def test_all_counts_zero_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(picture(0))
    (tmp_path / "posts.jsonl").write_text(json.dumps({"id": "a", "image": "0.jpg", "reactions": {"love": 0}}))
    tally = Tally()
    checker = PostChecker(IngestSpec(), tmp_path, tally, tmp_path.parent / "seen.sqlite")
    assert len(list(checker.records())) == 1
    checker.close()
    assert tally.warnings()[0].startswith("No post has a reaction")
