"""The fine-tuned protocol: every weight is trained, end to end, from the pretrained ones (Sec. 4.2)."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vise_core.models.classifier import ImageClassifier
from vise_core.specs.evaluate import EvaluateSpec, GridPoint
from vise_core.specs.tasks import written

from .device import autocast, memory_format, precision
from .grid import Setting, learning_rate, settings
from .job import Job, Outcome
from .loading import augmented_look, epoch_batches, image_batches, in_batches, plain_look
from .metrics import measure
from .state import to_tensor

SCORE_BATCH = 64


def evaluate_finetuned(job: Job) -> tuple[list[Outcome], ImageClassifier]:
    """Every split's grid one training after the other, and split 0's chosen classifier.

    A finished training is kept in the state. Stopping or a crash costs the training in progress only, which
    starts again from its first epoch with the same result.
    """
    grid = settings(job.spec)
    done: list[dict[str, Any]] = list(job.state.facts.get("done", []))
    for number in range(len(done), len(job.splits) * len(grid)):
        split, setting = number // len(grid), grid[number % len(grid)]
        began = time.perf_counter()
        classifier, step_seconds = _train(job, split, setting, number)
        point, scores = _judge(job, classifier, split, setting)
        point = point.model_copy(
            update={"seconds": time.perf_counter() - began, "iteration_seconds": step_seconds}
        )
        earlier = [p["val"] for p in done[split * len(grid) :]]
        keep: dict[str, dict[str, Tensor]] = {}
        if not earlier or point.val > max(earlier):
            keep[f"best-{split}"] = {"scores": to_tensor(scores)}
            if split == 0:
                keep["predictor"] = dict(classifier.state_dict())
        done = [*done, point.model_dump()]
        job.state.save({"done": done}, tensors=keep)
        job.reporter.log(
            f"split {split}: base lr {setting.base_lr:g}, weight decay {setting.weight_decay:g}: "
            f"val {written(job.metric, point.val)}"
        )
    outcomes = []
    for split in range(len(job.splits)):
        points = [GridPoint.model_validate(p) for p in done[split * len(grid) : (split + 1) * len(grid)]]
        outcomes.append(Outcome(points, job.state.tensors(f"best-{split}")["scores"].numpy()))
    best = job.new_classifier(copy.deepcopy(job.backbone), 0)
    best.load_state_dict(job.state.tensors("predictor"))
    return outcomes, best.eval()


def _train(job: Job, split: int, setting: Setting, number: int) -> tuple[ImageClassifier, float]:
    """The trained classifier, and the mean seconds of a step (Table 9)."""
    spec, device = job.spec, job.device
    classifier = job.new_classifier(copy.deepcopy(job.backbone), split).requires_grad_(True)
    layout = memory_format(spec.compute, device)
    classifier = classifier.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = _optimizer(classifier, spec, setting)
    scaler = torch.amp.GradScaler(device.type, enabled=precision(spec.compute, device) is torch.float16)
    labels = torch.from_numpy(job.images.labels).to(device)
    trainings = len(job.splits) * len(settings(spec))
    seconds, steps = 0.0, 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # For networks that draw while they train; the same in every attempt.
        torch.manual_seed((spec.seed * 1009 + number) % 2**31)
        for epoch in range(spec.epochs):
            classifier.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(setting.base_lr, spec, epoch)
            batches = epoch_batches(job.splits[split].train, spec, split, epoch)
            if len(batches) > 1 and len(batches[-1]) == 1:
                batches = batches[:-1]  # batch-norm has no variance over one image
            look = augmented_look(classifier.image_size, classifier.mean, classifier.std, spec.seed, epoch)
            total, began = 0.0, time.perf_counter()
            for batch, pixels in image_batches(job.images, batches, look, spec.compute.loader_workers):
                job.state.raise_if_stopped()
                optimizer.zero_grad(set_to_none=True)
                with autocast(spec.compute, device):
                    loss = cross_entropy(classifier(pixels.to(device, memory_format=layout)), labels[batch])
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                total += float(loss.detach()) * len(batch)
            seconds, steps = seconds + time.perf_counter() - began, steps + len(batches)
            _report(job, classifier, split, number * spec.epochs + epoch + 1, total / sum(map(len, batches)))
            job.reporter.progress(
                number * spec.epochs + epoch + 1, trainings * spec.epochs, "epochs", phase=f"split {split}"
            )
    return classifier, seconds / steps


def _optimizer(classifier: nn.Module, spec: EvaluateSpec, setting: Setting) -> torch.optim.Optimizer:
    rate = learning_rate(setting.base_lr, spec, 0)
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(classifier.parameters(), rate, weight_decay=setting.weight_decay)
    return torch.optim.SGD(
        classifier.parameters(), rate, momentum=spec.momentum, weight_decay=setting.weight_decay
    )


def _report(job: Job, classifier: ImageClassifier, split: int, step: int, train_loss: float) -> None:
    """Curves of one training after the other; the step counts epochs over all of them."""
    val = job.splits[split].val
    logits, labels = _logits(job, classifier, val), job.images.labels[val]
    val_loss = float(cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
    values = {"train_loss": train_loss, "val_loss": val_loss}
    values |= {f"val_{name}": value for name, value in measure(job.curve_metrics, logits, labels).items()}
    job.reporter.metrics(step, values, epoch=(step - 1) % job.spec.epochs + 1)


def _judge(
    job: Job, classifier: ImageClassifier, split: int, setting: Setting
) -> tuple[GridPoint, npt.NDArray[np.float32]]:
    """The metrics of a finished training, and its probabilities for the reported images."""
    parts = job.splits[split]
    val = _logits(job, classifier, parts.val)
    test = _logits(job, classifier, parts.test) if len(parts.test) else None
    scores = torch.softmax(torch.from_numpy(val if test is None else test), -1).numpy()
    return job.point(split, setting, val, test), scores


@torch.inference_mode()
def _logits(job: Job, classifier: ImageClassifier, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """(n, classes) float32 on the evaluation crop."""
    classifier.eval()
    look = plain_look(classifier.image_size, classifier.resize, classifier.mean, classifier.std)
    layout, parts = memory_format(job.spec.compute, job.device), []
    workers = job.spec.compute.loader_workers
    for _, pixels in image_batches(job.images, in_batches(indices, SCORE_BATCH), look, workers):
        with autocast(job.spec.compute, job.device):
            out = classifier(pixels.to(job.device, memory_format=layout))
        parts.append(out.float().cpu())
    return torch.cat(parts).numpy()
