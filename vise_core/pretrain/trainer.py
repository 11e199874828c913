"""The training loop (Sec. 3.3, App. C.1): from the first iteration, or from a saved state, to the last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vise_core.errors import Diverged, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.reporter import Reporter
from vise_core.specs.base import Compute
from vise_core.specs.pretrain import PretrainSpec, Signal
from vise_core.training.distributed import Group
from vise_core.training.finite import not_finite
from vise_core.training.watch import LEAST_SCALE, Watch

from .data import BatchPlan, PostImages, Samples, image_loader
from .labels import LabelTable
from .objectives import OBJECTIVES, Trainable
from .schedule import learning_rate
from .state import load_state, save_state

GO_ON, SAVE, STOP = range(3)


def build_network(
    spec: PretrainSpec, clusters: Mapping[Signal, int], group: Group | None = None
) -> Trainable:
    """The untrained network of the spec's objective; its weights depend on the seed alone. Raises BadInput."""
    return OBJECTIVES[spec.objective].build(spec, clusters, group or Group())


@dataclass(frozen=True)
class Trained:
    """What ``train`` gives; the same in every process but for the network's buffers."""

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
    """Train ``network`` in place; goes on from ``workspace/state`` where there is one.

    Only the leading process touches ``reporter`` and writes. On a CPU the same spec, data and number of
    threads give the same weights to the last bit, however often the run was interrupted; on a GPU cuDNN's
    atomics leave differences in the last digits. Raises Stopped, BadInput, Diverged where a loss, gradient or weight is
    not finite; what is saved always is.
    """
    device, compute, objective = group.device, spec.compute, OBJECTIVES[spec.objective]
    losses = objective.losses(spec)
    plan = BatchPlan(len(labels), spec.batch, spec.seed, spec.accumulate, group.world)
    total = spec.epochs * plan.per_epoch
    layout = torch.channels_last if compute.channels_last else torch.contiguous_format
    network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    network.train()
    # All batches have one shape: cuDNN may try its ways to convolve once, and keep the fastest.
    torch.backends.cudnn.benchmark = True
    # App. C.1: decay on every weight, batch-norm's included, as torchvision's reference training has it.
    learnt = [weights for weights in network.parameters() if weights.requires_grad]
    # Fused: the same bits as torch's default on a CPU, with one pass over the weights for three.
    optimizer = torch.optim.SGD(
        learnt, lr=0.0, momentum=spec.momentum, weight_decay=spec.weight_decay, fused=True
    )
    amp = amp_type(compute, device)
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    meters, watch = Meters(losses + objective.measures, device), Watch(device)
    iteration = 0
    if (state := load_state(workspace)) is not None:
        iteration = int(state["iteration"])
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        meters.load_state(state["meters"], leads=group.leads)
        torch.set_rng_state(state["rng"])
        if group.leads:
            reporter.log(f"going on from iteration {iteration} of {total}")
    model: nn.Module = network
    if group.world > 1:
        # No rank reads another's batch statistics, nor its queue, which is the same in all.
        model = DistributedDataParallel(
            network, device_ids=[device] if device.type == "cuda" else None, forward_sync_buffers=False
        )
    forward = torch.compile(model) if compute.compile else model

    dataset = PostImages(posts, labels.images, objective.transform(spec, network.backbone), spec.seed)
    samples = Samples(plan, iteration, total, group.rank)
    loader = iter(image_loader(dataset, samples, workers=compute.loader_workers, pin=device.type == "cuda"))
    spent = float(state["seconds"]) if state else 0.0
    clock = Clock(spec.checkpoint_seconds, images=iteration * spec.batch, seconds=spent)
    for epoch, rows in plan.batches(iteration, total):
        rate = learning_rate(iteration, total, spec)
        for options in optimizer.param_groups:
            options["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        for step in range(spec.accumulate):
            images, part = next(loader)
            images = images.to(device, non_blocking=True, memory_format=layout)
            last = step + 1 == spec.accumulate
            with nullcontext() if last or group.world == 1 else model.no_sync():  # type: ignore[operator]
                with torch.autocast(device.type, amp or torch.bfloat16, enabled=amp is not None):
                    outputs = forward(images)
                values = objective.values(outputs, spec, labels, rows, part)
                loss = torch.stack([values[name] for name in losses]).sum()  # Eq. 1
                # DDP takes the mean of the processes' gradients; ours is a sum over parts of the batch.
                scaler.scale(loss * group.world).backward()
            meters.add(values)
            watch.add(loss)
        watch.step(iteration + 1, learnt, optimizer, scaled=scaler.is_enabled())
        scaler.step(optimizer)
        scaler.update()
        iteration += 1
        meters.count(epoch_ends=iteration % plan.per_epoch == 0)

        logs = iteration % spec.log_every == 0 or iteration == total
        if logs:
            found = meters.window_means(group)
            loss_found = sum(found[name] for name in losses)
            if group.leads:
                points = {f"loss/{name}": found[name] for name in losses}
                points |= {name: found[name] for name in objective.measures}
                points |= {
                    "loss": loss_found,
                    "lr": rate,
                    "images_per_second": clock.lap(iteration * spec.batch),
                }
                reporter.metrics(iteration, points, epoch=iteration / plan.per_epoch)
                reporter.progress(iteration, total, "iterations", phase=f"epoch {epoch + 1}")
        asked = GO_ON
        if group.leads:
            due = clock.checkpoint_due() or iteration % plan.per_epoch == 0
            asked = STOP if iteration < total and reporter.should_stop() else SAVE if due else GO_ON
        asked = group.agree(asked)
        if logs or asked != GO_ON:
            first = watch.read(group)
            # So small a scale means that no scale would do.
            if first is None and scaler.is_enabled() and scaler.get_scale() < LEAST_SCALE:
                first = iteration
            if first is not None:
                raise _diverged(spec, first, total, "the loss or its gradients are")
        if asked != GO_ON:
            meters.gather(group)
            if group.leads:
                saved: dict[str, Any] = {
                    "iteration": iteration,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "meters": meters.state(),
                    "seconds": clock.seconds(),
                    "rng": torch.get_rng_state(),
                }
                lost = not_finite({name: saved[name] for name in ("network", "optimizer")})
                if lost is not None:
                    raise _diverged(spec, iteration, total, f"{lost} is")
                reporter.checkpoint(save_state(workspace, saved))
                clock.saved()
        if asked == STOP:
            raise Stopped(f"pretraining was stopped after iteration {iteration} of {total}")
    means = meters.last_epoch()
    return Trained(
        network=network,
        iterations=total,
        losses={name: means[name] for name in losses},
        measures={name: means[name] for name in objective.measures},
        images_per_second=total * spec.batch / clock.seconds(),
    )


def _diverged(spec: PretrainSpec, iteration: int, total: int, what: str) -> Diverged:
    rate = learning_rate(iteration - 1, total, spec)
    return Diverged(
        f"base_lr: training diverged: {what} not finite from iteration {iteration} of {total} on, at learning rate "
        f"{rate:.4g} (base_lr {spec.base_lr:g}). Lower base_lr, or lengthen warmup. No state since then was saved"
    )


def amp_type(compute: Compute, device: torch.device) -> torch.dtype | None:
    """The type of autocast, None for none; auto is fp16 on a GPU and nothing on a CPU."""
    if compute.amp == "auto":
        return torch.float16 if device.type == "cuda" else None
    return {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[compute.amp]


class Meters:
    """Sums of losses and measures since the last point of the curves, and over the epoch.

    They stay on the device, so that no iteration has to wait for its own loss, and they are part of the
    saved state, so that a curve goes on exactly.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        # Rows: since the last point, this epoch, the epoch before.
        self.sums = torch.zeros(3, len(self.names), dtype=torch.float64, device=device)
        self.counts = [0, 0, 0]

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the values of a part of a batch; parts add up to the batch's."""
        self.sums[:2] += torch.stack([values[name].detach() for name in self.names]).double()

    def count(self, *, epoch_ends: bool) -> None:
        """An iteration is over; ``add`` was called for each of its parts."""
        self.counts[0] += 1
        self.counts[1] += 1
        if epoch_ends:
            self.sums[2], self.counts[2] = self.sums[1], self.counts[1]
            self.sums[1], self.counts[1] = 0, 0

    def window_means(self, group: Group) -> dict[str, float]:
        """Mean an iteration since the last call, over all processes."""
        means = (group.add(self.sums[0]) / max(self.counts[0], 1)).tolist()
        self.sums[0], self.counts[0] = 0, 0
        return dict(zip(self.names, means, strict=True))

    def gather(self, group: Group) -> None:
        """Let rank 0 hold the sums of all, so that its state is everyone's."""
        total = group.add(self.sums)
        self.sums = total if group.leads else torch.zeros_like(total)

    def last_epoch(self) -> dict[str, float]:
        """Mean an iteration of the epoch that ended last, as rank 0 holds it after ``gather``."""
        return dict(zip(self.names, (self.sums[2] / max(self.counts[2], 1)).tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.cpu(), "counts": list(self.counts)}

    def load_state(self, state: dict[str, Any], *, leads: bool) -> None:
        self.counts = [int(c) for c in state["counts"]]
        self.sums.copy_(state["sums"] if leads else torch.zeros_like(state["sums"]))


class Clock:
    """Speed, and when the next state is due. ``images`` and ``seconds``: seen and spent before."""

    def __init__(self, checkpoint_seconds: float, *, images: int, seconds: float) -> None:
        self._every = checkpoint_seconds
        self._start = self._lap = self._saved = time.perf_counter()
        self._before = seconds
        self._lap_images = images

    def lap(self, images: int) -> float:
        """Images a second since the last call; ``images`` is how many were seen in all."""
        now = time.perf_counter()
        speed = (images - self._lap_images) / max(now - self._lap, 1e-9)
        self._lap, self._lap_images = now, images
        return speed

    def seconds(self) -> float:
        """Time of training in all."""
        return self._before + max(time.perf_counter() - self._start, 1e-9)

    def checkpoint_due(self) -> bool:
        return time.perf_counter() - self._saved >= self._every

    def saved(self) -> None:
        self._saved = time.perf_counter()
