"""Throughput of pretraining from tar shards on a GPU, beside a bare loop on synthetic data and the GPU's peak rate.

    python -m benchmarks.gpu [--backbones resnet50 resnext101_32x16d] [--batches 256 64] [--steps 80] [--compile]
                             [--loader-workers 16] [--image-size 224] [--device cuda]

For each backbone, images a second of

1. ``vise_core.pretrain.trainer.train``, reading JPEGs of 500 × 375 px from tar shards with loader processes: AMP with
   loss scaling, channels last; the median of its reports of every ten steps, without the first third.
2. a bare loop on the same network and losses: one batch that stays on the GPU, AMP with GradScaler, channels last,
   torch.optim.SGD, cudnn.benchmark; an upper bound for such a loop.

The share of the GPU's rate of large half-precision matrix products counts three times the operations of a forward pass.
Without a GPU nothing is measured, and the table says so; ``--device cpu`` tries the command out.
Exits with 1 where ours reaches less than 95 % of the bare loop's throughput.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardIndex, ShardWriter, write_index
from vise_core.models.backbones import build_backbone
from vise_core.pretrain import trainer
from vise_core.pretrain.labels import LabelTable
from vise_core.pretrain.objective import hard_cross_entropy, soft_cross_entropy
from vise_core.reporter import LocalReporter
from vise_core.specs.pretrain import PretrainSpec
from vise_core.training.distributed import Group
from vise_core.training.precision import amp_dtype

from .measures.rows import Row, parser_of, verdict
from .training import draw, synthetic_labels

SHARE = 0.95
PICTURES = 256
"""Number of different images; shards repeat them, and each is decoded each time."""
SIDE = 8192


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, image_size=224, steps=80, loader_workers=os.cpu_count() or 1, seed=0)
    parser.add_argument("--backbones", nargs="+", default=["resnet50", "resnext101_32x16d"])
    parser.add_argument("--batches", nargs="+", type=int, default=[256, 64], help="One for each backbone.")
    parser.add_argument("--compile", action="store_true", help="Both through torch.compile.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print and return the images/s of each backbone."""
    if options.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here: nothing is measured")
        return [Row("pretraining on a GPU", "not measured: torch sees no GPU here")]
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    rate = product_rate(device, SIDE if device.type == "cuda" else 1024)
    print(
        f"{card}: {rate / 1e12:.1f} TFLOP/s of matrix products; torch {torch.__version__}, torchvision "
        f"{torchvision.__version__}, cuDNN {torch.backends.cudnn.version()}, {os.cpu_count()} cores, "
        f"{options.loader_workers} loader processes\n",
        flush=True,
    )
    rows = []
    for backbone, batch in zip(options.backbones, options.batches, strict=True):
        spec = PretrainSpec.model_validate(
            {
                "backbone": backbone,
                "image_size": options.image_size,
                "batch": batch,
                "epochs": 1,
                "seed": options.seed,
                "compute": {
                    "device": options.device,
                    "compile": options.compile,
                    "loader_workers": options.loader_workers,
                },
            }
        )
        bare = bare_speed(spec, device, options.steps)
        ours = our_speed(spec, device, options.steps)
        share = ours * 3 * forward_flops(spec) / rate
        name = f"pretraining, {backbone}, batch {batch}{', compiled' if options.compile else ''}, {card}"
        print(
            f"{name}: ours {ours:.0f} images/s, bare {bare:.0f}; {share:.1%} of the product rate", flush=True
        )
        rows += [
            Row(
                name,
                f"{ours:,.0f} images/s from shards",
                f"bare AMP loop on synthetic data, {bare:,.0f}",
                f"{ours / bare:.3f} ×",
                f"≥ {SHARE:g} ×",
                ours >= SHARE * bare,
            ),
            Row("the same, share of the card's product rate", f"{share:.1%}", f"{rate / 1e12:.0f} TFLOP/s"),
        ]
    return rows


def our_speed(spec: PretrainSpec, device: torch.device, steps: int) -> float:
    """Return the images/s of our loop, reading from shards."""
    labels = synthetic_labels(spec.batch * steps, spec.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        posts, reporter = (
            write_posts(folder / "posts", len(labels), spec.seed),
            LocalReporter(folder / "made"),
        )
        network = trainer.build_network(spec, labels.clusters)
        trainer.train(spec, network, posts, labels, Group(device=device), folder, reporter)
    laps = list(reporter.curves["images_per_second"].values())
    return statistics.median(laps[len(laps) // 3 :])


def write_posts(folder: Path, posts: int, seed: int) -> ShardIndex:
    folder.mkdir()
    rng, writer = np.random.default_rng(seed), ShardWriter(folder / "shard-000000.tar")
    pictures = [draw(rng) for _ in range(min(PICTURES, posts))]
    for i in range(posts):
        post = Post(f"post-{i}", ("a comment",), (0, 0, 0, 0, 0))
        writer.write(PostRecord(post, pictures[i % len(pictures)], "jpg"))
    write_index(folder, [writer.close()], synthetic=True)
    return ShardIndex.open(folder)


def bare_speed(spec: PretrainSpec, device: torch.device, steps: int) -> float:
    """Return the images/s of a bare torch loop on a batch in memory."""
    labels = synthetic_labels(spec.batch, spec.seed)
    step = bare_step(spec, device, labels)
    for _ in range(max(1, steps // 3)):
        step()
    _wait(device)
    clock = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(device)
    return spec.batch * steps / (time.perf_counter() - clock)


def bare_step(spec: PretrainSpec, device: torch.device, labels: LabelTable) -> Callable[[], None]:
    """Return a training step on a batch whose labels are ``labels``."""
    targets = labels.targets(np.arange(len(labels)), spec.signals, spec.comment_targets)
    network = trainer.build_network(spec, labels.clusters).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = torch.compile(network.train()) if spec.compute.compile else network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=spec.momentum, weight_decay=spec.weight_decay
    )
    amp = amp_dtype(spec.compute.amp, device)
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    images = torch.randn(spec.batch, 3, spec.image_size, spec.image_size, device=device)
    images = images.to(memory_format=torch.channels_last)
    ready = {name: target.to(device) for name, target in targets.items()}

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, amp or torch.bfloat16, enabled=amp is not None):
            outputs = model(images)
        loss = soft_cross_entropy(outputs["comments"], ready["comments"], spec.batch)
        loss = loss + hard_cross_entropy(outputs["reactions"], ready["reactions"], spec.batch)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def product_rate(device: torch.device, side: int) -> float:
    """Return the FLOP/s of large half-precision matrix products (single on a CPU), the best of six times ten."""
    dtype = torch.float16 if device.type == "cuda" else torch.float32  # bfloat16 is emulated on many CPUs
    a = torch.randn(side, side, device=device).to(dtype)
    times = []
    for _ in range(6):
        clock = time.perf_counter()
        for _ in range(10):
            a @ a
        _wait(device)
        times.append(time.perf_counter() - clock)
    return 10 * 2 * side**3 / min(times)


def forward_flops(spec: PretrainSpec) -> float:
    """Return the floating-point operations of a backbone's forward pass on one image."""
    backbone = build_backbone(spec.backbone, seed=spec.seed).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.zeros(1, 3, spec.image_size, spec.image_size))
    return float(counter.get_total_flops())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
