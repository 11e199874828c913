"""Sample data: made from (seed, index) alone, honest about being synthetic, and fair over objects and places."""

import json
from collections import Counter
from random import Random

import numpy as np
import pytest

from vise_core.formats.posts import ShardIndex
from vise_core.posts.sample import generate_evaluation_image, generate_post, raw_posts, write_sample
from vise_core.posts.sample.scenes import OBJECTS, PLACES, choose_scene
from vise_core.posts.sample.words import lexicon
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.posts.sources import SampleSource
from vise_core.specs.tasks.catalogue import EMOTIONS
from vise_core.stage import run_stage


def test_a_post_is_the_same_whenever_it_is_made() -> None:
    first, image = generate_post(3, 17, 48)
    again, same = generate_post(3, 17, 48)
    assert first == again
    assert image.tobytes() == same.tobytes()
    assert generate_post(4, 17, 48)[0] != first


@pytest.mark.parametrize("index", range(12))
def test_evaluation_images_have_a_mask_of_what_carries_the_emotion(index) -> None:
    image, mask, emotion = generate_evaluation_image(0, index, 64)
    assert emotion == EMOTIONS[index % 6]
    assert image.size == mask.size == (64, 64)
    assert set(np.unique(np.asarray(mask))) <= {0, 255}
    assert np.asarray(mask).any()


def test_objects_and_places_tell_nothing_about_the_emotion() -> None:
    from scipy.stats import chi2_contingency

    rng = Random(5)
    scenes = [choose_scene(rng, emotion) for emotion in EMOTIONS for _ in range(2000)]
    for names, part in ((OBJECTS, "thing"), (PLACES, "place")):
        counts = Counter((s.emotion, getattr(s, part)) for s in scenes)
        table = [[counts[emotion, name] for name in names] for emotion in EMOTIONS]
        assert chi2_contingency(table).pvalue > 0.001


def test_words_and_emoji_stand_in_the_lexicon_and_each_emotion_has_its_own() -> None:
    known = lexicon()
    for emotion in EMOTIONS:
        assert len(known.words[emotion]) > 20
        assert len(known.emoji[emotion]) >= 3
    assert not set(known.words["joy"]) & set(known.words["anger"])


def test_numbers_of_comments_and_reactions_have_heavy_tails_and_some_posts_have_none() -> None:
    posts = [generate_post(0, n, 32)[0] for n in range(600)]
    comments = np.array([len(p.comments) for p in posts])
    reactions = np.array([sum(p.reactions) for p in posts])
    assert (comments == 0).any()
    assert (reactions == 0).any()
    assert comments.max() > 4 * comments.mean()
    assert reactions.max() > 8 * reactions.mean()


def test_the_raw_layout_can_be_ingested_like_anyone_s(tmp_path) -> None:
    write_sample(tmp_path / "raw", SampleSource(posts=12, evaluation_images=60), seed=2)
    reporter = LocalReporter(tmp_path / "artifacts")
    run_stage("ingest", IngestSpec(), {"source": tmp_path / "raw"}, tmp_path / "work", reporter)
    index = ShardIndex.open(reporter.artifacts["posts"])
    assert [index.read_post(i) for i in range(12)] == [generate_post(2, i, 64)[0] for i in range(12)]
    assert json.loads((tmp_path / "raw" / "evaluation" / "dataset.json").read_text())["synthetic"] is True
    assert json.loads((tmp_path / "raw" / "posts.jsonl").read_text().splitlines()[0])["synthetic"] is True


def test_ingested_sample_data_says_that_it_is_synthetic(tmp_path) -> None:
    spec = IngestSpec.model_validate({"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}})
    reporter = LocalReporter(tmp_path / "artifacts")
    result = run_stage("ingest", spec, {}, tmp_path / "work", reporter)
    assert result.synthetic
    assert result.provenance.synthetic
    assert ShardIndex.open(reporter.artifacts["posts"]).synthetic
    assert len(list(raw_posts(spec.source, 0))) == 10
