"""The stage ``integrity``: all checks of a task, and of the posts and labels of pretraining where they are given."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from vise_core.errors import BadImage, Stopped
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
from .evaluation import not_run, perceptual_overlap, tell
from .fingerprints import Fingerprints, Told
from .overlap import identical_links, reported_part, split_overlap
from .pretraining import (
    FoundPost,
    PostCopy,
    cluster_leak,
    find_in_posts,
    found_posts,
    nearest_posts,
    pretraining_overlap,
)
from .strips import pair_strip

Opened = Callable[[], Image.Image]


def run(spec: IntegritySpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> IntegrityResult:
    """Artifacts: ``integrity``, ``pairs``. What was hashed before a stop is not hashed again.

    Raises BadInput for a task, posts or labels that cannot be used, Stopped.
    """
    images = load_task(spec.task, inputs["dataset"])
    splits = task_splits(images, spec.splits)
    processes, cache = spec.compute.processes, default_cache()
    prints = files_fingerprints(
        images.paths, cache, processes=processes, told=_teller(reporter, len(images), "images of the task")
    )
    pairs = workspace / "pairs"
    pairs.mkdir(parents=True, exist_ok=True)
    checks = [label_balance(images, splits, spec.limits, spec.examples)]
    for check in _overlap(spec, images, splits, prints):
        checks.append(_with_pictures(check, pairs, _task_images(images, check)))
    posts = 0
    copies: list[FoundPost] = []
    if "posts" in inputs:
        check, copies = _posts_check(spec, inputs, images, splits, prints, pairs, reporter)
        posts = int(check.counts["posts"])
        checks.append(check)
    else:
        checks.append(
            not_run("pretraining_overlap", "No posts were given: add the input posts, made by ingest.")
        )
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
    tell(result.report, reporter)
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
        not_run("split_near_duplicates", "perceptual is off: only files of the same bytes were looked for."),
    )


def _posts_check(
    spec: IntegritySpec,
    inputs: dict[str, Path],
    images: LabelledImages,
    splits: list[Split],
    prints: Fingerprints,
    pairs: Path,
    reporter: Reporter,
) -> tuple[IntegrityCheck, list[FoundPost]]:
    index = ShardIndex.open(inputs["posts"])
    found = find_in_posts(
        prints,
        inputs["posts"],
        inputs.get("labels"),
        default_cache(),
        perceptual=spec.perceptual,
        processes=spec.compute.processes,
        told=_teller(reporter, len(index), "images of posts"),
    )
    check = pretraining_overlap(images, splits, found, index, spec.limits, spec.examples)
    shown = nearest_posts(found, reported_part(splits[int(check.counts["split"])]), spec.examples)

    def opened(copy: PostCopy) -> tuple[Opened, Opened]:
        return (
            lambda: open_image(images.paths[copy.image]),
            lambda: open_image(index.read_image(copy.post)),
        )

    copies = found_posts(images, splits, found, index)
    if found.crowded:
        reporter.log(
            f"{found.crowded} images have so many look-alikes that only the nearest posts were compared: after these "
            "posts are left out, check again",
            level="warning",
        )
    return _with_pictures(check, pairs, [opened(copy) for copy in shown]), copies


def _write_copies(path: Path, copies: list[FoundPost]) -> None:
    """Every pair that was found, for people and spreadsheets."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("post_id", "image", "kind", "difference", "reported"))
        table.writerows((c.post_id, c.image, c.kind, c.difference, int(c.reported)) for c in copies)


def _label_checks(spec: IntegritySpec, inputs: dict[str, Path]) -> list[IntegrityCheck]:
    if "labels" not in inputs:
        why = "No labels were given: add the input labels, made by label."
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


def _task_images(images: LabelledImages, check: IntegrityCheck) -> list[tuple[Opened, Opened]]:
    def opened(name: str | None) -> Opened:
        return lambda: open_image(images.root / str(name))

    return [(opened(example.first), opened(example.second)) for example in check.examples]


def _with_pictures(
    check: IntegrityCheck, folder: Path, opened: list[tuple[Opened, Opened]]
) -> IntegrityCheck:
    """The check with a picture of each example; an image that cannot be read has none."""
    examples = []
    for number, (example, (first, second)) in enumerate(zip(check.examples, opened, strict=True)):
        name = f"{check.name}-{number:03d}.png"
        try:
            pair_strip(first(), second()).save(folder / name)
        except BadImage:
            examples.append(example)
            continue
        examples.append(example.model_copy(update={"picture": name}))
    return check.model_copy(update={"examples": tuple(examples)})


def _teller(reporter: Reporter, total: int, phase: str) -> Told:
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        reporter.progress(done, total, "images", phase=f"hashing the {phase}")
        if reporter.should_stop():
            raise Stopped(
                "the check was stopped; shards that are hashed are kept, and it goes on behind them"
            )

    return told
