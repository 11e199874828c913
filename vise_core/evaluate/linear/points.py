"""The grid points of every split after an epoch: report their curves, and end those that diverged or fell behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vise_core.evaluate.early import Running, falls_behind
from vise_core.evaluate.grid import Setting, choose, diverged_point, require_finished, settings
from vise_core.evaluate.job import Job

from .heads import HeadBatch

CURVES_OF_SPLITS = 10
"""Most splits with a curve each: more would make the charts unreadable."""


class Block(NamedTuple):
    """Splits that are trained together, those with most images first, and their heads in the same order."""

    splits: list[int]
    heads: HeadBatch


class EpochValues(NamedTuple):
    """Losses and metrics of the g heads of one split after an epoch, each (g,)."""

    train_loss: npt.NDArray[np.float64]
    val_loss: npt.NDArray[np.float64]
    val: dict[str, npt.NDArray[np.float64]]
    """Metric → values on val, NaN where the head diverged."""
    logits: npt.NDArray[np.float32]
    """(g, n, classes) logits on val."""

    @property
    def diverged(self) -> npt.NDArray[np.bool_]:
        """Mask of the heads whose training loss or metrics are not finite, (g,) bool."""
        finite = [np.isfinite(self.train_loss), *(np.isfinite(values) for values in self.val.values())]
        diverged: npt.NDArray[np.bool_] = ~np.logical_and.reduce(finite)
        return diverged


def report_epoch(job: Job, epoch: int, results: list[EpochValues]) -> None:
    """Report the curves of each split's best head on val after this epoch, averaged over splits.

    Where every head of a split diverged, the first head is reported, and the curves end in NaN.
    """
    leaders = [0 if result.diverged.all() else choose(result.val[job.metric].tolist()) for result in results]
    pairs = list(zip(results, leaders, strict=True))
    values = {
        "train_loss": float(np.mean([result.train_loss[lead] for result, lead in pairs])),
        "val_loss": float(np.mean([result.val_loss[lead] for result, lead in pairs])),
    }
    for name in job.curve_metrics:
        values[f"val_{name}"] = float(np.mean([result.val[name][lead] for result, lead in pairs]))
    for split, (result, lead) in enumerate(pairs[:CURVES_OF_SPLITS] if len(pairs) > 1 else ()):
        values[f"val_{job.metric}/split{split}"] = float(result.val[job.metric][lead])
    job.reporter.metrics(epoch + 1, values, epoch=epoch + 1)
    job.reporter.progress(epoch + 1, job.spec.epochs, "epochs", phase="linear classifiers")


def end_points(
    job: Job, block: Block, running: list[Running], results: dict[int, EpochValues], epoch: int
) -> None:
    """Drop the heads that diverged in this epoch or that early stopping ends after it; record their grid points.

    Raises Diverged where a split has no head left.
    """
    grid, kept = settings(job.spec), []
    for split in block.splits:
        values, points = results[split].val[job.metric].tolist(), running[split].points
        diverged = results[split].diverged.tolist()
        behind = [
            not bad and falls_behind(job.spec.early_stopping, epoch, value, values)
            for bad, value in zip(diverged, values, strict=True)
        ]
        for position, number in enumerate(points):
            if diverged[position]:
                running[split].stopped[number] = diverged_point(grid[number], epoch)
            elif behind[position]:
                point = job.point(split, grid[number], epoch, results[split].logits[position], None)
                running[split].stopped[number] = point.model_copy(update={"stopped_at_epoch": epoch})
        kept.append(
            [position for position in range(len(points)) if not diverged[position] and not behind[position]]
        )
        running[split].points = [points[position] for position in kept[-1]]
        if any(diverged):
            _warn_of_diverged(
                job, split, [grid[n] for n, bad in zip(points, diverged, strict=True) if bad], epoch
            )
        if not kept[-1]:
            require_finished(split, [point for _, point in sorted(running[split].stopped.items())])
        if any(behind):
            job.reporter.log(
                f"split {split}: {sum(behind)} points of the grid were stopped after epoch {epoch}, "
                f"{len(kept[-1])} continue"
            )
    if [len(positions) for positions in kept] != block.heads.counts:
        block.heads.keep(kept)


def _warn_of_diverged(job: Job, split: int, diverged: Sequence[Setting], epoch: int) -> None:
    each = "; ".join(f"base lr {point.base_lr:g}, weight decay {point.weight_decay:g}" for point in diverged)
    job.reporter.log(
        f"split {split}: {len(diverged)} points of the grid diverged in epoch {epoch} and are not chosen: {each}",
        level="warning",
    )
