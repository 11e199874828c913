"""Every entry of the registry builds, and is what its entry says."""

import pytest
import torch

from vise_core.models.backbones import build_backbone, empty_backbone
from vise_core.specs.models.backbones import BACKBONES


@pytest.mark.parametrize("name", BACKBONES)
def test_an_entry_states_the_truth_about_its_backbone(name: str) -> None:
    entry = BACKBONES[name]
    backbone = empty_backbone(name)
    assert sum(p.numel() for p in backbone.parameters()) == entry.parameters
    image = torch.zeros(2, 3, entry.image_size, entry.image_size, device="meta")
    assert backbone.forward_features(image).shape == (2, entry.feature_dim, 7, 7)
    assert backbone(image).shape == (2, entry.feature_dim)
    assert (backbone.mean, backbone.std) == (entry.mean, entry.std)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_small_backbones_compute(name: str) -> None:
    backbone = build_backbone(name, seed=0).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        maps, features = backbone.forward_features(images), backbone(images)
    assert maps.shape == (2, backbone.feature_dim, 2, 2)
    torch.testing.assert_close(features, maps.mean((2, 3)))


def test_resnet_is_torchvisions_own() -> None:
    from torchvision.models import resnet18

    theirs = resnet18().eval()
    ours = build_backbone("resnet18").eval()
    state = theirs.state_dict()
    ours.trunk.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(theirs.fc(ours(images)), theirs(images))


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (build_backbone(name, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
