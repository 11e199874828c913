"""The fine-tuned protocol: the towers are trained, end to end, from the pretrained ones (Sec. 4.2, 5.2)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vise_core.evaluate.early import falls_behind
from vise_core.evaluate.grid import Setting, diverged_point, learning_rate, require_finished, settings
from vise_core.evaluate.job import Job, Outcome
from vise_core.evaluate.loading import Indices, Look, epoch_batches, image_batches, in_batches
from vise_core.evaluate.metrics import measure
from vise_core.evaluate.texts import TEXTS, Words
from vise_core.models.classifier import ImageClassifier
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.results import GridPoint
from vise_core.specs.tasks.metrics import written
from vise_core.training.finite import not_finite
from vise_core.training.precision import autocast, memory_format, precision
from vise_core.training.state import to_tensor

from .midway import NAME, SAVE_SECONDS, Midway, Training, load_midway, save_midway
from .towers import Towers, new_towers

SCORE_BATCH = 64
COMPARED = "compared"
"""In the state: training → epoch → val metric, where early stopping compares."""

Reads = Callable[[Indices], Words]


def evaluate_finetuned(job: Job) -> tuple[list[Outcome], ImageClassifier | None]:
    """Every split's grid one training after the other, and split 0's chosen classifier of images.

    A finished training is kept in the state, and so, every few minutes, is the one in progress after an epoch. What
    is lost by stopping or a crash is done again with the same result. No classifier where texts are read.
    Raises Diverged where no training of a split ends with finite numbers.
    """
    grid = settings(job.spec)
    read = _reader(job)
    done: list[dict[str, Any]] = list(job.state.facts.get("done", []))
    for number in range(len(done), len(job.splits) * len(grid)):
        split, setting = number // len(grid), grid[number % len(grid)]
        towers, point, scores = _training(job, split, setting, number, read)
        before = [GridPoint.model_validate(p) for p in done[split * len(grid) :]]
        earlier = [p.val for p in before if p.finished and p.val is not None]
        keep: dict[str, dict[str, Tensor]] = {}
        # The first of a split have nothing to be compared with: one at least gets to the end.
        if point.finished and point.val is not None and (not earlier or point.val > max(earlier)):
            keep[f"best-{split}"] = {"scores": to_tensor(scores)}
            if split == 0 and job.texts is None:
                keep["predictor"] = dict(towers.state_dict())
        done = [*done, point.model_dump()]
        facts = {"done": done, COMPARED: job.state.facts.get(COMPARED, {})}
        job.state.save(facts, tensors=keep, drop=[NAME])
        _log_point(job, split, point)
        if len(before) + 1 == len(grid):
            require_finished(split, [*before, point])
    outcomes = []
    for split in range(len(job.splits)):
        points = [GridPoint.model_validate(p) for p in done[split * len(grid) : (split + 1) * len(grid)]]
        require_finished(split, points)
        outcomes.append(Outcome(points, job.state.tensors(f"best-{split}")["scores"].numpy()))
    return outcomes, _classifier(job)


def _log_point(job: Job, split: int, point: GridPoint) -> None:
    of = f"split {split}: base lr {point.base_lr:g}, weight decay {point.weight_decay:g}"
    if point.val is None:
        job.reporter.log(
            f"{of}: diverged in epoch {point.diverged_at_epoch}, and is not chosen", level="warning"
        )
        return
    stopped = "" if point.stopped_at_epoch is None else f", stopped after epoch {point.stopped_at_epoch}"
    job.reporter.log(f"{of}: val {written(job.metric, point.val)}{stopped}")


def _reader(job: Job) -> Reads | None:
    """How a batch of texts is read, None where none is. A frozen tower's embeddings are computed first."""
    if job.texts is None:
        return None
    if job.spec.trains_text:
        return job.texts.reader(None, job.device)
    if not job.state.facts:
        job.embed_texts(job.workspace / TEXTS)
        job.state.save({"done": []}, moved={TEXTS: job.workspace / TEXTS})
    return job.texts.reader(np.load(job.state.file(TEXTS), mmap_mode="r"), job.device)


def _classifier(job: Job) -> ImageClassifier | None:
    if job.backbone is None or job.texts is not None:
        return None
    best = ImageClassifier(
        copy.deepcopy(job.backbone), job.new_head(0), job.images.classes, image_size=job.image_size
    )
    best.load_state_dict(job.state.tensors("predictor"))
    return best.eval()


def _training(
    job: Job, split: int, setting: Setting, number: int, read: Reads | None
) -> tuple[Towers, GridPoint, npt.NDArray[np.float32]]:
    """One point of the grid: the trained towers, their metrics, their probabilities for the reported images."""
    towers, took = train(job, split, setting, number, read)
    began = time.perf_counter()
    ended = took.epoch if took.epoch < job.spec.epochs else None
    if took.diverged:
        point, scores = diverged_point(setting, took.epoch), np.empty((0, 0), np.float32)
    else:
        point, scores = _judge(job, towers, split, setting, took.epoch, read, test=ended is None)
    timed = {
        "stopped_at_epoch": None if took.diverged else ended,
        "seconds": took.seconds + time.perf_counter() - began,
        "iteration_seconds": took.stepping / took.steps,
    }
    return towers, point.model_copy(update=timed), scores


def train(job: Job, split: int, setting: Setting, number: int, read: Reads | None) -> tuple[Towers, Midway]:
    """The trained towers of a split and grid point, and what it took (Table 9).

    One that diverged ends after the epoch in which its loss, its metric on val or a weight was not finite.

    ``number`` counts the trainings of the evaluation. Goes on from the state where it was in the middle of this one.
    """
    spec, device = job.spec, job.device
    towers = new_towers(job, split)
    layout = memory_format(spec.compute, device)
    towers = towers.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    scaler = torch.amp.GradScaler(device.type, enabled=precision(spec.compute, device) is torch.float16)
    training = Training(towers, _optimizer(towers, spec, setting), scaler)
    labels = torch.from_numpy(job.images.labels).to(device)
    trainings = len(job.splits) * len(settings(spec))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # For networks that draw while they train; the same in every attempt.
        torch.manual_seed((spec.seed * 1009 + number) % 2**31)
        at = load_midway(job.state, number, training, device)
        for epoch in range(at.epoch, spec.epochs):
            entered = time.perf_counter()
            towers.train()
            for group in training.optimizer.param_groups:
                group["lr"] = learning_rate(setting.base_lr, spec, epoch)
            batches = epoch_batches(job.splits[split].train, spec, split, epoch)
            if job.backbone is not None and len(batches) > 1 and len(batches[-1]) == 1:
                batches = batches[:-1]  # batch-norm has no variance over one image
            look = None if job.backbone is None else job.augmented_look(job.backbone, epoch)
            # On the device: a GPU is not waited for at each step. Once a loss is not finite, neither is the sum.
            total = torch.zeros((), dtype=torch.float64, device=device)
            began = time.perf_counter()
            for batch, pixels, words in _inputs(job, batches, look, read):
                job.state.raise_if_stopped()
                training.optimizer.zero_grad(set_to_none=True)
                with autocast(spec.compute, device):
                    loss = cross_entropy(towers(pixels, words), labels[batch])
                scaler.scale(loss).backward()
                scaler.step(training.optimizer)
                scaler.update()
                total += loss.detach().double() * len(batch)
            train_loss = float(total) / sum(map(len, batches))
            stepping = at.stepping + time.perf_counter() - began
            done = number * spec.epochs + epoch + 1
            value = _report(job, towers, split, done, train_loss, read)
            job.reporter.progress(done, trainings * spec.epochs, "epochs", phase=f"split {split}")
            seconds = at.seconds + time.perf_counter() - entered
            # Batch-norm's statistics can overflow while the loss is finite: outputs are then divided by infinity.
            weights_lost = not_finite(towers.state_dict()) is not None
            diverged = weights_lost or not (math.isfinite(train_loss) and math.isfinite(value))
            at = Midway(epoch + 1, at.steps + len(batches), stepping, seconds, diverged)
            if diverged or _hopeless(job, split, number, at.epoch, value):
                break
            if at.epoch < spec.epochs and job.state.due(SAVE_SECONDS):
                save_midway(job.state, number, training, at, device)
    return towers, at


def _hopeless(job: Job, split: int, number: int, epoch: int, value: float) -> bool:
    """Whether early stopping ends this training here, compared with the split's trainings before it."""
    rule = job.spec.early_stopping
    if rule is None or epoch not in rule.epochs:
        return False
    compared: dict[str, dict[str, float]] = job.state.facts.setdefault(COMPARED, {})
    compared.setdefault(str(number), {})[str(epoch)] = value
    first = split * len(settings(job.spec))
    before = [compared.get(str(n), {}).get(str(epoch)) for n in range(first, number)]
    return falls_behind(rule, epoch, value, [v for v in before if v is not None])


def _inputs(
    job: Job, batches: list[Indices], look: Look | None, read: Reads | None
) -> Iterator[tuple[Indices, Tensor | None, Words | None]]:
    """(indices, images, texts) of each batch, on the device; None for what is not read."""
    layout, workers = memory_format(job.spec.compute, job.device), job.spec.compute.loader_workers
    seen: Iterable[tuple[Indices, Tensor | None]] = (
        ((batch, None) for batch in batches)
        if look is None
        else image_batches(job.images, batches, look, workers)
    )
    for batch, pixels in seen:
        moved = None if pixels is None else pixels.to(job.device, memory_format=layout)
        yield batch, moved, None if read is None else read(batch)


def _optimizer(towers: nn.Module, spec: EvaluateSpec, setting: Setting) -> torch.optim.Optimizer:
    rate = learning_rate(setting.base_lr, spec, 0)
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(towers.parameters(), rate, weight_decay=setting.weight_decay)
    return torch.optim.SGD(
        towers.parameters(), rate, momentum=spec.momentum, weight_decay=setting.weight_decay
    )


def _report(job: Job, towers: Towers, split: int, step: int, train_loss: float, read: Reads | None) -> float:
    """Curves of one training after the other; the step counts epochs over all of them. The metric on val."""
    val = job.splits[split].val
    logits, labels = _logits(job, towers, val, read), job.images.labels[val]
    val_loss = float(cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
    values = {"train_loss": train_loss, "val_loss": val_loss}
    measured = measure(job.curve_metrics, logits, labels)
    values |= {f"val_{name}": value for name, value in measured.items()}
    job.reporter.metrics(step, values, epoch=(step - 1) % job.spec.epochs + 1)
    return measured[job.metric]


def _judge(
    job: Job, towers: Towers, split: int, setting: Setting, epoch: int, read: Reads | None, *, test: bool
) -> tuple[GridPoint, npt.NDArray[np.float32]]:
    """The metrics of a training, and its probabilities for the reported images; on val only without ``test``."""
    parts = job.splits[split]
    val = _logits(job, towers, parts.val, read)
    on_test = _logits(job, towers, parts.test, read) if test and len(parts.test) else None
    scores = torch.softmax(torch.from_numpy(val if on_test is None else on_test), -1).numpy()
    return job.point(split, setting, epoch, val, on_test), scores


@torch.inference_mode()
def _logits(job: Job, towers: Towers, indices: Indices, read: Reads | None) -> npt.NDArray[np.float32]:
    """(n, classes) float32 on the evaluation crop."""
    towers.eval()
    look = None if job.backbone is None else job.plain_look(job.backbone)
    parts = []
    for _, pixels, words in _inputs(job, in_batches(indices, SCORE_BATCH), look, read):
        with autocast(job.spec.compute, job.device):
            out = towers(pixels, words)
        parts.append(out.float().cpu())
    return torch.cat(parts).numpy()
