"""Synthetic stand-ins for the paper's tasks, in the layouts in which the real ones are published.

They exercise every reader, protocol and table on a laptop. All results on them are marked as synthetic.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from PIL import Image

from vise_core.formats.data_card import write_data_card
from vise_core.posts.images.decode import encode_jpeg
from vise_core.posts.sample import generate_evaluation_image
from vise_core.posts.sample.scenes import OBJECTS, choose_scene, draw_scene
from vise_core.posts.sample.words import make_comments
from vise_core.reporter import Reporter
from vise_core.specs.sample_tasks import SampleTasksResult, SampleTasksSpec
from vise_core.specs.tasks.catalogue import EMOTIONS

NEGATIVE = frozenset({"anger", "fear", "sadness"})


def run(
    spec: SampleTasksSpec,
    inputs: dict[str, Path],  # noqa: ARG001 - every stage is called so
    workspace: Path,
    reporter: Reporter,
) -> SampleTasksResult:
    """Write a folder for each task that the spec names; each is an artifact of the task's name."""
    for done, kind in enumerate(spec.kinds):
        reporter.progress(done, len(spec.kinds), "tasks", phase=kind)
        folder = workspace / kind
        folder.mkdir(parents=True)
        WRITERS[kind](folder, spec)
        facts = {"synthetic": True, "seed": spec.seed, "task": kind}
        write_data_card(folder, facts)
        reporter.artifact(kind, folder)
    return SampleTasksResult(images=spec.images * len(spec.kinds), synthetic=True)


def _emotion(folder: Path, spec: SampleTasksSpec) -> None:
    for index in range(spec.images):
        image, _, emotion = generate_evaluation_image(spec.seed, index, spec.image_size)
        _save(image, folder / emotion / f"{index:05d}.jpg")


def _politics(folder: Path, spec: SampleTasksSpec) -> None:
    """Write Politics with labels by the image's mood, without any real meaning."""
    with (folder / "politics.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for index in range(spec.images):
            image, _, emotion = generate_evaluation_image(spec.seed + 1, index, spec.image_size)
            name = f"images/{index:05d}.jpg"
            _save(image, folder / name)
            # Six emotions take turns, so the split must not follow the index's parity.
            split = "test" if Random(f"{spec.seed}:{index}").random() < 0.2 else "train"
            rows.writerow([name, "left" if emotion in NEGATIVE else "right", split])


def _memes(folder: Path, spec: SampleTasksSpec) -> None:
    """Write memes that are hateful if both words and image are negative, so that one of them is not sufficient."""
    written: dict[str, list[str]] = {"train": [], "dev": []}
    for index in range(spec.images):
        rng = Random(f"vise-sample:{spec.seed}:meme:{index}")
        image, text = (rng.choice(sorted(NEGATIVE)) if rng.random() < 0.7 else "joy" for _ in range(2))
        picture, _ = draw_scene(rng, choose_scene(rng, image), spec.image_size)
        words = make_comments(rng, choose_scene(rng, text))[:3]
        name = f"img/{index:05d}.png"
        (folder / "img").mkdir(exist_ok=True)
        picture.save(folder / name)
        label = int(image in NEGATIVE and text in NEGATIVE)
        row = {"id": index, "img": name, "label": label, "text": " ".join(words) or text}
        written["dev" if index % 4 == 0 else "train"].append(json.dumps(row, ensure_ascii=False))
    for split, lines in written.items():
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _birds(folder: Path, spec: SampleTasksSpec) -> None:
    """Write CUB with the object as class; every emotion occurs in each class."""
    images, classes, parts = [], [], []
    for index in range(spec.images):
        thing, image = _thing(index, spec)
        name = f"{OBJECTS.index(thing) + 1:03d}.{thing.title()}/{index:05d}.jpg"
        _save(image, folder / "images" / name)
        images.append(f"{index + 1} {name}")
        classes.append(f"{index + 1} {OBJECTS.index(thing) + 1}")
        parts.append(f"{index + 1} {int(index // len(OBJECTS) % 2 == 0)}")
    for name, lines in (
        ("images.txt", images),
        ("image_class_labels.txt", classes),
        ("train_test_split.txt", parts),
    ):
        (folder / name).write_text("\n".join(lines) + "\n")


def _imagenet(folder: Path, spec: SampleTasksSpec) -> None:
    for index in range(spec.images):
        thing, image = _thing(index, spec)
        wnid = f"n{OBJECTS.index(thing) + 1:08d}"
        split = "val" if index // len(OBJECTS) % 4 == 0 else "train"
        _save(image, folder / split / wnid / f"{wnid}_{index}.JPEG")


def _thing(index: int, spec: SampleTasksSpec) -> tuple[str, Image.Image]:
    rng = Random(f"vise-sample:{spec.seed}:thing:{index}")
    thing = OBJECTS[index % len(OBJECTS)]
    while True:
        scene = choose_scene(rng, rng.choice(EMOTIONS))
        if scene.thing == thing:
            return thing, draw_scene(rng, scene, spec.image_size)[0]


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(image))


WRITERS: dict[str, Callable[[Path, SampleTasksSpec], None]] = {
    "unbiased_emotion": _emotion,
    "politics": _politics,
    "hateful_memes": _memes,
    "cub": _birds,
    "imagenet": _imagenet,
}
