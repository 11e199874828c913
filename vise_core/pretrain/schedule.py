"""The learning rate as a pure function of the iteration (Sec. 3.3, App. C.1)."""

from __future__ import annotations

import math

from vise_core.specs.pretrain import CosineDecay, EvenDecay, PretrainSpec

REFERENCE_BATCH = 256


def learning_rate(iteration: int, total: int, spec: PretrainSpec) -> float:
    """The rate that iteration ``iteration`` (from 0) of ``total`` is taken with.

    App. C.1: base_lr/256 x global batch; linear warm-up from 0 over the first share of all iterations, then
    decay. ``even`` decays at the ends of the first n of n + 1 equal spans (ours: the paper says evenly).
    ``cosine`` is half a cosine over what the warm-up leaves, held over each epoch unless told otherwise.
    """
    peak = spec.base_lr / REFERENCE_BATCH * spec.batch
    warmup = round(spec.warmup * total)
    if iteration < warmup:
        return peak * iteration / warmup
    decay = spec.decay
    if isinstance(decay, CosineDecay):
        per_epoch = total // spec.epochs if decay.every == "epoch" else 1
        done = max(iteration // per_epoch * per_epoch - warmup, 0) / (total - warmup)
        return peak * (1 + math.cos(math.pi * done)) / 2
    if isinstance(decay, EvenDecay):
        times = iteration * (decay.times + 1) // total
    else:
        times = sum(iteration >= round(share * total) for share in decay.milestones)
    return float(peak * decay.gamma**times)
