"""Predict comment and reaction clusters of an image with the heads of a pretrained model (Sec. 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vise_core.device import pick_device
from vise_core.errors import BadCheckpoint
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.formats.inspection import Inspection, read_inspection
from vise_core.models.backbones import Backbone
from vise_core.models.checkpoint import load_backbone, load_heads
from vise_core.models.classifier import require_finite
from vise_core.models.folding import fold_batch_norm
from vise_core.models.transforms import eval_transform
from vise_core.specs.compute import Device
from vise_core.specs.models.predict import EngagementOptions
from vise_core.specs.posts.fields import REACTIONS

from .predictor import Picture, opened, weight_bytes


@dataclass(frozen=True)
class ExpectedCluster:
    """A comment cluster with its predicted probability.

    Attributes
    ----------
    cluster: id of the cluster.
    terms: (word, weight) pairs, heaviest first; empty without an inspection.
    comments: the comments nearest to its centroid; empty without an inspection.
    """

    cluster: int
    probability: float
    terms: tuple[tuple[str, float], ...]
    comments: tuple[str, ...]


@dataclass(frozen=True)
class Engagement:
    """The predicted engagement of one image.

    Attributes
    ----------
    comments: the most probable comment clusters, in descending order; None if the model has no comment head.
    comment_mass: sum of the probabilities of ``comments``, 0 to 1.
    reaction_clusters: (k,) probability of each reaction cluster; None if the model has no reaction head.
    reactions: {reaction: expected share}, in the order of ``specs.posts.fields.REACTIONS``: the mean shares of the
        reaction clusters, weighted by probability. None without a reaction head or an inspection.
    """

    comments: tuple[ExpectedCluster, ...] | None
    comment_mass: float
    reaction_clusters: tuple[float, ...] | None
    reactions: dict[str, float] | None


class EngagementPredictor:
    """A frozen pretrained backbone with its heads on a device, and a description of its clusters.

    Attributes
    ----------
    nbytes: size of the weights in memory.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: dict[str, nn.Linear],
        inspection: Inspection | None = None,
        *,
        device: torch.device | None = None,
    ) -> None:
        """Move the model to ``device``; ``inspection`` describes the clusters that it was pretrained on.

        Raises BadCheckpoint without a head for comments or reactions, or if the inspection is of other clusters.
        """
        self._heads: dict[str, nn.Linear] = {n: heads[n] for n in ("comments", "reactions") if n in heads}
        if not self._heads:
            raise BadCheckpoint(
                "the checkpoint has no head for comments or reactions: use a checkpoint that was pretrained with the "
                "objective vise"
            )
        self._device = device or torch.device("cpu")
        self._backbone = backbone.to(self._device).eval().requires_grad_(False)
        for head in self._heads.values():
            head.to(self._device).requires_grad_(False)
        self._transform = eval_transform(
            backbone.image_size, mean=backbone.mean, std=backbone.std, resize=backbone.resize
        )
        self.nbytes = weight_bytes(self._backbone, *self._heads.values())
        self._about = None if inspection is None else _checked(inspection, self._heads)

    @classmethod
    def load(
        cls, checkpoint: Path, inspection: Path | None = None, *, device: Device = "auto"
    ) -> EngagementPredictor:
        """Load the artifacts ``checkpoint`` (a folder) and ``inspection`` (a JSON file).

        Raises BadCheckpoint if a file is missing, damaged or of another format.
        """
        read_checkpoint_card(checkpoint)
        clusters = None if inspection is None else read_inspection(inspection)
        backbone = load_backbone(checkpoint).eval()
        fold_batch_norm(backbone)
        return cls(backbone, load_heads(checkpoint), clusters, device=torch.device(pick_device(device)))

    def predict(self, image: Picture, options: EngagementOptions | None = None) -> Engagement:
        """Predict the engagement of one image, transformed as in evaluation.

        Raises BadImage for an image that does not decode, and BadInput if the output is not finite.
        """
        options = options or EngagementOptions()
        pixels = self._transform(opened(image))[None].to(self._device)
        with torch.no_grad():
            features = self._backbone(pixels)
            logits = {name: head(features) for name, head in self._heads.items()}
        for name, values in logits.items():
            require_finite(values, f"the network's output on {name}")
        probabilities = {n: torch.softmax(v[0].double(), -1).cpu().numpy() for n, v in logits.items()}
        comments, mass = None, 0.0
        if "comments" in probabilities:
            best = np.argsort(-probabilities["comments"], kind="stable")[: options.top]
            comments = tuple(self._cluster(int(c), float(probabilities["comments"][c])) for c in best)
            mass = float(probabilities["comments"][best].sum())
        reactions = probabilities.get("reactions")
        return Engagement(
            comments,
            mass,
            None if reactions is None else tuple(map(float, reactions)),
            None if reactions is None else self._expected(reactions),
        )

    def _cluster(self, cluster: int, probability: float) -> ExpectedCluster:
        if self._about is None:
            return ExpectedCluster(cluster, probability, (), ())
        record = self._about.comments[cluster]
        return ExpectedCluster(cluster, probability, record.terms, record.comments)

    def _expected(self, probabilities: npt.NDArray[np.float64]) -> dict[str, float] | None:
        if self._about is None:
            return None
        means = np.array([[record.reactions[name] for name in REACTIONS] for record in self._about.reactions])
        return dict(zip(REACTIONS, map(float, probabilities @ means), strict=True))


def _checked(inspection: Inspection, heads: dict[str, nn.Linear]) -> Inspection:
    for name, head in heads.items():
        records = inspection.comments if name == "comments" else inspection.reactions
        if [record.cluster for record in records] != list(range(head.out_features)):
            raise BadCheckpoint(
                f"inspection: it describes {len(records)} {name.removesuffix('s')} clusters, but the checkpoint's head "
                f"has {head.out_features}: give the inspection of the clusterer that made the pretraining labels"
            )
    return inspection
