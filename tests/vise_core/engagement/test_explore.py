"""The explorer over real shards, clusterer and labels, against counts made in another way."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy import stats
from sklearn.metrics import normalized_mutual_info_score

from tests.pictures import encoded
from vise_core.engagement.clusterer import Clusterer
from vise_core.errors import BadInput, Stopped
from vise_core.files.hashing import tree_sha256
from vise_core.formats.post import Post
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.explore import ExploreResult, ExploreSpec
from vise_core.specs.label import LabelSpec
from vise_core.specs.posts.fields import REACTIONS
from vise_core.stage import run_stage

SPEC = ClusterSpec.model_validate(
    {"subset": {"cluster_fraction": 0.4}, "comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
)


class Explored:
    """The artifact, read back."""

    def __init__(self, folder: Path, result: ExploreResult) -> None:
        self.folder, self.result = folder, result
        self.summary = json.loads((folder / "explorer.json").read_text())
        self.comments, self.reactions = (
            pq.read_table(folder / name).to_pylist() if (folder / name).exists() else None
            for name in ("comments.parquet", "reactions.parquet")
        )


def colour_of(post: Post) -> tuple[int, int, int]:
    number = int(post.key[:6], 16)
    return number >> 16, number >> 8 & 255, number & 255


def plain_image(post: Post) -> bytes:
    """An image of a colour of the post's own."""
    return encoded(Image.new("RGB", (40, 30), colour_of(post)), "JPEG", quality=95)


@pytest.fixture(scope="module")
def write_pictured(write_shards) -> Callable[[Sequence[Post], int], Path]:
    return partial(write_shards, image=plain_image)


def explore(out: Path, inputs: dict[str, Path], **spec: object) -> Explored:
    reporter = LocalReporter(out / "artifacts")
    result = run_stage("explore", ExploreSpec.model_validate(spec), inputs, out / "work", reporter)
    assert isinstance(result, ExploreResult)
    return Explored(reporter.artifacts["explorer"], result)


def label(posts: Path, clusterer: Path, out: Path, **spec: object) -> Path:
    reporter = LocalReporter(out / "artifacts")
    inputs = {"posts": posts, "clusterer": clusterer}
    run_stage("label", LabelSpec.model_validate(spec), inputs, out / "work", reporter)
    return reporter.artifacts["labels"]


@pytest.fixture(scope="module")
def shards(posts, write_pictured) -> Path:
    return write_pictured(posts, 50)


@pytest.fixture(scope="module")
def clusterer(shards, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cluster")
    reporter = LocalReporter(out / "artifacts")
    run_stage("cluster", SPEC, {"posts": shards}, out / "work", reporter)
    return reporter.artifacts["clusterer"]


@pytest.fixture(scope="module")
def labels(shards, clusterer, tmp_path_factory) -> Path:
    return label(shards, clusterer, tmp_path_factory.mktemp("label"))


@pytest.fixture(scope="module")
def explored(shards, clusterer, labels, tmp_path_factory) -> Explored:
    inputs = {"posts": shards, "clusterer": clusterer, "labels": labels}
    return explore(tmp_path_factory.mktemp("explore"), inputs)


@pytest.fixture(scope="module")
def rows(labels) -> list[dict]:
    return [row for file in sorted(labels.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_sizes_are_those_of_the_labels(explored, rows) -> None:
    counted = Counter(c for row in rows for c in row["comment_labels"])
    by_post = Counter(c for row in rows for c in set(row["comment_labels"]))
    reacted = Counter(row["reaction_label"] for row in rows if row["reaction_label"] is not None)
    assert {r["cluster"]: r["size"] for r in explored.comments if r["size"]} == counted
    assert {r["cluster"]: r["posts"] for r in explored.comments if r["posts"]} == by_post
    assert {r["cluster"]: r["size"] for r in explored.reactions if r["size"]} == reacted
    assert explored.result.posts == len(rows)
    assert [r["cluster"] for r in explored.comments] == list(range(8))


def test_mean_reactions_of_each_cluster(explored, rows, posts) -> None:
    """Shares of a post's five counts, averaged over posts: here in plain Python."""
    by_id = {post.id: post for post in posts}
    of_comments, of_reactions = defaultdict(list), defaultdict(list)
    for row in rows:
        counts = by_id[row["post_id"]].reactions
        if not sum(counts):
            continue
        shares = [count / sum(counts) for count in counts]
        of_reactions[row["reaction_label"]].append(shares)
        for cluster in set(row["comment_labels"]):
            of_comments[cluster].append(shares)
    for record in explored.reactions:
        assert record["reactions"] == pytest.approx(np.mean(of_reactions[record["cluster"]], axis=0))
        assert sum(record["reactions"]) == pytest.approx(1)
    for record in explored.comments:
        assert record["reactions"] == pytest.approx(np.mean(of_comments[record["cluster"]], axis=0))
    assert explored.summary["reaction_names"] == list(REACTIONS)


def test_entropies_by_hand_and_by_scipy(explored, rows) -> None:
    sizes = Counter(c for row in rows for c in row["comment_labels"])
    total = sum(sizes.values())
    bits = -sum(n / total * np.log2(n / total) for n in sizes.values())
    spread = explored.result.comments
    assert spread.entropy_bits == pytest.approx(bits)
    assert spread.normalised_entropy == pytest.approx(bits / 3)
    assert spread.perplexity == pytest.approx(2**bits)
    assert spread.largest_share == max(sizes.values()) / total
    assert (spread.clusters, spread.used, spread.labels) == (8, len(sizes), total)
    reacted = Counter(row["reaction_label"] for row in rows if row["reaction_label"] is not None)
    assert explored.result.reactions.entropy_bits == pytest.approx(
        stats.entropy(list(reacted.values()), base=2)
    )


def test_agreement_is_scikit_learn_s(explored, rows) -> None:
    both = [row for row in rows if row["comment_labels"] and row["reaction_label"] is not None]
    pairs = [(c, row["reaction_label"]) for row in both for c in row["comment_labels"]]
    found = explored.result.agreement
    assert found.posts == len(both)
    assert found.nmi == pytest.approx(normalized_mutual_info_score(*zip(*pairs, strict=True)))
    assert found.nmi > 0.5, "comments and reactions of these posts follow one mood"
    # Each post counts one: repeat its labels so that every post has equally many (60 divides by 1 … 6).
    even = [
        (c, row["reaction_label"])
        for row in both
        for c in row["comment_labels"]
        for _ in range(60 // len(row["comment_labels"]))
    ]
    assert found.nmi_by_post == pytest.approx(normalized_mutual_info_score(*zip(*even, strict=True)))
    assert 0 < found.nmi_chance < found.nmi_by_post


def test_the_table_of_pairs(explored, rows) -> None:
    pairs = Counter(
        (c, row["reaction_label"])
        for row in rows
        for c in row["comment_labels"]
        if row["reaction_label"] is not None
    )
    assert {(p["first"], p["second"]): p["weight"] for p in explored.summary["pairs"]} == pairs
    first = explored.summary["pairs"][0]
    row = sum(n for (a, _), n in pairs.items() if a == first["first"])
    column = sum(n for (_, b), n in pairs.items() if b == first["second"])
    assert first["expected"] == pytest.approx(row * column / sum(pairs.values()))
    assert first["lift"] == pytest.approx(first["weight"] / first["expected"])
    assert first["lift"] > 1


def test_comments_shown_lie_in_their_cluster(explored, clusterer) -> None:
    fitted = Clusterer.load(clusterer)
    shown = 0
    for record in explored.comments:
        assert len(record["comments"]) == len(set(record["comments"])) <= 8
        for comment in record["comments"]:
            shown += 1
            assert fitted.label([Post("any", (comment,))]).comments == [[record["cluster"]]]
    assert shown > 30


def test_terms_are_the_centroid_s_heaviest(explored, clusterer) -> None:
    fitted = Clusterer.load(clusterer)
    for record, centroid in zip(explored.comments, fitted.comment_centroids.toarray(), strict=True):
        weights = dict(zip(fitted.extractor.terms, centroid.tolist(), strict=True))
        assert record["weights"] == sorted((w for w in weights.values() if w > 0), reverse=True)[:12]
        assert [weights[term] for term in record["terms"]] == record["weights"]


def test_sample_images_are_of_posts_of_the_cluster(explored, rows, posts) -> None:
    by_id = {post.id: post for post in posts}
    have = {row["post_id"]: row for row in rows}
    for kind, records in (("comments", explored.comments), ("reactions", explored.reactions)):
        for record in records:
            ids = record["sample_posts"]
            assert len(ids) == len(set(ids)) == 6
            with Image.open(explored.folder / record["thumbnails"]) as strip:
                assert strip.size == (6 * 64, 64)
                pixels = np.asarray(strip.convert("RGB")).astype(int)
            for place, post_id in enumerate(ids):
                row = have[post_id]
                held = row["comment_labels"] if kind == "comments" else [row["reaction_label"]]
                assert record["cluster"] in held
                centre = pixels[32, place * 64 + 32]
                assert np.abs(centre - colour_of(by_id[post_id])).max() < 12, "the image is this post's"


def test_neither_shards_nor_their_order_matter(posts, clusterer, explored, write_pictured, tmp_path) -> None:
    mixed = random.Random(3).sample(posts, len(posts))
    other = write_pictured(mixed, 37)
    labels = label(other, clusterer, tmp_path / "label")
    again = explore(tmp_path / "explore", {"posts": other, "clusterer": clusterer, "labels": labels})
    assert tree_sha256(again.folder) == tree_sha256(explored.folder)


def test_another_seed_shows_other_posts(shards, clusterer, labels, explored, tmp_path) -> None:
    inputs = {"posts": shards, "clusterer": clusterer, "labels": labels}
    other = explore(tmp_path, inputs, seed=1)
    assert [r["size"] for r in other.comments] == [r["size"] for r in explored.comments]
    assert [r["sample_posts"] for r in other.comments] != [r["sample_posts"] for r in explored.comments]


def test_without_labels_every_post_is_labelled(shards, clusterer, posts, tmp_path) -> None:
    found = explore(tmp_path, {"posts": shards, "clusterer": clusterer})
    labelled = Clusterer.load(clusterer).label(posts)
    sizes = Counter(c for row in labelled.comments for c in row)
    assert {r["cluster"]: r["size"] for r in found.comments} == sizes
    assert found.result.posts == sum(
        bool(c) or r is not None for c, r in zip(labelled.comments, labelled.reactions, strict=True)
    )
    assert found.summary["labels"] is False


def test_shuffled_labels_show_no_comments_as_if_they_belonged(shards, clusterer, tmp_path) -> None:
    labels = label(shards, clusterer, tmp_path / "label", shuffle_engagement=True)
    found = explore(tmp_path / "explore", {"posts": shards, "clusterer": clusterer, "labels": labels})
    assert found.summary["shuffled"] is True
    assert all(record["comments"] == [] for record in found.comments)
    assert all(max(record["reactions"]) < 0.6 for record in found.reactions), "no mood is left in a cluster"


def test_names_and_links_in_comments_are_not_shown(posts, clusterer, write_pictured, tmp_path) -> None:
    named = [
        Post(p.id, tuple(f"@someone {c} see https://example.org/x" for c in p.comments), p.reactions)
        for p in posts
    ]
    found = explore(tmp_path, {"posts": write_pictured(named, 100), "clusterer": clusterer})
    comments = [comment for record in found.comments for comment in record["comments"]]
    assert comments
    assert not any("someone" in comment or "example" in comment for comment in comments)


def test_one_signal_only(shards, posts, tmp_path) -> None:
    spec = ClusterSpec.model_validate(
        {"subset": {"cluster_fraction": 0.4}, "comments": None, "reactions": {"kmeans": {"k": 3}}}
    )
    reporter = LocalReporter(tmp_path / "artifacts")
    run_stage("cluster", spec, {"posts": shards}, tmp_path / "cluster", reporter)
    found = explore(tmp_path / "x", {"posts": shards, "clusterer": reporter.artifacts["clusterer"]})
    assert found.comments is None
    assert found.result.comments is None
    assert found.result.agreement is None
    assert len(found.reactions) == 3
    assert "nmi" not in found.result.headline()


def test_images_that_cannot_be_read_are_grey(posts, write_shards, clusterer, tmp_path) -> None:
    found = explore(
        tmp_path, {"posts": write_shards(posts, 60), "clusterer": clusterer}, images=2, thumbnail=32
    )
    with Image.open(found.folder / found.comments[0]["thumbnails"]) as strip:
        assert strip.size == (64, 32)
        assert strip.getpixel((5, 5)) == (200, 200, 200)


def test_labels_of_another_clusterer_or_of_other_posts_are_refused(
    shards, posts, clusterer, labels, write_pictured, tmp_path
) -> None:
    spec = SPEC.model_copy(update={"comments": None})
    reporter = LocalReporter(tmp_path / "artifacts")
    run_stage("cluster", spec, {"posts": shards}, tmp_path / "cluster", reporter)
    inputs = {"posts": shards, "clusterer": reporter.artifacts["clusterer"], "labels": labels}
    with pytest.raises(BadInput, match="give the clusterer that made the labels"):
        explore(tmp_path / "a", inputs)
    others = write_pictured([Post(f"other {p.id}", p.comments, p.reactions) for p in posts], 50)
    with pytest.raises(BadInput, match="give the posts that the labels were made from"):
        explore(tmp_path / "b", {"posts": others, "clusterer": clusterer, "labels": labels})


def test_a_stop_is_heeded(shards, clusterer, tmp_path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped):
        run_stage(
            "explore", ExploreSpec(), {"posts": shards, "clusterer": clusterer}, tmp_path / "w", reporter
        )
