"""MoCo-v2 on two processes equals a computation in one, written here from the formulas of the papers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vise_core.formats.posts import ShardIndex
from vise_core.models.backbones import Backbone
from vise_core.pretrain.data import BatchPlan, PostImages
from vise_core.pretrain.labels import unlabelled
from vise_core.pretrain.moco import Moco
from vise_core.pretrain.moco_views import two_views
from vise_core.pretrain.trainer import train
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import PretrainCompute
from vise_core.specs.pretrain import MocoSettings, PretrainSpec
from vise_core.training.distributed import Group, process_group

TWO = PretrainCompute(device="cpu", processes=2)
SPEC = PretrainSpec(
    objective="moco-v2",
    backbone="resnet18",
    image_size=32,
    epochs=2,
    batch=8,
    base_lr=6.4,
    warmup=0,
    log_every=1,
    moco=MocoSettings(queue=24, momentum=0.9, temperature=0.2, dim=16),
    compute=TWO,
)  # 44 posts: 5 iterations an epoch; the queue is full again after 3


class Trunk(nn.Module):
    """One convolution and a batch-norm, so that who shares a batch with whom matters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 512, 5, stride=4, bias=False)
        self.bn = nn.BatchNorm2d(512)

    def forward_features(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


def small_moco(group: Group) -> Moco:
    torch.manual_seed(0)
    backbone = Backbone("resnet18", Trunk())
    head = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 16))
    return Moco(backbone, head, SPEC.moco, seed=SPEC.seed, group=group)


def train_small(group: Group, material, workspace: Path) -> tuple[Moco, LocalReporter]:
    """Train, and leave this process's network in a file of its own."""
    posts = ShardIndex.open(material.posts)
    network, reporter = small_moco(group), LocalReporter(workspace)
    train(SPEC, network, posts, unlabelled(posts), group, workspace, reporter)
    torch.save(network.state_dict(), workspace / f"rank-{group.rank}.pt")
    return network, reporter


class Reference:
    """MoCo-v2 with SGD, weight decay and shuffle-BN of two processes, in float64 and in the open."""

    def __init__(self, shuffle: bool = True) -> None:
        start = small_moco(Group())
        self.query = [p.detach().double().requires_grad_() for p in learnt(start)]
        self.key = [p.detach().clone() for p in self.query]
        self.speed = [torch.zeros_like(p) for p in self.query]
        self.queue, self.at = start.queue.double(), 0
        # The one random stream: the first queue, then a permutation for each batch.
        self.random = torch.Generator().manual_seed(SPEC.seed)
        torch.randn(24, 16, generator=self.random)
        self.shuffle = shuffle

    def encode(self, weights: list[Tensor], images: Tensor) -> Tensor:
        """Unit vectors of the images of one process, with the batch statistics of these images."""
        kernel, scale, shift, w1, b1, w2, b2 = weights
        x = torch.nn.functional.conv2d(images, kernel, stride=4)
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        x = (x - mean) / (variance + 1e-5).sqrt() * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
        x = x.clamp(min=0).mean((2, 3))
        x = (x @ w1.T + b1).clamp(min=0) @ w2.T + b2
        return x / x.norm(dim=1, keepdim=True)

    def iteration(self, first: Tensor, second: Tensor) -> tuple[float, float]:
        """(loss, accuracy in percent) of a batch of (8, 3, 32, 32) query views and key views."""
        queries = torch.cat([self.encode(self.query, half) for half in first.chunk(2)])
        with torch.no_grad():
            self.key = [0.9 * k + 0.1 * q for k, q in zip(self.key, self.query, strict=True)]
            order = torch.randperm(8, generator=self.random).tolist() if self.shuffle else list(range(8))
            keys = torch.empty(8, 16, dtype=torch.float64)
            for mine in (order[:4], order[4:]):
                keys[mine] = self.encode(self.key, second[mine])
        losses, hits = [], 0
        for i in range(8):
            own = (queries[i] @ keys[i]) / 0.2
            others = torch.stack([queries[i] @ old for old in self.queue]) / 0.2
            losses.append(torch.logsumexp(torch.cat([own.view(1), others]), 0) - own)
            hits += bool(own > others.max())
        loss = torch.stack(losses).mean()
        gradients = torch.autograd.grad(loss, self.query)
        with torch.no_grad():
            for weight, speed, gradient in zip(self.query, self.speed, gradients, strict=True):
                speed.mul_(0.9).add_(gradient + 1e-4 * weight)
                weight -= rate(self.at) * speed
        self.queue = self.queue.clone()
        for i in range(8):
            self.queue[(self.at * 8 + i) % 24] = keys[i]
        self.at += 1
        return loss.item(), 100 * hits / 8


def learnt(moco: Moco) -> list[Tensor]:
    return [*moco.backbone.parameters(), *moco.head.parameters()]


def rate(iteration: int) -> float:
    """6.4 / 256 x 8, x0.1 at 3, 6 and 9 of 10 iterations."""
    return 0.2 * 0.1 ** (iteration // 3)


def batches(material) -> Iterator[tuple[Tensor, Tensor]]:
    """The query views and key views of each batch, in the order of the whole batch."""
    posts = ShardIndex.open(material.posts)
    backbone = Backbone("resnet18", Trunk())
    transform = two_views(32, mean=backbone.mean, std=backbone.std)
    dataset = PostImages(posts, np.arange(44), transform, SPEC.seed)
    for epoch, rows in BatchPlan(44, 8, SPEC.seed).batches(0, 10):
        samples = [dataset.locate((epoch, int(row))) for row in rows]
        views = torch.stack([dataset.reader().view(sample) for sample in samples]).double()
        yield views[:, 0], views[:, 1]


@pytest.mark.slow
def test_two_processes_equal_a_reference_computation(material, tmp_path: Path) -> None:
    with process_group(TWO.device, TWO.processes, train_small, material, tmp_path) as group:
        moco, reporter = train_small(group, material, tmp_path)

    reference = Reference()
    expected = [reference.iteration(*views) for views in batches(material)]
    losses = [loss for loss, _ in expected]
    assert list(reporter.curves["loss"].values()) == pytest.approx(losses, rel=1e-5)
    assert list(reporter.curves["acc_contrast"].values()) == [accuracy for _, accuracy in expected]
    assert moco.pointer.item() == 10 * 8 % 24
    torch.testing.assert_close(moco.queue.double(), reference.queue, atol=1e-5, rtol=0)
    for found, wanted in zip(learnt(moco), reference.query, strict=True):
        torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=0)
    for found, wanted in zip(moco.key.parameters(), reference.key, strict=True):
        torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=0)

    # Both processes hold the same, but for the batch statistics of their own images.
    one, other = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    own = [name for name in one if "running" in name]
    assert all(torch.equal(one[name], other[name]) for name in one.keys() - set(own))
    assert own
    assert not any(torch.equal(one[name], other[name]) for name in own)

    # And the comparison can tell: without the shuffle the keys are others.
    plain = Reference(shuffle=False)
    unshuffled = [plain.iteration(*views)[0] for views in batches(material)]
    assert max(abs(a - b) / b for a, b in zip(unshuffled, losses, strict=True)) > 1e-2
