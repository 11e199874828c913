"""Compare the predictions and overlays of several predictors on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vise_core.errors import BadInput, Stopped
from vise_core.models.classifier import ImageClassifier
from vise_core.posts.images.decode import open_image
from vise_core.reporter import Reporter
from vise_core.specs.qualitative import (
    Answer,
    ComparedImage,
    ComparedPredictor,
    QualitativeResult,
    QualitativeSpec,
)
from vise_core.tasks import LabelledImages

from .choosing import check_classes, choose_images, unseen_by_all
from .overlays import overlay
from .seeing import heat_of, see

SIDE = 448
"""Longer side of the saved pictures in pixels: enough for print, small enough for a page."""


def compare(
    spec: QualitativeSpec,
    classifiers: Mapping[str, ImageClassifier],
    images: LabelledImages,
    folder: Path,
    reporter: Reporter,
    device: torch.device,
) -> QualitativeResult:
    """Run every classifier (by role, in order) on the same images and write pictures and overlays into ``folder``.

    Raises BadInput if a predictor lacks a class of the data set or no image is unseen by all; Stopped.
    """
    for role, classifier in classifiers.items():
        check_classes(classifier, images, role)
    allowed = unseen_by_all(classifiers, images) if spec.unseen_only else list(range(len(images)))
    chosen = choose_images(images, allowed, spec.limit, spec.seed)
    for part in ("images", "overlays"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, index in enumerate(chosen):
        if reporter.should_stop():
            raise Stopped("stopped on request; comparing starts again when resumed")
        rows.append(_row(spec, classifiers, images, index, number, folder, device))
        reporter.progress(number + 1, len(chosen), "images", phase="comparing")
    return QualitativeResult(
        synthetic=images.synthetic or any(c.metadata.get("synthetic") for c in classifiers.values()),
        task=images.name,
        method=spec.method,
        target=spec.target,
        unseen=spec.unseen_only,
        predictors=tuple(
            ComparedPredictor(
                role=role,
                method=str(classifier.metadata.get("method") or classifier.backbone.name),
                backbone=classifier.backbone.name,
                protocol=classifier.metadata.get("protocol"),
                accuracy=100 * float(np.mean([row.answers[place].right for row in rows])),
            )
            for place, (role, classifier) in enumerate(classifiers.items())
        ),
        images=tuple(rows),
    )


def _row(
    spec: QualitativeSpec,
    classifiers: Mapping[str, ImageClassifier],
    images: LabelledImages,
    index: int,
    number: int,
    folder: Path,
    device: torch.device,
) -> ComparedImage:
    image = open_image(images.paths[index])
    label = images.classes[images.labels[index]]
    picture = f"images/{number:03d}.png"
    _small(image).save(folder / picture)
    answers = []
    for column, classifier in enumerate(classifiers.values()):
        try:
            seen = see(classifier, image, device)
        except BadInput as error:
            raise BadInput(f"{images.relative_path(index)}: {error}") from error
        predicted = classifier.classes[seen.predicted]
        target = classifier.classes.index(label) if spec.target == "true" else seen.predicted
        heat = heat_of(classifier, seen, spec.method, target)
        overlay_name = f"overlays/{number:03d}-{column}.png"
        _small(overlay(image, heat, spec.strength, seen.region)).save(folder / overlay_name)
        answers.append(
            Answer(
                predicted=predicted,
                probability=float(seen.probabilities[seen.predicted]),
                right=predicted == label,
                overlay=overlay_name,
            )
        )
    return ComparedImage(
        path=images.relative_path(index), label=label, picture=picture, answers=tuple(answers)
    )


def _small(image: Image.Image) -> Image.Image:
    """Return a copy of at most ``SIDE`` pixels on its longer side."""
    copy = image.convert("RGB")
    copy.thumbnail((SIDE, SIDE))
    return copy
