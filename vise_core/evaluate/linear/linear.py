"""The linear protocol: a classifier on the pooled features of a frozen backbone (Sec. 4.2).

All splits and all points of the grid go through the epochs together, one batched product a step for all of them.
An image is augmented, decoded and sent through the backbone once an epoch, whatever the number of splits and grid
points; the draw depends on (seed, epoch, image) only. Each head ends where training it alone on these images would
end.
Without augmentation every epoch reuses the features of the evaluation crop (reported as "cached").
Where texts are read, their embeddings stand beside the image's features (Sec. 4.3); they are computed once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vise_core.evaluate.cache import features_key, keep, take
from vise_core.evaluate.early import Running
from vise_core.evaluate.features import write_features
from vise_core.evaluate.grid import choose_point, learning_rate, require_finished, settings
from vise_core.evaluate.job import Job, Outcome
from vise_core.evaluate.loading import Indices, Transform, epoch_batches, in_batches
from vise_core.evaluate.metrics import measure
from vise_core.evaluate.texts import TEXTS
from vise_core.models.backbones import Backbone
from vise_core.models.classifier import ImageClassifier

from .gram import GramBatch, gram_pays
from .heads import HeadBatch
from .points import Block, EpochValues, end_points, report_epoch

SCORE_BATCH = 4096
IMAGES = "features.npy"
STEP_BYTES = 2**28
"""Features of a step's batches; splits that would need more are trained in several blocks."""
Towers = list[Tensor]
"""(n, features) of all images under each tower that there is, float32 or float16; each shares the memory of a mapped file."""


def evaluate_linear(job: Job) -> tuple[list[Outcome], ImageClassifier | None]:
    """Every split's grid, and split 0's chosen classifier where images alone are read.

    Raises Stopped with the state saved, Diverged where a split has no point left.
    """
    if job.backbone is not None:
        job.backbone.to(job.device).eval().requires_grad_(False)
    features = _kept_features(job)
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


def _new_blocks(job: Job, features: Towers) -> list[Block]:
    decays = [setting.weight_decay for setting in settings(job.spec)]
    heads = [job.new_head(split).to(job.device) for split in range(len(job.splits))]
    # So that those which still have a batch at some step of an epoch are the first ones of the block.
    order = sorted(range(len(heads)), key=lambda split: -len(job.splits[split].train))
    size = max(1, STEP_BYTES // (4 * job.spec.batch * heads[0].in_features))
    blocks, as_combinations = list[Block](), _as_combinations(job)
    rows = _rows(job, features, np.arange(len(job.images))) if as_combinations else None
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
    """Whether heads are trained as combinations of the training features (``gram``).

    Not where features change with the epoch, nor under AdamW, whose steps are no combinations of features; nor on a GPU,
    where a step takes as long as its kernels take to start.
    """
    if job.state.facts["epoch"]:
        # Saved heads go on as what they were saved as.
        return bool(job.state.facts["combinations"])
    head = job.new_head(0)
    points = len(settings(job.spec))
    return (
        job.spec.optimizer == "sgd"
        and not job.spec.augment
        and job.device.type == "cpu"
        and gram_pays(job.splits, head.in_features, points, head.out_features, job.spec.epochs)
    )


def _kept_features(job: Job) -> Towers:
    """What the towers make of every image's evaluation crop and text: computed once, kept in the state."""
    names = [name for name, read in ((IMAGES, job.backbone), (TEXTS, job.texts)) if read is not None]
    if not job.state.facts:
        if job.backbone is not None:
            _image_features(job, job.backbone, job.workspace / IMAGES)
        if job.texts is not None:
            job.embed_texts(job.workspace / TEXTS)
        job.state.save({"epoch": 0}, files={name: job.workspace / name for name in names})
    # Copy on write: torch wants memory that it may write to, and the file stays as it is.
    return [torch.from_numpy(np.load(job.state.file(name), mmap_mode="c")) for name in names]


def _image_features(job: Job, backbone: Backbone, path: Path) -> None:
    """The features of all evaluation crops, as ``.npy``: from the cache where they were computed before."""
    everything, transform = np.arange(len(job.images)), job.eval_transform(backbone)
    # A run that was killed may have left a second name of a kept file here, which must not be written to.
    path.unlink(missing_ok=True)
    if job.cache is None:
        _extract(job, backbone, everything, transform, path, "features")
        return
    dtype = np.dtype(job.spec.feature_dtype)
    key = features_key(backbone, job.images, job.image_size, dtype, job.spec.compute, job.device, job.digests)
    # A cache that cannot be used, such as on a full disk, is no reason to fail.
    try:
        if take(job.cache, key, (len(job.images), backbone.feature_dim), dtype, path):
            job.reporter.log(
                "features of these images under these weights were computed before: taken as they are"
            )
            return
    except OSError as error:
        job.reporter.log(f"the cache of features cannot be read: {error}", level="warning")
    _extract(job, backbone, everything, transform, path, "features")
    try:
        keep(job.cache, key, path)
    except OSError as error:
        job.reporter.log(f"features are not kept for other runs: {error}", level="warning")


def _augmented_features(job: Job, epoch: int, needed: Indices, kept: Towers) -> Towers:
    """The same with the image's features of an epoch's crop; a text has no crops."""
    if job.backbone is None:
        return kept
    transform = job.train_transform(job.backbone, epoch)
    path, phase = job.workspace / "augmented.npy", f"epoch {epoch + 1}"
    return [_extract(job, job.backbone, needed, transform, path, phase), *kept[1:]]


def _extract(
    job: Job, backbone: Backbone, indices: Indices, transform: Transform, path: Path, phase: str
) -> Tensor:
    between = job.between(len(indices), "images", phase)
    return torch.from_numpy(
        write_features(
            backbone,
            job.images,
            indices,
            transform,
            path,
            job.spec.compute,
            job.device,
            dtype=job.spec.feature_dtype,
            between=between,
        )
    )


def _rows(job: Job, towers: Towers, indices: Indices, buffer: Tensor | None = None) -> Tensor:
    """(…, features) float32 for indices of any shape: of each image all towers' features, side by side.

    On a CPU they lie in ``buffer``, (at least as many, features), where there is one.
    """
    at, dims = torch.from_numpy(indices.reshape(-1)), [features.shape[1] for features in towers]
    rows = torch.empty(len(at), sum(dims)) if buffer is None else buffer[: len(at)]
    for features, part in zip(towers, rows.split(dims, 1), strict=True):
        if features.dtype == part.dtype:
            torch.index_select(features, 0, at, out=part)
        else:
            part.copy_(features[at])
    return rows.to(job.device).view(*indices.shape, -1)


def _train(job: Job, blocks: list[Block], features: Towers) -> list[Running]:
    """Trains the heads; which points of each split's grid got to the end. ``blocks`` hold those only."""
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
        seen = _augmented_features(job, epoch, needed, features) if job.spec.augment else features
        results: dict[int, EpochValues] = {}
        for block in blocks:
            losses = _train_epoch(job, block, running, seen, epoch)
            for place, split in enumerate(block.splits):
                results[split] = _judge(job, block, place, losses[place], features)
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


def _train_epoch(job: Job, block: Block, running: list[Running], seen: Towers, epoch: int) -> Tensor:
    """Every split of the block goes once through its images; the mean losses, (splits, g) float64."""
    grid = settings(job.spec)
    heads, g = block.heads, block.heads.weight.shape[1]
    rates = torch.zeros(len(block.splits), g)
    for place, split in enumerate(block.splits):
        own = [learning_rate(grid[number].base_lr, job.spec, epoch) for number in running[split].points]
        rates[place] = torch.tensor(own + own[:1] * (g - len(own)))
    rates = rates.to(job.device)
    images = [len(job.splits[split].train) for split in block.splits]
    order = _side_by_side(job, block.splits, epoch)
    truth = torch.from_numpy(job.images.labels[order]).to(job.device)
    if isinstance(heads, GramBatch):
        losses = heads.epoch(heads.columns(order), truth, rates, images, job.spec.batch)
    else:
        losses = torch.zeros(len(block.splits), g, dtype=torch.float64, device=job.device)
        # Memory that is new at each step would have to be mapped by the kernel at each step.
        buffer = torch.empty(len(order) * job.spec.batch, heads.weight.shape[-1])
        for start in range(0, order.shape[1], job.spec.batch):
            sizes = [min(n - start, job.spec.batch) for n in images if n > start]
            k, end = len(sizes), start + max(sizes)
            rows = _rows(job, seen, order[:k, start:end], buffer)
            found = heads.step(rows, truth[:k, start:end], rates[:k], sizes)
            losses[:k] += found * torch.tensor(sizes, device=job.device)[:, None]
    return losses / torch.tensor(images, device=job.device)[:, None]


def _side_by_side(job: Job, splits: list[int], epoch: int) -> Indices:
    """(splits, steps · batch): what each split trains on, those with most images first.

    A last batch that is shorter is filled up with its first image, which then does not count again.
    """
    batches = [epoch_batches(job.splits[split].train, job.spec, split, epoch) for split in splits]
    order = np.zeros((len(splits), len(batches[0]) * job.spec.batch), np.int64)
    for row, own in zip(order, batches, strict=True):
        row[: len(own) * job.spec.batch] = own[-1][0]
        row[: sum(map(len, own))] = np.concatenate(own)
    return order


def _judge(job: Job, block: Block, place: int, train_loss: Tensor, features: Towers) -> EpochValues:
    """What the heads of a block's split, the one at ``place``, are worth on val after an epoch."""
    heads, val = block.heads, job.splits[block.splits[place]].val
    found = (
        heads.val_logits(place) if isinstance(heads, GramBatch) else _logits(job, heads, place, features, val)
    )
    logits = found.cpu().numpy()
    measured = [measure(job.curve_metrics, one, job.images.labels[val]) for one in logits]
    losses = train_loss[: heads.counts[place]].cpu().numpy()
    return EpochValues(
        train_loss=losses,
        val_loss=_mean_loss(found, torch.from_numpy(job.images.labels[val]).to(job.device)),
        val={
            # Where the loss is not finite, the head is lost, whatever its logits still are.
            name: np.where(np.isfinite(losses), [values[name] for values in measured], np.nan)
            for name in job.curve_metrics
        },
        logits=logits,
    )


def _logits(job: Job, heads: HeadBatch, place: int, features: Towers, indices: Indices) -> Tensor:
    """(g, n, classes) of images."""
    batches = in_batches(indices, SCORE_BATCH)
    return torch.cat([heads.logits(place, _rows(job, features, batch)) for batch in batches], 1)


def _mean_loss(logits: Tensor, labels: Tensor) -> npt.NDArray[np.float64]:
    """(g,) mean cross-entropies of logits (g, n, classes)."""
    loss = torch.zeros(len(logits), dtype=torch.float64, device=logits.device)
    for some, truth in zip(logits.split(SCORE_BATCH, 1), labels.split(SCORE_BATCH), strict=True):
        each = cross_entropy(some.transpose(1, 2), truth.expand(len(some), -1), reduction="none")
        loss += each.sum(1)
    return (loss / len(labels)).cpu().numpy()


def _outcome(
    job: Job, split: int, heads: HeadBatch, place: int, running: Running, features: Towers
) -> Outcome:
    """The metrics after the last epoch; test counts only where there is one."""
    parts = job.splits[split]
    val, test = (
        _logits(job, heads, place, features, part).cpu().numpy() if len(part) else None
        for part in (parts.val, parts.test)
    )
    assert val is not None
    found = dict(running.stopped)
    for position, number in enumerate(running.points):
        setting = settings(job.spec)[number]
        on_test = None if test is None else test[position]
        found[number] = job.point(split, setting, job.spec.epochs, val[position], on_test)
    points = [point for _, point in sorted(found.items())]
    require_finished(split, points)
    chosen = running.points.index(choose_point(points))
    logits = torch.from_numpy((val if test is None else test)[chosen])
    return Outcome(points, torch.softmax(logits, -1).numpy())
