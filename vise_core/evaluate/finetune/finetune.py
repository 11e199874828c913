"""The fine-tuned protocol: a training for each split and point of the grid, from the pretrained towers (Sec. 4.2, 5.2)."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vise_core.evaluate.grid import Setting, diverged_point, require_finished, settings
from vise_core.evaluate.job import Job, Outcome
from vise_core.evaluate.texts import TEXTS, TextReader
from vise_core.models.classifier import ImageClassifier
from vise_core.specs.evaluation.results import GridPoint
from vise_core.specs.tasks.metrics import format_metric

from .progress import TRAINING
from .towers import Towers
from .train import COMPARED, compute_logits, train


def evaluate_finetuned(job: Job) -> tuple[list[Outcome], ImageClassifier | None]:
    """Train every split's grid, one training after the other; return the outcomes and split 0's chosen classifier.

    Finished trainings are kept in the saved state, and the current one every few minutes after an epoch. Work that a
    stop or a crash loses is repeated with the same result. The classifier is None where texts are read.
    Raises Diverged where no training of a split ends with finite numbers, Stopped, BadInput.
    """
    grid = settings(job.spec)
    read = _text_reader(job)
    done: list[dict[str, Any]] = list(job.state.facts.get("done", []))
    for number in range(len(done), len(job.splits) * len(grid)):
        split, setting = number // len(grid), grid[number % len(grid)]
        towers, point, scores = _grid_point(job, split, setting, number, read)
        before = [GridPoint.model_validate(p) for p in done[split * len(grid) :]]
        earlier = [p.val for p in before if p.finished and p.val is not None]
        best: dict[str, dict[str, Any]] = {}
        # Early stopping never ends the first trainings of a split, so at least one finishes.
        if point.finished and point.val is not None and (not earlier or point.val > max(earlier)):
            best[f"best-{split}"] = {"scores": torch.from_numpy(scores)}
            if split == 0 and job.texts is None:
                best["predictor"] = towers.state_dict()
        done = [*done, point.model_dump()]
        facts = {"done": done, COMPARED: job.state.facts.get(COMPARED, {})}
        job.state.save(facts, values=best, drop=[TRAINING])
        _log_point(job, split, point)
        if len(before) + 1 == len(grid):
            require_finished(split, [*before, point])
    outcomes = []
    for split in range(len(job.splits)):
        points = [GridPoint.model_validate(p) for p in done[split * len(grid) : (split + 1) * len(grid)]]
        require_finished(split, points)
        outcomes.append(Outcome(points, job.state.load(f"best-{split}")["scores"].numpy()))
    return outcomes, _classifier(job)


def _text_reader(job: Job) -> TextReader | None:
    """Return the reader of texts, None without texts. A frozen tower's embeddings are computed first."""
    if job.texts is None:
        return None
    if job.spec.trains_text:
        return job.texts.reader(None, job.device)
    if not job.state.facts:
        job.embed_texts(job.workspace / TEXTS)
        job.state.save({"done": []}, files={TEXTS: job.workspace / TEXTS})
    return job.texts.reader(np.load(job.state.file(TEXTS), mmap_mode="r"), job.device)


def _grid_point(
    job: Job, split: int, setting: Setting, number: int, read: TextReader | None
) -> tuple[Towers, GridPoint, npt.NDArray[np.float32]]:
    """Train one grid point; return the towers, their metrics and (n, classes) probabilities of the reported images.

    A training that early stopping ended is measured on val only.
    """
    towers, progress = train(job, split, setting, number, read)
    began = time.perf_counter()
    stopped = None if progress.epoch == job.spec.epochs or progress.diverged else progress.epoch
    if progress.diverged:
        point, scores = diverged_point(setting, progress.epoch), np.empty((0, 0), np.float32)
    else:
        parts = job.splits[split]
        val = compute_logits(job, towers, parts.val, read)
        test = compute_logits(job, towers, parts.test, read) if stopped is None and len(parts.test) else None
        point = job.point(split, setting, progress.epoch, val, test)
        scores = torch.softmax(torch.from_numpy(val if test is None else test), -1).numpy()
    timed = {
        "stopped_at_epoch": stopped,
        "seconds": progress.seconds + time.perf_counter() - began,
        "iteration_seconds": progress.step_seconds / progress.steps,
    }
    return towers, point.model_copy(update=timed), scores


def _log_point(job: Job, split: int, point: GridPoint) -> None:
    name = f"split {split}: base lr {point.base_lr:g}, weight decay {point.weight_decay:g}"
    if point.val is None:
        job.reporter.log(
            f"{name}: diverged in epoch {point.diverged_at_epoch}, and is not chosen", level="warning"
        )
        return
    stopped = "" if point.stopped_at_epoch is None else f", stopped after epoch {point.stopped_at_epoch}"
    job.reporter.log(f"{name}: val {format_metric(job.metric, point.val)}{stopped}")


def _classifier(job: Job) -> ImageClassifier | None:
    """Return split 0's chosen classifier of images, None where texts are read."""
    if job.backbone is None or job.texts is not None:
        return None
    best = ImageClassifier(
        copy.deepcopy(job.backbone), job.new_head(0), job.images.classes, image_size=job.image_size
    )
    best.load_state_dict(job.state.load("predictor"))
    return best.eval()
