"""The learning rate of pretraining as a pure function of the iteration (Sec. 3.3, App. C.1)."""

from __future__ import annotations

from vise_core.specs.pretrain import CosineDecay, EvenDecay, PretrainSpec
from vise_core.training.schedule import half_cosine, milestones_passed, scaled_rate


def learning_rate(iteration: int, total: int, spec: PretrainSpec) -> float:
    """Return the learning rate of iteration ``iteration``, counted from 0, of ``total``.

    App. C.1: base_lr/256 x global batch; linear warm-up from 0 over the first share of all iterations, then
    decay. ``even`` decays at the ends of the first n of n + 1 equal spans (ours: the paper says evenly).
    ``cosine`` is half a cosine over what the warm-up leaves, constant over each epoch unless ``every`` is iteration.
    """
    peak = scaled_rate(spec.base_lr, spec.batch)
    warmup = round(spec.warmup * total)
    if iteration < warmup:
        return peak * iteration / warmup
    decay = spec.decay
    if isinstance(decay, CosineDecay):
        per_epoch = total // spec.epochs if decay.every == "epoch" else 1
        done = max(iteration // per_epoch * per_epoch - warmup, 0)
        return peak * half_cosine(done / (total - warmup))
    if isinstance(decay, EvenDecay):
        times = iteration * (decay.times + 1) // total
    else:
        times = milestones_passed([round(share * total) for share in decay.milestones], iteration)
    return float(peak * decay.gamma**times)
