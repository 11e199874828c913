"""The learning rate as a pure function of the iteration (Sec. 3.3, App. C.1)."""

from __future__ import annotations

from vise_core.specs.pretrain import PretrainSpec, StepDecay

REFERENCE_BATCH = 256


def learning_rate(iteration: int, total: int, spec: PretrainSpec) -> float:
    """The rate that iteration ``iteration`` (from 0) of ``total`` is taken with.

    App. C.1: base_lr/256 x global batch; linear warm-up from 0 over the first share of all iterations, then
    decay. ``even`` decays at the ends of the first n of n + 1 equal spans (ours: the paper says evenly).
    """
    peak = spec.base_lr / REFERENCE_BATCH * spec.batch
    warmup = round(spec.warmup * total)
    if iteration < warmup:
        return peak * iteration / warmup
    if isinstance(spec.decay, StepDecay):
        times = sum(iteration >= round(share * total) for share in spec.decay.milestones)
    else:
        times = iteration * (spec.decay.times + 1) // total
    return float(peak * spec.decay.gamma**times)
