"""Folded batch normalisation against the network as it was."""

import copy

import pytest
import torch
from torch import nn

from vise_core.models.backbones import build_backbone
from vise_core.models.folding import fold_batch_norm


def lived_in(network: nn.Module) -> nn.Module:
    """With statistics and weights of batch normalisation that are not those of a new network."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.7, 1.3, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_folded_backbone_computes_the_same(name: str) -> None:
    plain = lived_in(build_backbone(name, seed=0))
    folded = copy.deepcopy(plain)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    assert fold_batch_norm(folded) == norms > 0
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = plain.forward_features(images), folded.forward_features(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_normalisation_that_activates_too_is_left_alone() -> None:
    network = lived_in(build_backbone("efficientnet_lite0", seed=0))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(images)
        assert fold_batch_norm(network) == 0
        assert torch.equal(network(images), expected)


class Activating(nn.BatchNorm2d):
    """As timm's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class Branched(nn.Module):
    """The convolution has a second reader."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Branching(nn.Module):
    """Its way depends on the values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else x


def twice() -> nn.Module:
    """One convolution, called two times."""
    conv = nn.Conv2d(3, 3, 3)
    return nn.Sequential(conv, nn.BatchNorm2d(3), conv, nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    "network",
    [
        Branched().eval(),
        Branching().eval(),
        twice().eval(),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train(),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval(),
        nn.Sequential(nn.Conv2d(3, 4, 3), Activating(4)).eval(),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)).eval(),
    ],
    ids=[
        "second reader",
        "not traceable",
        "called twice",
        "in training",
        "no statistics",
        "activates",
        "something between",
    ],
)
def test_what_cannot_be_folded_is_left_alone(network: nn.Module) -> None:
    before = [type(module) for module in network.modules()]
    assert fold_batch_norm(network) == 0
    assert [type(module) for module in network.modules()] == before
