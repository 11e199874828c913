"""ResNet and ResNeXt trunks: torchvision's definitions without ``fc`` (Sec. 3.3)."""

from __future__ import annotations

from torch import Tensor
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class ResNetTrunk(ResNet):
    """torchvision's ResNet up to the last block; keys are torchvision's, ``fc.*`` is gone."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: list[int],
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__(block, layers, groups=groups, width_per_group=width_per_group)
        del self.fc

    def forward_features(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) → (n, c, h/32, w/32), rounded up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x)


def resnet18() -> ResNetTrunk:
    return ResNetTrunk(BasicBlock, [2, 2, 2, 2])


def resnet34() -> ResNetTrunk:
    return ResNetTrunk(BasicBlock, [3, 4, 6, 3])


def resnet50() -> ResNetTrunk:
    return ResNetTrunk(Bottleneck, [3, 4, 6, 3])


def resnet50_stride1x1() -> ResNetTrunk:
    """The first ResNet-50 (He et al. 2015), detectron2's: a stage's stride is in its first 1x1 convolution.

    torchvision has it in the 3x3. Keys and shapes are the same, so weights of the one load into the other
    without a word and give wrong features.
    """
    trunk = resnet50()
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        first = stage[0]
        first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
    return trunk


def resnet101() -> ResNetTrunk:
    return ResNetTrunk(Bottleneck, [3, 4, 23, 3])


def resnext101_32x16d() -> ResNetTrunk:
    """32 groups of width 16, as Mahajan et al. 2018 trained it; torchvision itself has 8 and 4 only."""
    return ResNetTrunk(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=16)
