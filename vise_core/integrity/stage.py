"""The stage ``integrity``: all checks of a task and, if given, of the pretraining posts and labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from vise_core.engine import Engine, engine
from vise_core.errors import BadImage, Stopped
from vise_core.escaping import csv_row
from vise_core.formats.clusterer import read_clusterer_card
from vise_core.formats.labels import read_label_facts
from vise_core.formats.posts import ShardIndex
from vise_core.posts import exclusions
from vise_core.posts.images.decode import open_image
from vise_core.reporter import Reporter
from vise_core.specs.integrity import IntegrityCheck, IntegrityReport, IntegrityResult, IntegritySpec
from vise_core.specs.posts.subset import SubsetSpec
from vise_core.tasks import LabelledImages, Split, load_task, task_splits

from .balance import label_balance, pretraining_balance
from .cache import default_cache, files_fingerprints
from .evaluation import log_checks, not_run, perceptual_overlap
from .fingerprints import Fingerprints, OnProgress
from .overlap import identical_links, reported_part, split_overlap
from .pretraining import (
    CopiedPost,
    PostCopy,
    cluster_leak,
    copied_posts,
    find_in_posts,
    nearest_posts,
    pretraining_overlap,
)
from .strips import pair_strip

OpenImage = Callable[[], Image.Image]


def run(spec: IntegritySpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> IntegrityResult:
    """Run all checks and publish ``integrity`` and ``pairs``. Shards that were hashed before a stop are cached.

    Raises BadInput for a task, posts or labels that cannot be used, Stopped.
    """
    with engine(spec.compute, workspace, inputs.values(), partial(_raise_if_stopped, reporter)) as workers:
        return _check(spec, inputs, workspace, reporter, workers)


def _check(
    spec: IntegritySpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter, workers: Engine
) -> IntegrityResult:
    images = load_task(spec.task, inputs["dataset"])
    splits = task_splits(images, spec.splits)
    prints = files_fingerprints(
        images.paths,
        default_cache(),
        engine=workers,
        threads=spec.compute.processes,
        on_progress=_hash_progress(reporter, len(images), "images of the task"),
    )
    pairs = workspace / "pairs"
    pairs.mkdir(parents=True, exist_ok=True)
    checks = [label_balance(images, splits, spec.limits, spec.examples)]
    for check in _overlap(spec, images, splits, prints):
        checks.append(_with_pictures(check, pairs, _task_images(images, check)))
    posts = 0
    copies: list[CopiedPost] = []
    if "posts" in inputs:
        check, copies = _posts_check(spec, inputs, images, splits, prints, pairs, reporter, workers)
        posts = int(check.counts["posts"])
        checks.append(check)
    else:
        checks.append(not_run("pretraining_overlap", "The run has no input posts: add one, made by ingest."))
    checks += _label_checks(spec, inputs)
    exclude = list(dict.fromkeys(copy.post_id for copy in copies if copy.reported))
    result = IntegrityResult(
        task=images.name,
        images=len(images),
        posts=posts,
        copied_posts=len(exclude),
        report=IntegrityReport(checks=tuple(checks)),
        synthetic=images.synthetic or _says_synthetic(inputs),
    )
    log_checks(result.report, reporter)
    path = workspace / "integrity.json"
    content = result.model_dump(mode="json", exclude={"provenance"})
    if "posts" in inputs:
        content[exclusions.KEY] = exclude
        _write_copies(pairs / "copies.csv", copies)
    path.write_text(json.dumps(content, indent=1) + "\n")
    reporter.artifact("integrity", path)
    reporter.artifact("pairs", pairs)
    return result


def _overlap(
    spec: IntegritySpec, images: LabelledImages, splits: list[Split], prints: Fingerprints
) -> tuple[IntegrityCheck, ...]:
    if spec.perceptual:
        return perceptual_overlap(
            images, splits, prints, spec.limits, spec.examples, threads=spec.compute.processes
        )
    same_files = identical_links(prints.keys())
    return (
        split_overlap(images, splits, same_files, spec.limits, spec.examples),
        not_run("split_near_duplicates", "perceptual is off: only files of the same bytes were compared."),
    )


def _posts_check(
    spec: IntegritySpec,
    inputs: dict[str, Path],
    images: LabelledImages,
    splits: list[Split],
    prints: Fingerprints,
    pairs: Path,
    reporter: Reporter,
    workers: Engine,
) -> tuple[IntegrityCheck, list[CopiedPost]]:
    index = ShardIndex.open(inputs["posts"])
    matches = find_in_posts(
        prints,
        inputs["posts"],
        inputs.get("labels"),
        default_cache(),
        perceptual=spec.perceptual,
        engine=workers,
        threads=spec.compute.processes,
        on_progress=_hash_progress(reporter, len(index), "images of posts"),
    )
    check = pretraining_overlap(images, splits, matches, index, spec.limits, spec.examples)
    shown = nearest_posts(matches, reported_part(splits[int(check.counts["split"])]), spec.examples)

    def openers(copy: PostCopy) -> tuple[OpenImage, OpenImage]:
        return (
            lambda: open_image(images.paths[copy.image]),
            lambda: open_image(index.read_image(copy.post)),
        )

    copies = copied_posts(images, splits, matches, index)
    if matches.crowded:
        reporter.log(
            f"{matches.crowded} images have so many similar posts that only the nearest were compared: leave those "
            "posts out and check again",
            level="warning",
        )
    return _with_pictures(check, pairs, [openers(copy) for copy in shown]), copies


def _write_copies(path: Path, copies: list[CopiedPost]) -> None:
    """Write all pairs of an image and a post as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("post_id", "image", "kind", "difference", "reported"))
        table.writerows(csv_row((c.post_id, c.image, c.kind, c.difference, int(c.reported))) for c in copies)


def _label_checks(spec: IntegritySpec, inputs: dict[str, Path]) -> list[IntegrityCheck]:
    if "labels" not in inputs:
        why = "The run has no input labels: add one, made by label."
        return [not_run("cluster_leak", why), not_run("pretraining_balance", why)]
    subset = _subset(spec, inputs)
    return [
        not_run(
            "cluster_leak",
            "The rule of the cluster subset is not known: add the input clusterer, or set subset.",
        )
        if subset is None
        else cluster_leak(inputs["labels"], subset, spec.examples),
        pretraining_balance(inputs["labels"], spec.limits, spec.examples),
    ]


def _subset(spec: IntegritySpec, inputs: dict[str, Path]) -> SubsetSpec | None:
    if spec.subset is None and "clusterer" in inputs:
        return read_clusterer_card(inputs["clusterer"]).spec.subset
    return spec.subset


def _says_synthetic(inputs: dict[str, Path]) -> bool:
    return ("posts" in inputs and ShardIndex.open(inputs["posts"]).synthetic) or (
        "labels" in inputs and read_label_facts(inputs["labels"]).synthetic
    )


def _task_images(images: LabelledImages, check: IntegrityCheck) -> list[tuple[OpenImage, OpenImage]]:
    def opener(name: str | None) -> OpenImage:
        return lambda: open_image(images.root / str(name))

    return [(opener(example.first), opener(example.second)) for example in check.examples]


def _with_pictures(
    check: IntegrityCheck, folder: Path, openers: list[tuple[OpenImage, OpenImage]]
) -> IntegrityCheck:
    """Return the check with a picture of each example, except of images that cannot be decoded."""
    examples = []
    for number, (example, (first, second)) in enumerate(zip(check.examples, openers, strict=True)):
        name = f"{check.name}-{number:03d}.png"
        try:
            pair_strip(first(), second()).save(folder / name)
        except BadImage:
            examples.append(example)
            continue
        examples.append(example.model_copy(update={"picture": name}))
    return check.model_copy(update={"examples": tuple(examples)})


def _hash_progress(reporter: Reporter, total: int, images: str) -> OnProgress:
    done = 0

    def on_progress(count: int) -> None:
        nonlocal done
        done += count
        reporter.progress(done, total, "images", phase=f"hashing the {images}")
        _raise_if_stopped(reporter)

    return on_progress


def _raise_if_stopped(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise Stopped(
            "the check was stopped; hashed shards are cached and will not be hashed again when it is resumed"
        )
