"""Files as their authors publish them, made from independent networks with random weights and statistics.

Each comes with the features that its own network gives for images in [0, 1] RGB.
"""

import copy
import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import torchvision
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn import functional as F

from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import save_checkpoint
from vise_core.models.heads import linear_head

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Example:
    """A published file, what its own network makes of images, and the format where the keys do not tell it."""

    path: Path
    features: Features
    format: str | None = None
    row: str = ""


class FrozenBatchNorm(nn.Module):
    """detectron2's: statistics and weights are buffers, eps 1e-5, nothing is counted."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return x * scale.view(-1, 1, 1) + (self.bias - self.running_mean * scale).view(-1, 1, 1)


class GridConv(nn.Conv2d):
    """A convolution that carries its own norm, as in detectron2."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
        self.norm = FrozenBatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class GridBottleneck(nn.Module):
    """He et al. 2015: the stride is in the first 1x1 convolution, and in the shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        if inputs != 4 * width:
            self.shortcut = GridConv(inputs, 4 * width, 1, stride)
        self.conv1 = GridConv(inputs, width, 1, stride)
        self.conv2 = GridConv(width, width, 3)
        self.conv3 = GridConv(width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class GridResNet50(nn.Module):
    """The backbone of grid-feats-vqa's R-50: (n, 3, h, w) BGR in 0 to 255 less its mean → (n, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"conv1": GridConv(3, 64, 7, 2)})
        inputs = 64
        for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 2):
            layers = []
            for block in range(blocks):
                layers.append(GridBottleneck(inputs, width, 2 if block == 0 and stage > 2 else 1))
                inputs = 4 * width
            self.add_module(f"res{stage}", nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem["conv1"](x)), 3, stride=2, padding=1)
        return self.res5(self.res4(self.res3(self.res2(x)))).mean((2, 3))


BGR_MEAN = (103.53, 116.28, 123.675)


def shaken(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights, and batch-norm statistics that matter, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in network.modules():
        if hasattr(module, "running_var"):
            uniform(module.weight, 0.3, 0.9)
            uniform(module.bias, -0.2, 0.3)
            uniform(module.running_mean, -0.3, 0.3)
            uniform(module.running_var, 0.5, 1.5)
            if getattr(module, "num_batches_tracked", None) is not None:
                module.num_batches_tracked.fill_(7)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    return network.eval()


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def imagenet(images: Tensor) -> Tensor:
    return normalised(images, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def torchvision_features(network: nn.Module) -> Features:
    """What torchvision's ResNet computes before ``fc``."""
    trunk = copy.deepcopy(network)
    trunk.fc = nn.Identity()
    return lambda images: trunk(imagenet(images))


def timm_features(network: nn.Module) -> Features:
    return lambda images: network.forward_features(imagenet(images)).mean((2, 3))


def under(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def saved(path: Path, content: Any, features: Features, format: str | None = None) -> Example:
    torch.save(content, path)
    return Example(path, features, format)


def in_sup(folder: Path) -> Example:
    network = shaken(timm.create_model("resnet50"))
    return saved(folder / "r50.pth", network.state_dict(), timm_features(network), "in-sup")


def torchvision_names(folder: Path) -> Example:
    """A ResNet-50 of nobody knows whom: as a script saves what it trained under DataParallel."""
    network = shaken(torchvision.models.resnet50(), 5)
    torch.save({"state_dict": under("module.", network), "epoch": 3}, folder / "mine.pth")
    return Example(folder / "mine.pth", torchvision_features(network), row="my ResNet-50")


def wsl_images(folder: Path) -> Example:
    network = shaken(timm.create_model("resnext101_32x16d"))
    # Of 2019, without batch-norm's counters.
    state = {k: v for k, v in network.state_dict().items() if "num_batches_tracked" not in k}
    return saved(folder / "wsl.pth", state, timm_features(network), "wsl-images")


def moco_v2(folder: Path) -> Example:
    query, key = (shaken(torchvision.models.resnet50(), seed) for seed in (1, 2))
    features = torchvision_features(query)
    for encoder in (query, key):
        encoder.fc = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128))
    state = under("module.encoder_q.", query) | under("module.encoder_k.", key)
    state |= {"module.queue": torch.randn(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}
    optimizer = torch.optim.SGD(query.parameters(), lr=0.03, momentum=0.9)
    content = {"epoch": 800, "arch": "resnet50", "state_dict": state, "optimizer": optimizer.state_dict()}
    return saved(folder / "moco.pth.tar", content, features)


def grid_feats_vqa(folder: Path) -> Example:
    network = shaken(GridResNet50())
    heads = nn.ModuleDict({"box_predictor": nn.Linear(8, 3)})
    state = under("backbone.", network) | under("roi_heads.", heads)
    state |= under("proposal_generator.rpn_head.", nn.Conv2d(8, 8, 3))
    state |= {"pixel_mean": torch.tensor(BGR_MEAN).view(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}
    content = {
        "model": state,
        "iteration": 89_999,
        "optimizer": {"state": {}},
        "scheduler": {"last_epoch": 1},
    }
    return saved(
        folder / "grid.pth", content, lambda images: network(255 * images.flip(1) - state["pixel_mean"])
    )


def virtex(folder: Path) -> Example:
    network = shaken(torchvision.models.resnet50())
    features = torchvision_features(network)
    network.avgpool, network.fc = nn.Identity(), nn.Identity()
    return saved(folder / "virtex.pth", network.state_dict(), features, "virtex")


def virtex_model(folder: Path) -> Example:
    model = nn.ModuleDict(
        {
            "visual": nn.ModuleDict({"cnn": shaken(torchvision.models.resnet50())}),
            "textual": nn.ModuleDict({"embedding": nn.Embedding(11, 4), "output": nn.Linear(4, 11)}),
            "backward_textual": nn.ModuleDict({"output": nn.Linear(4, 11)}),
        }
    )
    features = torchvision_features(model["visual"]["cnn"])
    model["visual"]["cnn"].fc = nn.Identity()
    content = {"model": model.state_dict(), "iteration": 500_000, "optimizer": {}, "scheduler": {}}
    return saved(folder / "virtex_model.pth", content, features)


def icmlm(head: str) -> Callable[[Path], Example]:
    def make(folder: Path) -> Example:
        network = shaken(timm.create_model("resnet50", num_classes=0))
        torch.save(under("conditional.cnn.", network), folder / "icmlm.pth")
        return Example(folder / "icmlm.pth", timm_features(network), f"icmlm-{head}")

    return make


def clip_model() -> tuple[nn.Module, Features]:
    """open_clip's RN50 with the entries of OpenAI's, convolutions at half precision; its features before pooling."""
    model = shaken(open_clip.create_model("RN50-quickgelu", pretrained=None))
    for name, number in (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49_408)):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(number))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.copy_(module.weight.half().float())
    visual = copy.deepcopy(model.visual)
    visual.attnpool = nn.Identity()
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return model, lambda images: visual(normalised(images, mean, std)).mean((2, 3))


def halve(model: nn.Module) -> None:
    """As OpenAI's files are: weights of convolutions and of linear layers in half precision."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "embedding" not in name:
            parameter.data = parameter.data.half()


def clip_archive(folder: Path) -> Example:
    model, features = clip_model()
    with torch.no_grad():
        traced = torch.jit.trace_module(
            model, {"encode_image": torch.randn(1, 3, 224, 224)}, check_trace=False
        )
    halve(traced)
    torch.jit.save(traced, folder / "clip.pt")
    return Example(folder / "clip.pt", features)


def clip_state_dict(folder: Path) -> Example:
    model, features = clip_model()
    halve(model)
    return saved(folder / "clip_state.pt", OrderedDict(model.state_dict()), features)


def vise_released(folder: Path) -> Example:
    network = shaken(torchvision.models.resnet50())
    trunk = nn.Sequential(*list(network.children())[:-2])
    return saved(
        folder / "vise_250m_rn50_ep10.pth",
        trunk.state_dict(),
        lambda images: trunk(imagenet(images)).mean((2, 3)),
    )


def vise_checkpoint(folder: Path) -> Example:
    network = shaken(torchvision.models.resnet50())
    backbone = build_backbone("resnet50")
    state = {name: t for name, t in network.state_dict().items() if not name.startswith("fc.")}
    backbone.trunk.load_state_dict(state)
    heads = {"comments": linear_head(2048, 5), "reactions": linear_head(2048, 3)}
    save_checkpoint(folder / "checkpoint", backbone, heads, image_size=160, synthetic=True)
    return Example(folder / "checkpoint", torchvision_features(network))


MAKERS: dict[str, Callable[[Path], Example]] = {
    "in-sup": in_sup,
    "wsl-images": wsl_images,
    "moco-v2": moco_v2,
    "grid-feats-vqa": grid_feats_vqa,
    "virtex": virtex,
    "virtex-model": virtex_model,
    "torchvision": torchvision_names,
    "icmlm-tfm": icmlm("tfm"),
    "icmlm-att-fc": icmlm("att-fc"),
    "clip-rn50": clip_archive,
    "clip-rn50 state dict": clip_state_dict,
    "vise-released": vise_released,
    "vise-checkpoint": vise_checkpoint,
}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Example]:
    """An example by name; each is made once a session and must not be changed."""
    made: dict[str, Example] = {}

    def get(name: str) -> Example:
        if name not in made:
            made[name] = MAKERS[name](tmp_path_factory.mktemp("published"))
        return made[name]

    return get


@pytest.fixture
def images() -> Tensor:
    """Two images in [0, 1] RGB, (2, 3, 96, 112): blobs of colour, so that pooling leaves a difference."""
    blobs = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))
    return F.interpolate(blobs, (96, 112), mode="bilinear") * torch.tensor([1.0, 0.6]).view(2, 1, 1, 1)


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    """Free a test's networks: errors that were caught hold them in circles of a few objects, which wake no collector."""
    yield
    gc.collect()
