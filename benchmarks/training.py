"""Step time of the pretraining loop beside a bare torch loop, and throughput of the loader.

    python -m benchmarks.training [--backbone resnet18] [--image-size 64] [--batch 32] [--steps 20] [--rounds 12]

1. ``vise_core.pretrain.trainer.train`` and a bare loop (zero_grad, forward, loss, backward, step) on the same network,
   memory format, batches and losses, all in memory, on the CPU, alternating by step. A step lasts from one request of
   a batch to the next, including reports of losses and changes of the learning rate. Each round has new networks, whose
   place in memory makes a difference of 2 % to either side, so the result is the mean over rounds of the median ratio
   of neighbouring steps. The bare loop has its dense targets ready; ours makes them at each step.
2. Images/s of one core: our loader on tar shards, torchvision's ImageFolder + DataLoader with its reference
   transforms on the same JPEG files; both without worker processes.
Exits with 1 where our step is more than 3 % slower.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardIndex, ShardWriter, write_index
from vise_core.models.transforms import train_transform
from vise_core.posts.images.decode import encode_jpeg
from vise_core.pretrain import trainer
from vise_core.pretrain.data import BatchPlan, PostImages, Samples, image_loader
from vise_core.pretrain.labels import LabelTable
from vise_core.pretrain.objective import hard_cross_entropy, soft_cross_entropy
from vise_core.reporter import LocalReporter
from vise_core.specs.pretrain import PretrainSpec
from vise_core.training.distributed import Group

from .measures.rows import Row, parser_of, verdict

SLOWER = 0.03
WARM_UP = 3
CLUSTERS = 500
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Watched:
    """Batches in memory in the place of our loader; before each batch, the other loop takes a step on it.

    A machine's speed varies from second to second, which affects two loops that alternate by step alike.
    ``ours`` and ``other``: seconds of each step, from one request of a batch to the next.
    """

    def __init__(self, batches: list[tuple[Tensor, Any]], other: Callable[[Tensor, Any], None]) -> None:
        self.batches, self.take_other = batches, other
        self.ours, self.other = list[float](), list[float]()

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        for images, rows in self.batches:
            began = time.perf_counter()
            self.take_other(images, rows)
            self.other.append(time.perf_counter() - began)
            began = time.perf_counter()
            yield images, rows
            # Resumed when the loop requests the next batch.
            self.ours.append(time.perf_counter() - began)


def synthetic_labels(posts: int, seed: int) -> LabelTable:
    """Return random labels: five comments and a reaction cluster for each post."""
    rng = np.random.default_rng(seed)
    return LabelTable(
        images=np.arange(posts),
        comment_ids=rng.integers(0, CLUSTERS, 5 * posts).astype(np.int32),
        comment_starts=5 * np.arange(posts + 1),
        reactions=rng.integers(0, CLUSTERS, posts).astype(np.int32),
        clusters={"comments": CLUSTERS, "reactions": CLUSTERS},
        synthetic=True,
    )


def our_loop(spec: PretrainSpec, labels: LabelTable, watched: Watched) -> None:
    """Run our training loop on the watched batches."""
    with tempfile.TemporaryDirectory() as temporary, patch.object(trainer, "image_loader") as loader:
        loader.return_value = watched
        network = trainer.build_network(spec, labels.clusters)
        folder, group = Path(temporary), Group(device=torch.device("cpu"))
        trainer.train(
            spec,
            network,
            None,  # type: ignore[arg-type]  # No post is read.
            labels,
            group,
            folder,
            LocalReporter(folder / "artifacts"),
        )


def bare_step(
    spec: PretrainSpec, labels: LabelTable, batches: list[tuple[Tensor, Any]]
) -> Callable[[Tensor, Any], None]:
    """Return a training step of a bare torch loop, on a network of its own."""
    ready = iter([labels.targets(rows, spec.signals, spec.comment_targets) for _, rows in batches])
    network = trainer.build_network(spec, labels.clusters).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=spec.momentum, weight_decay=spec.weight_decay
    )

    def step(images: Tensor, _: Any) -> None:
        targets = next(ready)
        outputs = network(images.to(memory_format=torch.channels_last))
        loss = soft_cross_entropy(outputs["comments"], targets["comments"])
        loss = loss + hard_cross_entropy(outputs["reactions"], targets["reactions"])
        loss.backward()
        optimizer.step()
        # At the end, as in ours, so that neither loop holds gradients during the other's step.
        optimizer.zero_grad()

    return step


def steps(options: argparse.Namespace) -> Row:
    """Print the step time of both loops and return their ratio."""
    spec = PretrainSpec.model_validate(
        {
            "backbone": options.backbone,
            "image_size": options.image_size,
            "batch": options.batch,
            "epochs": 1,
            "compute": {"device": "cpu"},
            "seed": options.seed,
        }
    )
    posts = options.batch * options.steps
    labels = synthetic_labels(posts, options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    pool = torch.randn(options.batch, 3, options.image_size, options.image_size, generator=generator)
    batches = [
        (pool, rows) for _, rows in BatchPlan(posts, options.batch, options.seed).batches(0, options.steps)
    ]
    timed: list[tuple[float, float]] = []
    ratios: list[float] = []
    for number in range(options.rounds + 1):
        watched = Watched(batches, bare_step(spec, labels, batches))
        our_loop(spec, labels, watched)
        # The first round warms up. Our loop requests no batch after its last step.
        if number > 0:
            pairs = list(zip(watched.ours, watched.other, strict=False))[WARM_UP:]
            ratios.append(statistics.median(mine / other for mine, other in pairs))
            timed += pairs
    ours, bare = (statistics.median(seconds) for seconds in zip(*timed, strict=True))
    ratio = statistics.mean(ratios)
    print(
        f"{options.backbone}, {options.batch} images of {options.image_size} px a step, {len(timed)} pairs of steps:\n"
    )
    print(f"- ours {1000 * ours:.1f} ms a step, bare {1000 * bare:.1f} ms (medians)")
    print(f"- of a pair, ours to bare: {ratio:.3f}, the mean of {', '.join(f'{r:.3f}' for r in ratios)}")
    return Row(
        f"training loop, {options.backbone} at {options.image_size} px",
        f"{1000 * ours:.1f} ms a step",
        f"bare torch loop, {1000 * bare:.1f} ms",
        f"{ratio:.3f} ×",
        f"≤ {1 + SLOWER:g} ×",
        ratio <= 1 + SLOWER,
    )


def draw(rng: np.random.Generator) -> bytes:
    """Return a JPEG of 500 × 375 pixels, smooth with some detail like a photo."""
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), dtype=np.float32)
    pixels = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    return encode_jpeg(Image.fromarray(pixels))


def loaders(images: int, seed: int, rounds: int) -> Row:
    """Print both loaders' images/s on one core; without a required figure."""
    size, batch, threads = 224, 32, torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        shards, files = Path(temporary) / "posts", Path(temporary) / "files" / "class"
        shards.mkdir()
        files.mkdir(parents=True)
        rng, writer = np.random.default_rng(seed), ShardWriter(shards / "shard-000000.tar")
        for i in range(images):
            data = draw(rng)
            (files / f"{i:06d}.jpg").write_bytes(data)
            writer.write(PostRecord(Post(f"post-{i}", ("a comment",), (0, 0, 0, 0, 0)), data, "jpg"))
        write_index(shards, [writer.close()], synthetic=True)
        view = train_transform(size, mean=MEAN, std=STD)
        dataset = PostImages(ShardIndex.open(shards), np.arange(images), view, seed)
        plan = BatchPlan(images, batch, seed)
        theirs = ImageFolder(
            files.parent,
            transforms.Compose(
                [
                    transforms.RandomResizedCrop(size),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize(MEAN, STD),
                ]
            ),
        )
        rates_of: dict[str, list[float]] = {"ours": [], "torchvision": []}
        for _ in range(rounds):
            samples = Samples(plan, 0, plan.per_epoch, 0)
            for name, loader in (
                ("ours", image_loader(dataset, samples, workers=0, pin=False)),
                ("torchvision", DataLoader(theirs, batch, shuffle=True, drop_last=True)),
            ):
                clock = time.perf_counter()
                count = sum(len(pixels) for pixels, _ in loader)
                rates_of[name].append(count / (time.perf_counter() - clock))
    torch.set_num_threads(threads)
    medians = {name: statistics.median(rates) for name, rates in rates_of.items()}
    print("\nJPEGs of 500 × 375 px to crops of 224 px, one core:\n")
    for name, rate in medians.items():
        print(f"- {name}: {rate:.0f} images/s")
    ours, other = medians.values()
    return Row(
        "loader, one core",
        f"{ours:.0f} images/s",
        f"ImageFolder + DataLoader, {other:.0f}",
        f"{ours / other:.2f} ×",
    )


def parser() -> argparse.ArgumentParser:
    parser = parser_of(
        __doc__, image_size=64, batch=32, steps=20, rounds=12, loader_rounds=4, loader_images=320, seed=0
    )
    parser.add_argument("--backbone", default="resnet18")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print both comparisons and return their rows."""
    print(
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, {torch.get_num_threads()} threads, "
        f"{platform.machine()}\n",
        flush=True,
    )
    rows = [steps(options), loaders(options.loader_images, options.seed, options.loader_rounds)]
    print()
    for row in rows:
        print(f"{row.name}: {row.ratio} ({row.needed or 'only reported'})")
    return rows


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
