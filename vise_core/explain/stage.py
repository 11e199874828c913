"""The stage ``explain``: overlays of labelled images, the pointing game where there are masks, and faithfulness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vise_core.device import pick_device
from vise_core.errors import BadInput, Stopped
from vise_core.models.classifier import ImageClassifier, load_classifier
from vise_core.posts.images.decode import open_image
from vise_core.reporter import Reporter
from vise_core.specs.explain import ExplainResult, ExplainSpec, Faithfulness, MeanAreas
from vise_core.tasks import LabelledImages, load_task

from .activation import Heat
from .choosing import candidates, check_classes, choose_images
from .faithfulness import centre_heat, insertion_deletion, random_heat
from .overlays import overlay
from .pointing import mask_path, points_inside, read_mask
from .seeing import Seen, heat_of, see

ORDERS = tuple(MeanAreas.model_fields)
"""The maps whose insertion and deletion are compared: the method's own, chance, and the centre."""


def run(spec: ExplainSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ExplainResult:
    """Explain up to ``limit`` images, only held-out ones if the predictor lists them.

    Artifacts: ``overlays``, ``explanations``. Raises BadInput if the predictor lacks a class of the data set, Stopped.
    """
    device = torch.device(pick_device(spec.compute.device))
    classifier = load_classifier(inputs["predictor"]).to(device).requires_grad_(False)
    images = load_task(spec.task, inputs["dataset"])
    check_classes(classifier, images)
    overlays = workspace / "overlays"
    overlays.mkdir(parents=True, exist_ok=True)
    chosen = choose_images(images, candidates(classifier, images, reporter), spec.limit, spec.seed)
    rows: list[dict[str, Any]] = []
    for done, index in enumerate(chosen):
        if reporter.should_stop():
            raise Stopped("stopped on request; explaining starts again when resumed")
        try:
            rows.append(_explain(spec, classifier, images, index, overlays / f"{done:05d}.png", device))
        except BadInput as error:
            raise BadInput(f"{images.relative_path(index)}: {error}") from error
        reporter.progress(done + 1, len(chosen), "images", phase="explaining")
    result = _summary(rows, images.synthetic or bool(classifier.metadata.get("synthetic")))
    listing = workspace / "explanations.json"
    facts = {"method": spec.method, "target": spec.target, "synthetic": result.synthetic, "images": rows}
    listing.write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    reporter.artifact("overlays", overlays)
    reporter.artifact("explanations", listing)
    return result


def _explain(
    spec: ExplainSpec,
    classifier: ImageClassifier,
    images: LabelledImages,
    index: int,
    path: Path,
    device: torch.device,
) -> dict[str, Any]:
    image = open_image(images.paths[index])
    seen = see(classifier, image, device)
    label = classifier.classes.index(images.classes[images.labels[index]])
    target = label if spec.target == "true" else seen.predicted
    heat = heat_of(classifier, seen, spec.method, target)
    overlay(image, heat, spec.strength, seen.region).save(path)
    mask_file = mask_path(images, index)
    mask = None
    if mask_file is not None:
        mask = read_mask(mask_file, image.size, classifier.resize, classifier.image_size)
        if not mask.any():  # the crop has cut the region away
            mask = None
    return {
        "file": path.name,
        "path": images.relative_path(index),
        "label": classifier.classes[label],
        "predicted": classifier.classes[seen.predicted],
        "target": classifier.classes[target],
        "probability": float(seen.probabilities[target]),
        "right": seen.predicted == label,
        "points_inside": None if mask is None else points_inside(heat, mask),
        "mask_share": None if mask is None else float(mask.mean()),
        "faithfulness": _areas(spec, classifier, seen, heat, target, index) if spec.faithfulness else None,
    }


def _areas(
    spec: ExplainSpec, classifier: ImageClassifier, seen: Seen, heat: Heat, target: int, index: int
) -> dict[str, dict[str, float]]:
    """Return {insertion | deletion: {map | random | centre: area}} of one image."""

    def probability(pixels: Tensor) -> Tensor:
        return torch.softmax(classifier(pixels), -1)[:, target]

    grid = (seen.maps.shape[-2], seen.maps.shape[-1])
    size = (heat.shape[0], heat.shape[1])
    orders: dict[str, Heat] = {
        "map": heat,
        "random": random_heat(grid, size, (spec.seed, index)),
        "centre": centre_heat(size),
    }
    areas = insertion_deletion(
        probability,
        seen.pixels[0],
        [orders[name] for name in ORDERS],
        steps=spec.faithfulness_steps,
        baseline=spec.deletion_baseline,
        seed=spec.seed,
    )
    return {
        part: {name: getattr(both, part) for name, both in zip(ORDERS, areas, strict=True)}
        for part in Faithfulness.model_fields
    }


def _summary(rows: list[dict[str, Any]], synthetic: bool) -> ExplainResult:
    scored = [row for row in rows if row["points_inside"] is not None]
    return ExplainResult(
        synthetic=synthetic,
        images=len(rows),
        accuracy=100 * float(np.mean([row["right"] for row in rows])),
        pointing=100 * float(np.mean([row["points_inside"] for row in scored])) if scored else None,
        pointing_chance=100 * float(np.mean([row["mask_share"] for row in scored])) if scored else None,
        faithfulness=_mean_areas([row["faithfulness"] for row in rows if row["faithfulness"] is not None]),
    )


def _mean_areas(rows: list[dict[str, dict[str, float]]]) -> Faithfulness | None:
    if not rows:
        return None
    means = {
        part: MeanAreas(**{name: float(np.mean([row[part][name] for row in rows])) for name in ORDERS})
        for part in Faithfulness.model_fields
    }
    return Faithfulness(**means)
