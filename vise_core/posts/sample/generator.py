"""Generate synthetic posts and labelled images, each from (seed, index) alone, in any order and process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image

from vise_core.formats.data_card import write_data_card
from vise_core.formats.post import Post
from vise_core.posts.images.decode import encode_jpeg
from vise_core.reporter import Reporter
from vise_core.specs.posts.fields import REACTIONS
from vise_core.specs.posts.sources import SampleSource
from vise_core.specs.tasks.catalogue import EMOTIONS

from ..readers import RawPost
from .scenes import choose_scene, draw_scene
from .words import make_comments, make_reactions


def generate_post(seed: int, index: int, image_size: int) -> tuple[Post, Image.Image]:
    """Generate the post number ``index`` of a seed, with its image."""
    rng = Random(f"vise-sample:{seed}:post:{index}")
    scene = choose_scene(rng, rng.choice(EMOTIONS))
    image, _ = draw_scene(rng, scene, image_size)
    post = Post(f"sample-{seed}-{index}", make_comments(rng, scene), make_reactions(rng, scene))
    return post, image


def generate_evaluation_image(seed: int, index: int, image_size: int) -> tuple[Image.Image, Image.Image, str]:
    """Generate (image, mask of the emotional region, emotion). Emotions take turns, so classes are balanced.

    The random streams differ from those of the posts, so that no image is in both.
    """
    rng = Random(f"vise-sample:{seed}:evaluation:{index}")
    emotion = EMOTIONS[index % len(EMOTIONS)]
    image, mask = draw_scene(rng, choose_scene(rng, emotion), image_size)
    return image, mask, emotion


def raw_posts(source: SampleSource, seed: int) -> Iterator[RawPost]:
    """Yield the posts as a reader does; they pass the same checks as real posts."""
    for index in range(source.posts):
        post, image = generate_post(seed, index, source.image_size)
        yield RawPost(f"sample post {index}", _row(post), encode_jpeg(image))


def write_evaluation_set(
    folder: Path, source: SampleSource, seed: int, reporter: Reporter | None = None
) -> None:
    """Write <emotion>/<name>.jpg, masks/<emotion>/<name>.png and dataset.json."""
    for emotion in EMOTIONS:
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        (folder / "masks" / emotion).mkdir(parents=True, exist_ok=True)
    for index in range(source.evaluation_images):
        image, mask, emotion = generate_evaluation_image(seed, index, source.image_size)
        (folder / emotion / f"{index:06d}.jpg").write_bytes(encode_jpeg(image))
        mask.save(folder / "masks" / emotion / f"{index:06d}.png")
        if reporter is not None and index % 100 == 0:
            reporter.progress(index, source.evaluation_images, "images", phase="drawing the evaluation set")
    facts = {"synthetic": True, "seed": seed, "images": source.evaluation_images, "classes": list(EMOTIONS)}
    write_data_card(folder, facts)


def write_sample(out: Path, source: SampleSource, seed: int) -> None:
    """Write the raw layout of a user's posts: posts.jsonl, images/ and evaluation/."""
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    with (out / "posts.jsonl").open("w", encoding="utf-8") as file:
        for index in range(source.posts):
            post, image = generate_post(seed, index, source.image_size)
            # A folder never holds more than a thousand images.
            name = f"{index // 1000:04d}/{index:07d}.jpg"
            (images / name).parent.mkdir(exist_ok=True)
            (images / name).write_bytes(encode_jpeg(image))
            file.write(json.dumps(_row(post) | {"image": name, "synthetic": True}, ensure_ascii=False) + "\n")
    write_evaluation_set(out / "evaluation", source, seed)


def _row(post: Post) -> dict[str, object]:
    return {
        "id": post.id,
        "comments": list(post.comments),
        "reactions": dict(zip(REACTIONS, post.reactions, strict=True)),
    }
