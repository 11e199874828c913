"""Linear heads on the pooled feature (Sec. 3.3, App. C.1)."""

from __future__ import annotations

import math

import torch
from torch import nn


def prior_bias(prior: float) -> float:
    """Return the bias b = -log((1 - prior) / prior), so that sigmoid(b) = prior (App. C.1)."""
    return -math.log((1 - prior) / prior)


def linear_head(in_features: int, classes: int, prior: float = 0.01, *, seed: int | None = None) -> nn.Linear:
    """Build a linear layer whose bias starts at ``prior_bias(prior)`` (App. C.1: 0.01).

    Weights have PyTorch's default initialisation; with a seed they are reproducible and the global random state is
    left as it was.
    """
    if seed is None:
        head = nn.Linear(in_features, classes)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            head = nn.Linear(in_features, classes)
    nn.init.constant_(head.bias, prior_bias(prior))
    return head
