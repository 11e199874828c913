"""The pretraining objectives by name. Adding an objective is one entry in OBJECTIVES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from vise_core.models.backbones import Backbone
from vise_core.models.transforms import TrainTransform, train_transform
from vise_core.specs.pretrain import ObjectiveName, PretrainSpec, Signal
from vise_core.training.distributed import Group

from .labels import Ints, LabelTable
from .moco import Moco, build_moco
from .moco_views import two_views
from .vise import Network, build_vise, vise_losses

Trainable = Network | Moco
"""A network that ``train`` trains: images → {name: tensor}. The checkpoint holds its ``backbone`` and ``heads``."""


@dataclass(frozen=True)
class Objective:
    """An objective of pretraining, as the training loop uses it.

    Attributes
    ----------
    build: (spec, clusters of each signal, group) → the untrained network.
    transform: (spec, backbone) → transform from a post's image to the network's input.
    losses: spec → names of the parts of the loss; their sum is minimised.
    measures: names of values that are reported beside the losses.
    values: (outputs, spec, labels, rows of the batch, rows of this process and step) → the losses and measures
        by name; those of all processes and steps add up to the batch's.
    needs_labels: whether the input ``labels`` is required.
    """

    build: Callable[[PretrainSpec, Mapping[Signal, int], Group], Trainable]
    transform: Callable[[PretrainSpec, Backbone], TrainTransform]
    losses: Callable[[PretrainSpec], tuple[str, ...]]
    measures: tuple[str, ...]
    values: Callable[[dict[str, Tensor], PretrainSpec, LabelTable, Ints, Ints], dict[str, Tensor]]
    needs_labels: bool


def _vise_view(spec: PretrainSpec, backbone: Backbone) -> TrainTransform:
    return train_transform(spec.image_size, min_crop=spec.min_crop, mean=backbone.mean, std=backbone.std)


def _moco_views(spec: PretrainSpec, backbone: Backbone) -> TrainTransform:
    return two_views(spec.image_size, min_crop=spec.moco.min_crop, mean=backbone.mean, std=backbone.std)


OBJECTIVES: dict[ObjectiveName, Objective] = {
    "vise": Objective(
        build=lambda spec, clusters, _group: build_vise(spec, clusters),
        transform=_vise_view,
        losses=lambda spec: spec.signals,
        measures=(),
        values=vise_losses,
        needs_labels=True,
    ),
    "moco-v2": Objective(
        build=lambda spec, _clusters, group: build_moco(spec, group),
        transform=_moco_views,
        losses=lambda _spec: ("contrast",),
        measures=("acc_contrast",),
        # The queue is part of the network, and so is the loss.
        values=lambda outputs, *_: outputs,
        needs_labels=False,
    ),
}
