"""The explain stage: overlays of a labelled set, and the pointing game where it has masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vise_core.errors import BadInput, Stopped
from vise_core.evaluate.device import pick_device
from vise_core.models.classifier import ImageClassifier, load_classifier
from vise_core.models.transforms import eval_transform
from vise_core.posts.images import open_image
from vise_core.reporter import Reporter
from vise_core.specs.explain import ExplainResult, ExplainSpec
from vise_core.specs.tasks import FolderTask
from vise_core.tasks import LabelledImages, load_task

from .activation import activation_from_maps
from .overlays import overlay, seen_region
from .pointing import mask_path, points_inside, read_mask


def run(spec: ExplainSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ExplainResult:
    """Explain up to ``limit`` images, held-out ones where the predictor says which those are.

    Raises BadInput where data set and predictor do not fit, Stopped.
    """
    device = pick_device(spec.compute)
    classifier = load_classifier(inputs["predictor"]).to(device).requires_grad_(False)
    images = load_task(FolderTask(name=str(classifier.metadata.get("task") or "folder")), inputs["dataset"])
    unknown = set(images.classes) - set(classifier.classes)
    if unknown:
        raise BadInput(
            f"the predictor knows no {', '.join(sorted(unknown))}; its classes are {', '.join(classifier.classes)}"
        )
    overlays = workspace / "overlays"
    overlays.mkdir(parents=True, exist_ok=True)
    chosen = choose_images(images, _candidates(classifier, images, reporter), spec.limit, spec.seed)
    rows: list[dict[str, Any]] = []
    for done, index in enumerate(chosen):
        if reporter.should_stop():
            raise Stopped("stopped on request; explaining starts again when resumed")
        rows.append(_explain(spec, classifier, images, index, overlays / f"{done:05d}.png", device))
        reporter.progress(done + 1, len(chosen), "images", phase="explaining")
    result = _summary(rows, images.synthetic or bool(classifier.metadata.get("synthetic")))
    listing = workspace / "explanations.json"
    facts = {"method": spec.method, "target": spec.target, "synthetic": result.synthetic, "images": rows}
    listing.write_text(json.dumps(facts, indent=1) + "\n")
    reporter.artifact("overlays", overlays)
    reporter.artifact("explanations", listing)
    return result


def choose_images(images: LabelledImages, candidates: list[int], limit: int, seed: int) -> list[int]:
    """Up to ``limit`` of the candidates, evenly over classes: one of each class in turn, at random within."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(np.array(candidates, dtype=np.int64))
    turn: dict[int, int] = {}
    ranked = []
    for index in order.tolist():
        label = int(images.labels[index])
        turn[label] = turn.get(label, -1) + 1
        ranked.append((turn[label], label, index))
    return [index for _, _, index in sorted(ranked)[:limit]]


def _candidates(classifier: ImageClassifier, images: LabelledImages, reporter: Reporter) -> list[int]:
    held_out = set(classifier.metadata.get("held_out") or ())
    kept = [i for i in range(len(images)) if images.relative_path(i) in held_out]
    if kept:
        reporter.log(f"{len(kept)} images that the predictor was not trained on; explaining only these")
        return kept
    reporter.log(
        "the predictor does not say which of these images it was trained on: accuracy may be of training images",
        level="warning",
    )
    return list(range(len(images)))


def _explain(
    spec: ExplainSpec,
    classifier: ImageClassifier,
    images: LabelledImages,
    index: int,
    path: Path,
    device: torch.device,
) -> dict[str, Any]:
    image = open_image(images.paths[index])
    resize, crop = classifier.resize, classifier.image_size
    transform = eval_transform(crop, mean=classifier.mean, std=classifier.std, resize=resize)
    with torch.no_grad():
        maps = classifier.backbone.forward_features(transform(image)[None].to(device))
        scores = torch.softmax(classifier.head(classifier.backbone.pool(maps)), -1)[0]
    predicted = int(scores.argmax())
    label = classifier.classes.index(images.classes[images.labels[index]])
    target = label if spec.target == "true" else predicted
    heat = activation_from_maps(classifier, maps, spec.method, [target], (crop, crop))[0]
    overlay(image, heat, spec.strength, seen_region(image.size, resize, crop)).save(path)
    masked = mask_path(images, index)
    mask = None if masked is None else read_mask(masked, image.size, resize, crop)
    scorable = mask is not None and bool(mask.any())  # else the crop has cut the region away
    return {
        "file": path.name,
        "path": images.relative_path(index),
        "label": classifier.classes[label],
        "predicted": classifier.classes[predicted],
        "target": classifier.classes[target],
        "probability": float(scores[target]),
        "right": predicted == label,
        "points_inside": points_inside(heat, mask) if scorable and mask is not None else None,
        "mask_share": float(mask.mean()) if scorable and mask is not None else None,
    }


def _summary(rows: list[dict[str, Any]], synthetic: bool) -> ExplainResult:
    scored = [row for row in rows if row["points_inside"] is not None]
    return ExplainResult(
        synthetic=synthetic,
        images=len(rows),
        accuracy=100 * float(np.mean([row["right"] for row in rows])),
        pointing=100 * float(np.mean([row["points_inside"] for row in scored])) if scored else None,
        pointing_chance=100 * float(np.mean([row["mask_share"] for row in scored])) if scored else None,
    )
