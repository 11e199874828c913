"""A training that goes on where it was: weights, optimiser, scaler and random state after an epoch."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vise_core.training.state import State

SAVE_SECONDS = 300.0
"""How often a training is saved: towers and optimiser are large, and an epoch of them is a matter of minutes."""

NAME = "training"


class Training(NamedTuple):
    """What one training consists of, all of it on one device."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


class Midway(NamedTuple):
    """How far a training is.

    Attributes
    ----------
    epoch: finished epochs. steps: of the optimiser, in them.
    stepping: seconds that the steps took, reading the images included. seconds: validation and all.
    diverged: whether its loss, its metric on val or a weight is not finite; such a training ends, and is not saved.
    """

    epoch: int = 0
    steps: int = 0
    stepping: float = 0.0
    seconds: float = 0.0
    diverged: bool = False


def save_midway(state: State, number: int, training: Training, at: Midway, device: torch.device) -> None:
    """Keep training ``number`` of the evaluation after an epoch, beside what the state holds already."""
    tensors = {f"network.{name}": value for name, value in _values(training.network).items()}
    for index, values in training.optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value for name, value in values.items() if isinstance(value, Tensor)
        }
    tensors["random"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    facts = {"number": number, "at": at._asdict(), "scaler": training.scaler.state_dict()}
    state.save(state.facts | {NAME: facts}, tensors={NAME: tensors})


def load_midway(state: State, number: int, training: Training, device: torch.device) -> Midway:
    """Put training ``number`` where it was, if it is the one that was kept. Also sets the random state."""
    facts = state.facts.get(NAME)
    if facts is None or facts["number"] != number:
        return Midway()
    tensors = state.tensors(NAME)
    with torch.no_grad():
        for name, value in _values(training.network).items():
            value.copy_(tensors[f"network.{name}"])
    found: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            found.setdefault(int(index), {})[name] = tensor
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": found, "param_groups": groups})
    training.scaler.load_state_dict(facts["scaler"])
    torch.set_rng_state(tensors["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    return Midway(**facts["at"])


def _values(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer once, shared ones under one name."""
    return dict(chain(network.named_parameters(), network.named_buffers()))
