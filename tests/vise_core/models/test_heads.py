"""App. C.1: the bias of a head starts at -log((1 - p) / p)."""

import pytest
import torch

from vise_core.models.heads import linear_head


def test_bias_prior() -> None:
    head = linear_head(512, 7, prior=0.01)
    assert (head.in_features, head.out_features) == (512, 7)
    # -ln 99
    assert head.bias.tolist() == pytest.approx([-4.59511985] * 7)
    torch.testing.assert_close(torch.sigmoid(head.bias), torch.full((7,), 0.01))


def test_another_prior() -> None:
    assert linear_head(2, 1, prior=0.5).bias.item() == 0


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(linear_head(8, 3, seed=4).weight, linear_head(8, 3, seed=4).weight)
    assert torch.equal(torch.get_rng_state(), before)
