"""ResNet and ResNeXt trunks: torchvision's definitions without ``fc`` (Sec. 3.3)."""

from __future__ import annotations

from torch import Tensor
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class ResNetTrunk(ResNet):  # type: ignore[misc]
    """torchvision's ResNet up to its last block, with torchvision's keys and without ``fc.*``."""

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
        """Map images (n, 3, h, w) to feature maps (n, c, h/32, w/32), rounded up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Map images as ``forward_features`` does."""
        return self.forward_features(x)


def resnet18() -> ResNetTrunk:
    """Build ResNet-18 (He et al. 2015, v1.5 of torchvision); its trunk returns (n, 512, h/32, w/32)."""
    return ResNetTrunk(BasicBlock, [2, 2, 2, 2])


def resnet34() -> ResNetTrunk:
    """Build ResNet-34 (He et al. 2015, v1.5 of torchvision); its trunk returns (n, 512, h/32, w/32)."""
    return ResNetTrunk(BasicBlock, [3, 4, 6, 3])


def resnet50() -> ResNetTrunk:
    """Build ResNet-50 (He et al. 2015, v1.5 of torchvision); its trunk returns (n, 2048, h/32, w/32)."""
    return ResNetTrunk(Bottleneck, [3, 4, 6, 3])


def resnet50_stride1x1() -> ResNetTrunk:
    """Build the original ResNet-50 (He et al. 2015, detectron2): a stage's stride is in its first 1x1 convolution.

    torchvision has the stride in the 3x3. Keys and shapes are the same, so the weights of one load into the other
    without an error, and the features are wrong.
    """
    trunk = resnet50()
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        first = stage[0]
        first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
    return trunk


def resnet101() -> ResNetTrunk:
    """Build ResNet-101 (He et al. 2015, v1.5 of torchvision); its trunk returns (n, 2048, h/32, w/32)."""
    return ResNetTrunk(Bottleneck, [3, 4, 23, 3])


def resnext101_32x16d() -> ResNetTrunk:
    """Build ResNeXt-101 32x16d, as trained by Mahajan et al. 2018; torchvision defines only 32x8d and 64x4d."""
    return ResNetTrunk(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=16)
