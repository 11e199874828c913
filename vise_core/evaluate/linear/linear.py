"""The linear protocol: a classifier on the pooled features of a frozen backbone (Sec. 4.2).

All splits and all points of the grid are trained together, with one batched product per step. An image is decoded,
augmented and sent through the backbone once per epoch, whatever the number of splits and grid points; its crop depends
on (seed, epoch, image) only. Each head ends where training it alone on these images would end. Without augmentation
every epoch reuses the features of the evaluation crop (reported as "cached"). The embeddings of texts are computed
once and concatenated to the image's features (Sec. 4.3).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vise_core.evaluate.early import Running
from vise_core.evaluate.grid import choose_point, learning_rate, require_finished, settings
from vise_core.evaluate.job import Job, Outcome
from vise_core.evaluate.loading import Indices, epoch_batches, in_batches
from vise_core.evaluate.metrics import measure
from vise_core.models.classifier import ImageClassifier

from .gram import GramBatch, gram_pays
from .heads import HeadBatch
from .points import Block, EpochValues, end_points, report_epoch
from .tower_features import TowerFeatures, augmented_features, kept_features, rows_of

SCORE_BATCH = 4096
STEP_BYTES = 2**28
"""Most bytes of the features of one step; splits that need more are trained in several blocks."""


def evaluate_linear(job: Job) -> tuple[list[Outcome], ImageClassifier | None]:
    """Train every split's grid; return the outcomes, and split 0's chosen classifier where images alone are read.

    Raises Stopped with the state saved, Diverged where a split has no point left.
    """
    if job.backbone is not None:
        job.backbone.to(job.device).eval().requires_grad_(False)
    features = kept_features(job)
    blocks = _new_blocks(job, features)
    running = _train(job, blocks, features)
    blocks = [
        Block(splits, heads.on_features() if isinstance(heads, GramBatch) else heads)
        for splits, heads in blocks
    ]
    places = {split: (block.heads, place) for block in blocks for place, split in enumerate(block.splits)}
    outcomes = [
        _outcome(job, split, *places[split], running[split], features) for split in range(len(job.splits))
    ]
    if job.backbone is None or job.texts is not None:
        return outcomes, None
    chosen = running[0].points.index(choose_point(outcomes[0].points))
    head = job.new_head(0).to(job.device)
    heads, place = places[0]
    with torch.no_grad():
        head.weight.copy_(heads.weight[place, chosen])
        head.bias.copy_(heads.bias[place, chosen])
    return outcomes, ImageClassifier(job.backbone, head, job.images.classes, image_size=job.image_size)


def _new_blocks(job: Job, features: TowerFeatures) -> list[Block]:
    decays = [setting.weight_decay for setting in settings(job.spec)]
    heads = [job.new_head(split).to(job.device) for split in range(len(job.splits))]
    # Most images first: at every step, the splits that still have a batch are then the first of the block.
    order = sorted(range(len(heads)), key=lambda split: -len(job.splits[split].train))
    size = max(1, STEP_BYTES // (4 * job.spec.batch * heads[0].in_features))
    blocks, as_combinations = list[Block](), _as_combinations(job)
    rows = rows_of(job, features, np.arange(len(job.images))) if as_combinations else None
    for splits in (order[start : start + size] for start in range(0, len(order), size)):
        own = [heads[split] for split in splits]
        batch = (
            HeadBatch(own, decays, job.spec.optimizer, job.spec.momentum)
            if rows is None
            else GramBatch(own, decays, job.spec.momentum, rows, [job.splits[split] for split in splits])
        )
        blocks.append(Block(splits, batch))
    return blocks


def _as_combinations(job: Job) -> bool:
    """Return whether heads are trained as combinations of the training features (``gram``).

    Not where features change with the epoch, nor under AdamW, whose steps are no combinations of features, nor on a
    GPU, where launching kernels takes most of a step.
    """
    if job.state.facts["epoch"]:
        # Saved heads keep their kind.
        return bool(job.state.facts["combinations"])
    head = job.new_head(0)
    points = len(settings(job.spec))
    return (
        job.spec.optimizer == "sgd"
        and not job.spec.augment
        and job.device.type == "cpu"
        and gram_pays(job.splits, head.in_features, points, head.out_features, job.spec.epochs)
    )


def _train(job: Job, blocks: list[Block], features: TowerFeatures) -> list[Running]:
    """Train the heads; return each split's finished and stopped points. ``blocks`` then hold the finished ones only.

    Resumes from the saved state. Raises Stopped with the state saved.
    """
    first = int(job.state.facts["epoch"])
    running = [Running(list(range(len(settings(job.spec))))) for _ in job.splits]
    if first:
        running = [Running.from_facts(facts) for facts in job.state.facts["running"]]
        for splits, heads in blocks:
            heads.keep([running[split].points for split in splits])
            for place, split in enumerate(splits):
                heads.load_state(place, job.state.load(f"heads-{split}"))
    needed = np.unique(np.concatenate([split.train for split in job.splits]))
    for epoch in range(first, job.spec.epochs):
        if job.reporter.should_stop():
            _save(job, blocks, running, epoch)
            job.state.raise_if_stopped()
        epoch_features = augmented_features(job, epoch, needed, features) if job.spec.augment else features
        results: dict[int, EpochValues] = {}
        for block in blocks:
            losses = _train_epoch(job, block, running, epoch_features, epoch)
            for place, split in enumerate(block.splits):
                results[split] = _validate(job, block, place, losses[place], features)
        report_epoch(job, epoch, [results[split] for split in range(len(job.splits))])
        for block in blocks:
            end_points(job, block, running, results, epoch + 1)
        if job.state.due():
            _save(job, blocks, running, epoch + 1)
    _save(job, blocks, running, job.spec.epochs)
    (job.workspace / "augmented.npy").unlink(missing_ok=True)
    return running


def _save(job: Job, blocks: list[Block], running: list[Running], epoch: int) -> None:
    job.state.save(
        {
            "epoch": epoch,
            "running": [grid.facts() for grid in running],
            "combinations": isinstance(blocks[0].heads, GramBatch),
        },
        values={
            f"heads-{split}": heads.state(place)
            for splits, heads in blocks
            for place, split in enumerate(splits)
        },
    )


def _train_epoch(
    job: Job, block: Block, running: list[Running], features: TowerFeatures, epoch: int
) -> Tensor:
    """Train every split of the block for one epoch; return the mean losses, (splits, g) float64."""
    grid = settings(job.spec)
    heads, g = block.heads, block.heads.weight.shape[1]
    rates = torch.zeros(len(block.splits), g)
    for place, split in enumerate(block.splits):
        own = [learning_rate(grid[number].base_lr, job.spec, epoch) for number in running[split].points]
        rates[place] = torch.tensor(own + own[:1] * (g - len(own)))
    rates = rates.to(job.device)
    images = [len(job.splits[split].train) for split in block.splits]
    order = _epoch_order(job, block.splits, epoch)
    truth = torch.from_numpy(job.images.labels[order]).to(job.device)
    if isinstance(heads, GramBatch):
        losses = heads.epoch(heads.columns(order), truth, rates, images, job.spec.batch)
    else:
        losses = torch.zeros(len(block.splits), g, dtype=torch.float64, device=job.device)
        # Reused: the kernel would have to map new memory at each step.
        buffer = torch.empty(len(order) * job.spec.batch, heads.weight.shape[-1])
        for start in range(0, order.shape[1], job.spec.batch):
            sizes = [min(n - start, job.spec.batch) for n in images if n > start]
            k, end = len(sizes), start + max(sizes)
            rows = rows_of(job, features, order[:k, start:end], buffer)
            step_losses = heads.step(rows, truth[:k, start:end], rates[:k], sizes)
            losses[:k] += step_losses * torch.tensor(sizes, device=job.device)[:, None]
    return losses / torch.tensor(images, device=job.device)[:, None]


def _epoch_order(job: Job, splits: list[int], epoch: int) -> Indices:
    """Return the (splits, steps × batch) indices of the images that each split trains on, in order.

    ``splits`` have descending numbers of images. A shorter last batch is padded with its first image, which does not
    count there.
    """
    batches = [epoch_batches(job.splits[split].train, job.spec, split, epoch) for split in splits]
    order = np.zeros((len(splits), len(batches[0]) * job.spec.batch), np.int64)
    for row, own in zip(order, batches, strict=True):
        row[: len(own) * job.spec.batch] = own[-1][0]
        row[: sum(map(len, own))] = np.concatenate(own)
    return order


def _validate(job: Job, block: Block, place: int, train_loss: Tensor, features: TowerFeatures) -> EpochValues:
    """Measure the heads of the block's split at ``place`` on val after an epoch."""
    heads, val = block.heads, job.splits[block.splits[place]].val
    on_val = (
        heads.val_logits(place) if isinstance(heads, GramBatch) else _logits(job, heads, place, features, val)
    )
    logits = on_val.cpu().numpy()
    measured = [measure(job.curve_metrics, head, job.images.labels[val]) for head in logits]
    losses = train_loss[: heads.counts[place]].cpu().numpy()
    return EpochValues(
        train_loss=losses,
        val_loss=_mean_loss(on_val, torch.from_numpy(job.images.labels[val]).to(job.device)),
        val={
            # A head whose loss is not finite has diverged, whatever its logits are.
            name: np.where(np.isfinite(losses), [values[name] for values in measured], np.nan)
            for name in job.curve_metrics
        },
        logits=logits,
    )


def _logits(job: Job, heads: HeadBatch, place: int, features: TowerFeatures, indices: Indices) -> Tensor:
    """Return the (g, n, classes) logits of the images at ``indices``."""
    batches = in_batches(indices, SCORE_BATCH)
    return torch.cat([heads.logits(place, rows_of(job, features, batch)) for batch in batches], 1)


def _mean_loss(logits: Tensor, labels: Tensor) -> npt.NDArray[np.float64]:
    """Return the (g,) mean cross-entropies of logits (g, n, classes)."""
    loss = torch.zeros(len(logits), dtype=torch.float64, device=logits.device)
    for chunk, truth in zip(logits.split(SCORE_BATCH, 1), labels.split(SCORE_BATCH), strict=True):
        losses = cross_entropy(chunk.transpose(1, 2), truth.expand(len(chunk), -1), reduction="none")
        loss += losses.sum(1)
    return (loss / len(labels)).cpu().numpy()


def _outcome(
    job: Job, split: int, heads: HeadBatch, place: int, running: Running, features: TowerFeatures
) -> Outcome:
    """Return the outcome of a split: its finished heads measured on val, and on test where it has one."""
    parts = job.splits[split]
    val, test = (
        _logits(job, heads, place, features, part).cpu().numpy() if len(part) else None
        for part in (parts.val, parts.test)
    )
    assert val is not None
    points = dict(running.stopped)
    for position, number in enumerate(running.points):
        setting = settings(job.spec)[number]
        on_test = None if test is None else test[position]
        points[number] = job.point(split, setting, job.spec.epochs, val[position], on_test)
    grid = [point for _, point in sorted(points.items())]
    require_finished(split, grid)
    chosen = running.points.index(choose_point(grid))
    logits = torch.from_numpy((val if test is None else test)[chosen])
    return Outcome(grid, torch.softmax(logits, -1).numpy())
