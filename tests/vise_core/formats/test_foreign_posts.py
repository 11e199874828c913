"""Shards that somebody else wrote are read or rejected with a sentence, whatever their posts say."""

import json

import pytest

from vise_core.errors import BadInput
from vise_core.formats.post import post_from_json
from vise_core.formats.posts import PostsIndex

GOOD = '{"comments":["a\\u00e9"],"id":"1","reactions":{"angry":1,"haha":0,"love":0,"sorry":0,"wow":0}}'


def test_escapes_of_characters_are_read() -> None:
    assert post_from_json(GOOD.encode()).comments == ("aé",)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ('"1"', '"\\ud800"'),
        ("a\\u00e9", "\\udfff"),
        (":1", ":Infinity"),
        (":1", ":NaN"),
        (":1", ":-1"),
        (":1", ":1e300"),
        (":1", ":" + "9" * 5000),
        ('["a\\u00e9"]', "[" * 200_000),
    ],
    ids=lambda text: text[:20],
)
def test_a_post_that_ingest_would_not_write_is_rejected(part: str, other: str) -> None:
    assert part in GOOD
    with pytest.raises(BadInput, match="ingest again"):
        post_from_json(GOOD.replace(part, other, 1).encode())


@pytest.mark.parametrize("posts", [-1, 10**30])
def test_an_index_with_an_impossible_number_of_posts_is_rejected(posts: int) -> None:
    shard = {"name": "shard-000000.tar", "posts": posts, "sha256": ""}
    with pytest.raises(ValueError, match=r"shards\.0\.posts"):
        PostsIndex.model_validate_json(
            json.dumps({"format": "vise-posts-1", "posts": 1, "synthetic": False, "shards": [shard]})
        )
