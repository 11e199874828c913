"""Clusters of sentence embeddings by the real packaged encoder, over real shards."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from sentence_transformers import SentenceTransformer

from vise_core.engagement.clusterer import Clusterer
from vise_core.engagement.features.sentence import SentenceExtractor
from vise_core.errors import BadCheckpoint, BadInput, Stopped
from vise_core.files.hashing import tree_sha256
from vise_core.formats.post import Post
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import LocalReporter
from vise_core.specs.cluster import ClusterSpec, CommentClusterSpec, SentenceSpec, TfidfSpec
from vise_core.specs.label import LabelSpec
from vise_core.stage import run_stage
from vise_core.text.files import copy_encoder, packaged_encoder

SPEC = ClusterSpec.model_validate(
    {
        "subset": {"cluster_fraction": 0.4},
        "comments": {"extractor": {"kind": "sentence"}, "max_comments": 2, "kmeans": {"k": 8}},
        "reactions": None,
    }
)
SENTENCES = [
    ("What an adorable little dog", "So cute, love this", "Sweet puppy 😍"),
    ("So sorry for your loss", "This is heartbreaking", "My condolences to the family 😢"),
    ("They should be ashamed", "This makes me furious", "Disgusting behaviour, shame on you 😡"),
    ("I cannot stop laughing", "Best joke of the year", "Hilarious lol 😂"),
]


@pytest.fixture(scope="module")
def said() -> list[Post]:
    """60 posts of four moods, their words seldom the same; every tenth says nothing that counts."""
    rng = random.Random(1)
    endings = ["", "!", " today", " really", " as always", " I think", " my friends"]
    posts = []
    for n in range(60):
        comments = tuple(rng.choice(SENTENCES[n % 4]) + rng.choice(endings) for _ in range(2))
        posts.append(Post(f"said-{n}", ("", " \n") if n % 10 == 0 else comments))
    return posts


@pytest.fixture(scope="module")
def shards(said, write_shards) -> Path:
    return write_shards(said, 25)


def cluster(folder: Path, out: Path, **inputs: Path) -> LocalReporter:
    reporter = LocalReporter(out / "artifacts")
    run_stage("cluster", SPEC, {"posts": folder, **inputs}, out / "work", reporter)
    return reporter


def label(folder: Path, clusterer: Path, out: Path, **spec: object) -> dict[str, list[int]]:
    reporter = LocalReporter(out / "artifacts")
    inputs = {"posts": folder, "clusterer": clusterer}
    run_stage("label", LabelSpec.model_validate(spec), inputs, out / "work", reporter)
    files = sorted(reporter.artifacts["labels"].glob("*.parquet"))
    return {row["post_id"]: row["comment_labels"] for f in files for row in pq.read_table(f).to_pylist()}


@pytest.fixture(scope="module")
def clustered(shards, tmp_path_factory) -> LocalReporter:
    return cluster(shards, tmp_path_factory.mktemp("sentence"))


@pytest.fixture(scope="module")
def labels(shards, clustered, tmp_path_factory) -> dict[str, list[int]]:
    return label(shards, clustered.artifacts["clusterer"], tmp_path_factory.mktemp("labels"))


@pytest.mark.slow
def test_clusters_gather_what_means_the_same(said, labels) -> None:
    moods: dict[int, Counter] = {}
    for n, post in enumerate(said):
        for cluster_id in labels.get(post.id, ()):
            moods.setdefault(cluster_id, Counter())[n % 4] += 1
    assert len(moods) > 4
    mixed = sum(counts.total() - max(counts.values()) for counts in moods.values())
    assert mixed <= 0.1 * sum(counts.total() for counts in moods.values())


@pytest.mark.slow
def test_comments_that_say_nothing_get_no_label(said, labels) -> None:
    for post in said:
        if in_cluster_subset(post.id, SPEC.subset) or not post.comments[0]:
            assert post.id not in labels
        else:
            assert len(labels[post.id]) == 2


def test_inspection_names_a_cluster_by_the_words_of_its_comments(clustered) -> None:
    inspection = json.loads(clustered.artifacts["inspection"].read_text())["comments"]
    assert sum(record["size"] for record in inspection) > 30
    for record in inspection:
        words = " ".join(record["comments"]).lower()
        assert record["terms"][0][0] in words
        assert all(weight > 0 for _, weight in record["terms"])


@pytest.mark.slow
def test_same_clusters_and_labels_whatever_the_shards_and_processes(
    said, shards, clustered, labels, write_shards, tmp_path
) -> None:
    clusterer = clustered.artifacts["clusterer"]
    assert label(shards, clusterer, tmp_path / "two", compute={"processes": 2}) == labels

    other = write_shards(random.Random(2).sample(said, len(said)), 17)
    again = cluster(other, tmp_path / "again").artifacts["clusterer"]
    assert tree_sha256(again) == tree_sha256(clusterer)
    assert label(other, again, tmp_path / "other") == labels


@pytest.mark.slow
def test_a_post_alone_gets_the_labels_that_it_got_among_others(said, clustered, labels) -> None:
    fitted = Clusterer.load(clustered.artifacts["clusterer"])
    for post in [p for p in said if p.id in labels][:8]:
        assert fitted.label([post]).comments == [labels[post.id]]


@pytest.mark.slow
def test_the_clusterer_holds_its_encoder(said, shards, clustered, labels, tmp_path) -> None:
    given = tmp_path / "encoder"
    copy_encoder(packaged_encoder(), given)
    clusterer = cluster(shards, tmp_path, text_encoder=given).artifacts["clusterer"]
    shutil.rmtree(given)
    assert tree_sha256(clusterer) == tree_sha256(clustered.artifacts["clusterer"])
    some = [post for post in said if post.id in labels][:3]
    assert Clusterer.load(clusterer).label(some).comments == [labels[post.id] for post in some]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "encoder" / "vocab.txt").write_text("dog\n"), "the clusters were made with"),
        (lambda f: (f / "encoder.json").unlink(), "the clusters were made with None"),
        (lambda f: (f / "encoder" / "config.json").unlink(), r"no config\.json"),
        (lambda f: (f / "terms.json").write_text("[]"), "words of 0 clusters"),
        (lambda f: np.save(f / "comment_centroids.npy", np.ones((8, 3), np.float32)), "shape"),
    ],
)
def test_a_clusterer_with_another_encoder_is_refused(clustered, tmp_path, damage, message) -> None:
    broken = shutil.copytree(clustered.artifacts["clusterer"], tmp_path / "clusterer")
    damage(broken)
    with pytest.raises(BadCheckpoint, match=message):
        Clusterer.load(broken)


def test_vectors_are_unit_and_those_of_sentence_transformers() -> None:
    comments = ["What an adorable dog", "", "so  sorry\nfor you", "What an adorable dog"]
    kept, rows = SentenceExtractor.fit(SentenceSpec(), None).known(comments)
    assert kept.tolist() == [0, 2, 3]
    reference = SentenceTransformer(str(packaged_encoder()), device="cpu")
    np.testing.assert_allclose(rows, reference.encode([comments[i] for i in kept]), atol=2e-6)


@pytest.mark.slow
def test_emoji_count_by_their_names_and_people_stay_unnamed() -> None:
    comments = ["😍", "👍🏽", "⁇⁇"]
    by_name = SentenceExtractor.fit(SentenceSpec(), None)
    assert by_name.known(comments)[0].tolist() == [0, 1, 2]
    as_they_are = SentenceExtractor.fit(SentenceSpec(emoji_names=False), None)
    assert 0 not in as_they_are.known(comments)[0], "the encoder has never seen it: no label"
    _, rows = by_name.known(["ask @bob about https://bob.example", "ask @eve about www.eve.example"])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_long_comments_are_cut() -> None:
    short = SentenceExtractor.fit(SentenceSpec(max_tokens=6), None)
    _, rows = short.known(["one two three four", "one two three four five six"])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_old_specs_without_a_kind_are_words() -> None:
    old = CommentClusterSpec.model_validate({"extractor": {"min_df": 3}})
    assert old.extractor == TfidfSpec(min_df=3)
    assert CommentClusterSpec().extractor == TfidfSpec()
    with pytest.raises(ValidationError, match="'tfidf', 'sentence'"):
        CommentClusterSpec.model_validate({"extractor": {"kind": "word2vec"}})


def test_an_encoder_for_words_is_refused(shards, tmp_path) -> None:
    with pytest.raises(BadInput, match="the extractor tfidf takes no encoder"):
        run_stage(
            "cluster",
            ClusterSpec(),
            {"posts": shards, "text_encoder": packaged_encoder()},
            tmp_path / "work",
            LocalReporter(tmp_path / "artifacts"),
        )


def test_stopping_while_comments_are_read(shards, tmp_path) -> None:
    class StopsAtEmbedding(LocalReporter):
        def progress(self, done, total, unit, *, phase="") -> None:
            self.stop = self.stop or "features" in phase

    with pytest.raises(Stopped):
        run_stage("cluster", SPEC, {"posts": shards}, tmp_path / "work", StopsAtEmbedding(tmp_path / "out"))
