"""MoCo-v2 (He et al. 2020, Chen et al. 2020): contrastive learning on the images alone (App. B, Table 5)."""

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
    """A query encoder that is trained, a key encoder that follows it, and a queue of earlier keys.

    (2n, 3, h, w) images, all query views before all key views → this process's part of the batch's values:
    ``contrast`` is the loss, ``acc_contrast`` the percentage of queries nearest to their own key.

    Attributes
    ----------
    backbone: the query encoder's trunk, which the checkpoint holds.
    head: its projection, Linear - ReLU - Linear to ``settings.dim``.
    key: the key encoder, an nn.Sequential of a copy of ``backbone`` and ``head``.
    heads: empty, since there are no labels to predict.
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
        """Map two views of n images, (2 n, 3, h, w), to the scalars ``contrast`` and ``acc_contrast``."""
        query_views, key_views = images.chunk(2)
        query = F.normalize(self.head(self.backbone(query_views)).float(), dim=1)
        with torch.no_grad():
            self.update_key_encoder()
            keys = self.keys(key_views)
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
    def update_key_encoder(self) -> None:
        """Move the key encoder's weights towards the query encoder's, with the spec's momentum."""
        momentum = self.settings.momentum
        trained = [*self.backbone.parameters(), *self.head.parameters()]
        for query, key in zip(trained, self.key.parameters(), strict=True):
            key.mul_(momentum).add_(query, alpha=1 - momentum)

    def keys(self, images: Tensor) -> Tensor:
        """Return the keys of the whole batch in its order, (n, 3, h, w) → (n * world, dim), float32 unit vectors.

        Shuffle-BN: each process encodes images from all over the batch, else a query and its key would share
        batch statistics, by which the pair can be recognised. One process alone cannot shuffle.
        """
        group = self.group
        if group.world == 1:
            return F.normalize(self.key(images).float(), dim=1)
        batch = group.gather(images)
        order = torch.randperm(len(batch), generator=self.random).to(batch.device)
        part = batch[order.chunk(group.world)[group.rank]]
        shuffled = group.gather(F.normalize(self.key(part).float(), dim=1))
        return shuffled[order.argsort()]

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Replace the oldest keys of the queue with the batch's keys, (n, dim) float32."""
        places = torch.arange(len(keys), device=keys.device).add_(self.pointer).remainder_(len(self.queue))
        self.queue.index_copy_(0, places, keys)
        self.pointer.add_(len(keys)).remainder_(len(self.queue))

    def get_extra_state(self) -> Tensor:
        return self.random.get_state()

    def set_extra_state(self, state: Any) -> None:
        self.random.set_state(state)


def contrast_logits(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE's logits, (n, 1 + k) float32: similarity to the own key, then to each key of the queue.

    ``query`` and ``key`` are (n, dim), ``queue`` (k, dim), all unit vectors. The positive is column 0.
    """
    own = (query * key).sum(1, keepdim=True)
    return torch.cat([own, query @ queue.T], dim=1) / temperature


def build_moco(spec: PretrainSpec, group: Group) -> Moco:
    """Return the untrained network; its weights and its queue depend on the seed alone.

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
