"""The same 50 posts in every layout give the same shards, byte for byte; a peek guesses each layout by itself."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from post_layouts import LAYOUTS, REACTIONS, Written, fifty

from vise_core.formats.posts import ShardIndex
from vise_core.posts.peek import peek
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestSpec
from vise_core.stage import run_stage


def ingest(folder: Path, out: Path, source: dict[str, Any], **spec: Any) -> tuple[ShardIndex, dict[str, Any]]:
    reporter = LocalReporter(out / "artifacts")
    whole = IngestSpec.model_validate({"source": source, **spec})
    result = run_stage("ingest", whole, {"source": folder}, out / "work", reporter)
    report = json.loads(reporter.artifacts["report"].read_text())
    return ShardIndex.open(reporter.artifacts["posts"]), report | {"headline": result.headline()}


def digests(index: ShardIndex) -> dict[str, str]:
    """SHA-256 of every file of the artifact."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(index.folder.iterdir())}


@cache
def posts() -> tuple[Written, ...]:
    return tuple(fifty())


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, str]:
    """The shards of the plain layout, whose posts are compared with what was written."""
    folder = tmp_path_factory.mktemp("plain")
    source = LAYOUTS["jsonl"](folder / "in", list(posts()))
    index, _ = ingest(folder / "in", folder / "out", source, posts_per_shard=20)
    read = [index.read_post(i) for i in range(len(index))]
    assert [post.id for post in read] == [post.id for post in posts()]
    assert [list(post.comments) for post in read] == [post.texts() for post in posts()]
    assert [post.reactions for post in read] == [
        tuple(post.reactions.get(name, 0) for name in REACTIONS) for post in posts()
    ]
    return digests(index)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_shards_byte_for_byte(layout, expected, tmp_path) -> None:
    source = LAYOUTS[layout](tmp_path / "in", list(posts()))
    index, report = ingest(tmp_path / "in", tmp_path / "out", source, posts_per_shard=20)
    assert digests(index) == expected
    assert report["rejected"] == {}
    # By hand: 50 posts; n % 5 == 0 has no comment, n % 7 == 0 no reaction; every fourth has three replies.
    assert report["headline"]["posts"] == 50
    assert report["headline"]["comments"] == sum(n % 5 + 3 * (n % 4 == 3 and n % 5 > 0) for n in range(50))
    left_out = {key: n for key, n in report["dropped"].items() if not key.startswith("posts_without")}
    assert left_out == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_peek_guesses_layout_and_map_and_its_guess_gives_the_same_shards(
    layout, expected, tmp_path
) -> None:
    LAYOUTS[layout](tmp_path / "in", list(posts()))
    preview = peek(tmp_path / "in")
    assert (len(preview.posts), preview.kept, preview.rejected) == (10, 10, {})
    assert preview.posts[3].first_comments == tuple(posts()[3].texts()[:3])
    assert preview.posts[3].comments == 6
    assert preview.posts[3].reactions == posts()[3].reactions
    index, _ = ingest(tmp_path / "in", tmp_path / "out", preview.source, posts_per_shard=20)
    assert digests(index) == expected
