"""One training of the fine-tuned protocol: the towers, end to end, with one setting of the grid (Sec. 4.2, 5.2)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vise_core.evaluate.early import falls_behind
from vise_core.evaluate.grid import Setting, learning_rate, settings
from vise_core.evaluate.job import Job
from vise_core.evaluate.loading import Indices, Transform, epoch_batches, image_batches, in_batches
from vise_core.evaluate.metrics import measure
from vise_core.evaluate.texts import TextBatch, TextReader
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.training.distributed import Group
from vise_core.training.finite import not_finite
from vise_core.training.meters import Meters
from vise_core.training.precision import autocast, grad_scaler, memory_format
from vise_core.training.schedule import set_learning_rate
from vise_core.training.training import Training

from .progress import SAVE_SECONDS, Progress, restore_progress, save_progress
from .towers import Towers, new_towers

SCORE_BATCH = 64
COMPARED = "compared"
"""Name of the saved state's facts for early stopping: training → epoch → val metric."""


def train(
    job: Job, split: int, setting: Setting, number: int, read: TextReader | None
) -> tuple[Towers, Progress]:
    """Train the towers of a split with one setting of the grid; return the towers and the progress (Table 9).

    ``number`` counts the trainings of the evaluation. Resumes from the saved state where it holds this training. A
    training that diverged ends after the epoch in which its loss, its metric on val or a weight was not finite. Raises
    Stopped if the reporter asks to stop, and BadInput, naming the image, if one does not decode.
    """
    spec, device, compute = job.spec, job.device, job.spec.compute
    towers = new_towers(job, split)
    towers.to(device=device, memory_format=memory_format(compute.channels_last))  # type: ignore[call-overload]
    optimizer = _optimizer(towers, spec, setting)
    scaler = grad_scaler(compute.amp, device)
    training = Training(towers, optimizer, scaler, device)
    labels = torch.from_numpy(job.images.labels).to(device)
    trainings = len(job.splits) * len(settings(spec))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Dropout must be the same in every attempt.
        torch.manual_seed((spec.seed * 1009 + number) % 2**31)
        progress = restore_progress(job.state, number, training)
        for epoch in range(progress.epoch, spec.epochs):
            epoch_began = time.perf_counter()
            towers.train()
            set_learning_rate(optimizer, learning_rate(setting.base_lr, spec, epoch))
            batches = _train_batches(job, split, epoch)
            transform = None if job.backbone is None else job.train_transform(job.backbone, epoch)
            meters = Meters(["loss"], device)
            steps_began = time.perf_counter()
            for batch, pixels, texts in _inputs(job, batches, transform, read):
                job.state.raise_if_stopped()
                optimizer.zero_grad(set_to_none=True)
                with autocast(compute.amp, device):
                    loss = cross_entropy(towers(pixels, texts), labels[batch])
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                meters.add({"loss": loss}, weight=len(batch))
                meters.count(len(batch))
            # The mean is not finite where any loss was not.
            train_loss = meters.window_means(Group())["loss"]
            step_seconds = progress.step_seconds + time.perf_counter() - steps_began

            done = number * spec.epochs + epoch + 1
            value = _validate(job, towers, split, done, train_loss, read)
            job.reporter.progress(done, trainings * spec.epochs, "epochs", phase=f"split {split}")
            # Batch-norm's statistics can overflow while the loss is finite: outputs are then divided by infinity.
            weights_are_finite = not_finite(towers.state_dict()) is None
            diverged = not (weights_are_finite and math.isfinite(train_loss) and math.isfinite(value))
            seconds = progress.seconds + time.perf_counter() - epoch_began
            progress = Progress(epoch + 1, progress.steps + len(batches), step_seconds, seconds, diverged)
            if diverged or _stops_early(job, split, number, progress.epoch, value):
                break
            if progress.epoch < spec.epochs and job.state.due(SAVE_SECONDS):
                save_progress(job.state, number, training, progress)
    return towers, progress


@torch.inference_mode()
def compute_logits(
    job: Job, towers: Towers, indices: Indices, read: TextReader | None
) -> npt.NDArray[np.float32]:
    """Return the (n, classes) float32 logits of the images at ``indices``, on the evaluation crop."""
    towers.eval()
    transform = None if job.backbone is None else job.eval_transform(job.backbone)
    parts = []
    for _, pixels, texts in _inputs(job, in_batches(indices, SCORE_BATCH), transform, read):
        with autocast(job.spec.compute.amp, job.device):
            logits = towers(pixels, texts)
        parts.append(logits.float().cpu())
    return torch.cat(parts).numpy()


def _optimizer(towers: nn.Module, spec: EvaluateSpec, setting: Setting) -> torch.optim.Optimizer:
    """Return the spec's optimizer: in the paper SGD for images alone, AdamW for setups with texts (App. C.3)."""
    rate = learning_rate(setting.base_lr, spec, 0)
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(towers.parameters(), rate, weight_decay=setting.weight_decay)
    return torch.optim.SGD(
        towers.parameters(), rate, momentum=spec.momentum, weight_decay=setting.weight_decay
    )


def _train_batches(job: Job, split: int, epoch: int) -> list[Indices]:
    """Return the shuffled batches of an epoch, without a last batch of one image, whose variance batch-norm needs."""
    batches = epoch_batches(job.splits[split].train, job.spec, split, epoch)
    if job.backbone is not None and len(batches) > 1 and len(batches[-1]) == 1:
        return batches[:-1]
    return batches


def _inputs(
    job: Job, batches: list[Indices], transform: Transform | None, read: TextReader | None
) -> Iterator[tuple[Indices, Tensor | None, TextBatch | None]]:
    """Yield (indices, images, texts) of each batch, on the device; None where no tower reads them."""
    compute = job.spec.compute
    layout = memory_format(compute.channels_last)
    images: Iterable[tuple[Indices, Tensor | None]] = (
        ((batch, None) for batch in batches)
        if transform is None
        else image_batches(job.images, batches, transform, compute.loader_workers)
    )
    for batch, pixels in images:
        moved = None if pixels is None else pixels.to(job.device, memory_format=layout)
        yield batch, moved, None if read is None else read(batch)


def _validate(
    job: Job, towers: Towers, split: int, step: int, train_loss: float, read: TextReader | None
) -> float:
    """Report the curves after an epoch, and return the metric on val.

    ``step`` counts the epochs of all trainings, one after the other.
    """
    val = job.splits[split].val
    logits, labels = compute_logits(job, towers, val, read), job.images.labels[val]
    val_loss = float(cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
    values = {"train_loss": train_loss, "val_loss": val_loss}
    measured = measure(job.curve_metrics, logits, labels)
    values |= {f"val_{name}": value for name, value in measured.items()}
    job.reporter.metrics(step, values, epoch=(step - 1) % job.spec.epochs + 1)
    return measured[job.metric]


def _stops_early(job: Job, split: int, number: int, epoch: int, value: float) -> bool:
    """Return whether early stopping ends this training now, compared with the split's earlier trainings."""
    rule = job.spec.early_stopping
    if rule is None or epoch not in rule.epochs:
        return False
    compared: dict[str, dict[str, float]] = job.state.facts.setdefault(COMPARED, {})
    compared.setdefault(str(number), {})[str(epoch)] = value
    first = split * len(settings(job.spec))
    before = [compared.get(str(n), {}).get(str(epoch)) for n in range(first, number)]
    return falls_behind(rule, epoch, value, [v for v in before if v is not None])
