"""MoCo-v2 (He et al. 2020, Chen et al. 2020): tell each image from all others, without a label (App. B)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vise_core.errors import BadInput
from vise_core.models.backbones import Backbone, build_backbone
from vise_core.specs.pretrain import MocoSettings, PretrainSpec
from vise_core.training.distributed import Group


class Moco(nn.Module):
    """A query encoder that learns, a key encoder that follows it, and a queue of earlier keys.

    (2n, 3, h, w) images, all query views before all key views → this process's part of the batch's values:
    ``contrast`` is the loss, ``acc_contrast`` the percentage of queries nearest to their own key.

    Attributes
    ----------
    backbone: the query encoder's trunk, all that pretraining hands on.
    head: its projection, Linear - ReLU - Linear to ``settings.dim``.
    key: the key encoder, an nn.Sequential of the same two.
    heads: none, since there is no label to predict.
    queue: (settings.queue, dim) float32, unit vectors; the newest end just before ``pointer``.
    pointer: () int64, where the next keys go.
    random: draws the first queue and every shuffle; the same in all processes, and part of the state.
    """

    queue: Tensor
    pointer: Tensor

    def __init__(
        self, backbone: Backbone, head: nn.Module, settings: MocoSettings, *, seed: int, group: Group
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.key = copy.deepcopy(nn.Sequential(backbone, head)).requires_grad_(False)
        self.heads = nn.ModuleDict()
        self.settings = settings
        self.group = group
        self.random = torch.Generator().manual_seed(seed)
        queue = torch.randn(settings.queue, settings.dim, generator=self.random)
        self.register_buffer("queue", F.normalize(queue, dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        seen, compared = images.chunk(2)
        query = F.normalize(self.head(self.backbone(seen)).float(), dim=1)
        with torch.no_grad():
            self.follow()
            keys = self.keys(compared)
        own = keys.chunk(self.group.world)[self.group.rank]
        # Similarities in half precision are too coarse for a softmax over the queue.
        with torch.autocast(images.device.type, enabled=False):
            # The backward pass needs the queue as it is now.
            logits = contrast_logits(query, own, self.queue.clone(), self.settings.temperature)
            loss = F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64), reduction="sum")
        self.enqueue(keys)
        hits = (logits.detach().argmax(1) == 0).sum()
        return {"contrast": loss / len(keys), "acc_contrast": 100 * hits / len(keys)}

    @torch.no_grad()
    def follow(self) -> None:
        """Move the key encoder's weights a little towards the query encoder's."""
        momentum = self.settings.momentum
        learnt = [*self.backbone.parameters(), *self.head.parameters()]
        for query, key in zip(learnt, self.key.parameters(), strict=True):
            key.mul_(momentum).add_(query, alpha=1 - momentum)

    def keys(self, images: Tensor) -> Tensor:
        """Keys of the whole batch in its order, (n, 3, h, w) → (n * world, dim), float32 unit vectors.

        Shuffle-BN: each process encodes images from all over the batch, else a query and its key would share
        batch statistics that give the pair away. One process alone has nobody to trade with: no shuffle.
        """
        group = self.group
        if group.world == 1:
            return F.normalize(self.key(images).float(), dim=1)
        batch = group.gather(images)
        order = torch.randperm(len(batch), generator=self.random).to(batch.device)
        mine = batch[order.chunk(group.world)[group.rank]]
        shuffled = group.gather(F.normalize(self.key(mine).float(), dim=1))
        return shuffled[order.argsort()]

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put the batch's keys in the place of the oldest."""
        places = torch.arange(len(keys), device=keys.device).add_(self.pointer).remainder_(len(self.queue))
        self.queue.index_copy_(0, places, keys)
        self.pointer.add_(len(keys)).remainder_(len(self.queue))

    def get_extra_state(self) -> Tensor:
        return self.random.get_state()

    def set_extra_state(self, state: Any) -> None:
        self.random.set_state(state)


def contrast_logits(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE's logits: similarity to the own key first, then to each of the queue, (n, 1 + k) float32.

    ``query`` and ``key`` are (n, dim), ``queue`` (k, dim), all unit vectors. The right answer is column 0.
    """
    own = (query * key).sum(1, keepdim=True)
    return torch.cat([own, query @ queue.T], dim=1) / temperature


def build_moco(spec: PretrainSpec, group: Group) -> Moco:
    """The untrained network; its weights and its queue depend on the seed alone.

    Raises BadInput where the processes cannot share a batch evenly.
    """
    if spec.batch % group.world:
        raise BadInput(
            f"batch: {spec.batch} cannot be shared evenly by {group.world} processes, which MoCo-v2's "
            "shuffled batch-norm needs; change batch or compute.processes"
        )
    backbone = build_backbone(spec.backbone, seed=spec.seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(spec.seed)
        head = nn.Sequential(
            nn.Linear(backbone.feature_dim, backbone.feature_dim),
            nn.ReLU(),
            nn.Linear(backbone.feature_dim, spec.moco.dim),
        )
    return Moco(backbone, head, spec.moco, seed=spec.seed, group=group)
