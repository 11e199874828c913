"""The training loop of pretraining (Sec. 3.3, App. C.1), from the first iteration or a saved state to the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from vise_core.errors import Diverged, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.reporter import Reporter
from vise_core.specs.pretrain import PretrainSpec, Signal
from vise_core.training.distributed import Group
from vise_core.training.finite import not_finite
from vise_core.training.meters import Clock, Meters
from vise_core.training.precision import autocast, grad_scaler, memory_format
from vise_core.training.schedule import set_learning_rate
from vise_core.training.state import SavedState
from vise_core.training.training import Training
from vise_core.training.watch import LEAST_SCALE, Watch

from .data import BatchPlan, PostImages, Samples, image_loader
from .labels import LabelTable
from .objectives import OBJECTIVES, Trainable
from .schedule import learning_rate

TRAINING = "training"
"""Name of the training's values in the saved state."""
CONTINUE, SAVE, STOP = range(3)
"""What all processes do after an iteration, as rank 0 decides."""


def build_network(
    spec: PretrainSpec, clusters: Mapping[Signal, int], group: Group | None = None
) -> Trainable:
    """Return the untrained network of the spec's objective; its weights depend on the seed alone.

    Raises BadInput if MoCo-v2 cannot share a batch evenly between the processes of ``group``.
    """
    return OBJECTIVES[spec.objective].build(spec, clusters, group or Group())


@dataclass(frozen=True)
class Trained:
    """Result of ``train``; the same in every process but for the network's buffers.

    Attributes
    ----------
    losses, measures: name → mean over the last epoch.
    images_per_second: throughput of the whole training, over all processes.
    """

    network: Trainable
    iterations: int
    losses: dict[str, float]
    measures: dict[str, float]
    images_per_second: float


def train(
    spec: PretrainSpec,
    network: Trainable,
    posts: ShardIndex,
    labels: LabelTable,
    group: Group,
    workspace: Path,
    reporter: Reporter,
) -> Trained:
    """Train ``network`` in place; resumes from ``workspace/state`` where there is one.

    Only rank 0 touches ``reporter`` and writes. On a CPU the same spec, data and number of threads give the same
    weights to the last bit, however often the run was interrupted; on a GPU cuDNN's atomics leave differences in the
    last digits. Raises Stopped if the reporter asks to stop, BadInput for an image that no longer decodes, and Diverged
    where a loss, gradient or weight is not finite; a saved state is always finite.
    """
    device, compute, objective = group.device, spec.compute, OBJECTIVES[spec.objective]
    losses = objective.losses(spec)
    plan = BatchPlan(len(labels), spec.batch, spec.seed, spec.accumulate, group.world)
    total = spec.epochs * plan.per_epoch
    layout = memory_format(compute.channels_last)
    network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    network.train()
    # All batches have one shape: cuDNN may time its algorithms once, and keep the fastest.
    torch.backends.cudnn.benchmark = True
    # App. C.1: decay on every weight, batch-norm's included, as in torchvision's reference training.
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    # Fused: on a CPU the same bits as torch's default, with one pass over the weights instead of three.
    optimizer = torch.optim.SGD(
        weights, lr=0.0, momentum=spec.momentum, weight_decay=spec.weight_decay, fused=True
    )
    scaler = grad_scaler(compute.amp, device)
    training = Training(network, optimizer, scaler, device)
    meters, watch = Meters(losses + objective.measures, device), Watch(device)

    state = SavedState(workspace, reporter)
    iteration, seconds = state.facts.get("iteration", 0), state.facts.get("seconds", 0.0)
    if iteration:
        saved = state.load(TRAINING)
        training.load_state_dict(saved)
        meters.load_state_dict(saved["meters"], group)
        if group.is_leader:
            reporter.log(f"resuming from iteration {iteration} of {total}")

    model = group.parallel(network)
    forward = torch.compile(model) if compute.compile else model
    dataset = PostImages(posts, labels.images, objective.transform(spec, network.backbone), spec.seed)
    samples = Samples(plan, iteration, total, group.rank)
    batches = iter(image_loader(dataset, samples, workers=compute.loader_workers, pin=device.type == "cuda"))
    clock = Clock(spec.checkpoint_seconds, images=iteration * spec.batch, seconds=seconds)

    for epoch, rows in plan.batches(iteration, total):
        rate = learning_rate(iteration, total, spec)
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad(set_to_none=True)
        for step in range(spec.accumulate):
            images, part = next(batches)
            images = images.to(device, non_blocking=True, memory_format=layout)
            with group.reduce_gradients(model, step + 1 == spec.accumulate):
                with autocast(compute.amp, device):
                    outputs = forward(images)
                values = objective.values(outputs, spec, labels, rows, part)
                loss = torch.stack([values[name] for name in losses]).sum()  # Eq. 1
                # DDP takes the mean of the processes' gradients; ours is a sum over parts of the batch.
                scaler.scale(loss * group.world).backward()
            meters.add(values)
            watch.add(loss)
        watch.step(iteration + 1, weights, optimizer, scaled=scaler.is_enabled())
        scaler.step(optimizer)
        scaler.update()
        iteration += 1
        epoch_ends = iteration % plan.per_epoch == 0
        meters.count(epoch_ends=epoch_ends)

        logs = iteration % spec.log_every == 0 or iteration == total
        if logs:
            means = meters.window_means(group)
            if group.is_leader:
                points = {f"loss/{name}": means[name] for name in losses}
                points |= {name: means[name] for name in objective.measures}
                points |= {"loss": sum(means[name] for name in losses), "lr": rate}
                points |= {"images_per_second": clock.throughput(iteration * spec.batch)}
                reporter.metrics(iteration, points, epoch=iteration / plan.per_epoch)
                reporter.progress(iteration, total, "iterations", phase=f"epoch {epoch + 1}")

        action = CONTINUE
        if group.is_leader:
            if iteration < total and reporter.should_stop():
                action = STOP
            elif epoch_ends or clock.checkpoint_due():
                action = SAVE
        action = group.broadcast(action)
        if logs or action != CONTINUE:
            first = watch.read(group)
            # At a scale below LEAST_SCALE the gradients are not finite at any scale.
            if first is None and scaler.is_enabled() and scaler.get_scale() < LEAST_SCALE:
                first = iteration
            if first is not None:
                raise _diverged(spec, first, total, "the loss or its gradients are")
        if action != CONTINUE:
            meters.gather(group)
            if group.is_leader:
                saved = training.state_dict()
                name = not_finite({key: saved[key] for key in ("network", "optimizer")})
                if name is not None:
                    raise _diverged(spec, iteration, total, f"{name} is")
                facts = {"iteration": iteration, "seconds": clock.seconds()}
                state.save(facts, values={TRAINING: saved | {"meters": meters.state_dict()}})
                clock.saved()
        if action == STOP:
            raise Stopped(f"pretraining was stopped after iteration {iteration} of {total}")

    means = meters.last_epoch()
    return Trained(
        network=network,
        iterations=total,
        losses={name: means[name] for name in losses},
        measures={name: means[name] for name in objective.measures},
        images_per_second=total * spec.batch / clock.seconds(),
    )


def _diverged(spec: PretrainSpec, iteration: int, total: int, subject: str) -> Diverged:
    rate = learning_rate(iteration - 1, total, spec)
    return Diverged(
        f"base_lr: training diverged: {subject} not finite from iteration {iteration} of {total} on, at learning rate "
        f"{rate:.4g} (base_lr {spec.base_lr:g}). Lower base_lr, or lengthen warmup. No state since then was saved"
    )
