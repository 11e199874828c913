"""CLIP's modified ResNet-50 up to its last block (Radford et al. 2021, openai/CLIP ``clip/model.py``).

Unlike torchvision's, its stem is three 3x3 convolutions and an average pool, and every stride is an average pool, on
the shortcut too. Keys are CLIP's without ``visual.``; ``attnpool.*`` is left out.

The feature is the mean over layer4's map (2048), not CLIP's attention pool (1024). So it has the kind and size of
every other row of the paper's tables, class activation maps are exact, and any image size works: the attention pool
has positions for 7x7 only. The paper does not say which one it used.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F


class ClipBottleneck(nn.Module):
    """A block of 1x1, 3x3, average pool where there is a stride, 1x1; all convolutions have stride 1."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module | None = None
        if stride > 1 or channels != 4 * width:
            # The names "0" and "1" are the file's; the pool before them has none of its own to keep.
            self.downsample = nn.Sequential(
                OrderedDict(
                    pool=nn.AvgPool2d(stride),
                    **{"0": nn.Conv2d(channels, 4 * width, 1, bias=False), "1": nn.BatchNorm2d(4 * width)},
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(self.avgpool(x))) + shortcut)


class ClipResNetTrunk(nn.Module):
    """Maps (n, 3, h, w) to (n, 32 · width, h/32, w/32), rounded down."""

    def __init__(self, layers: tuple[int, int, int, int], width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        self.layer1 = _stage(width, width, layers[0], stride=1)
        self.layer2 = _stage(4 * width, 2 * width, layers[1], stride=2)
        self.layer3 = _stage(8 * width, 4 * width, layers[2], stride=2)
        self.layer4 = _stage(16 * width, 8 * width, layers[3], stride=2)
        for module in self.modules():
            # As torchvision draws its own, so that pretraining from scratch starts alike.
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (n, 3, h, w) to feature maps (n, 32 · width, h/32, w/32), rounded down."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.avgpool(F.relu(self.bn3(self.conv3(x))))
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Map images as ``forward_features`` does."""
        return self.forward_features(x)


def clip_resnet50() -> ClipResNetTrunk:
    """Build CLIP's modified ResNet-50; its trunk returns (n, 2048, h/32, w/32)."""
    return ClipResNetTrunk((3, 4, 6, 3))


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = ClipBottleneck(channels, width, stride)
    return nn.Sequential(first, *(ClipBottleneck(4 * width, width, 1) for _ in range(blocks - 1)))
