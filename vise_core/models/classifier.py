"""A backbone with a linear classifier, and the folder that stores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from vise_core.errors import BadInput
from vise_core.formats.predictor import MODEL_FILE, PredictorCard, read_predictor_card, write_predictor_card

from .backbones import Backbone, empty_backbone
from .checkpoint import apply_card, resize_for
from .tensors import load_into, write_tensors

CARD_FIELDS = ("method", "task", "synthetic")


class ImageClassifier(nn.Module):
    """Maps images to logits over named classes.

    Attributes
    ----------
    backbone, head: the network. The head is linear on the pooled feature, so CAM applies as it is.
    classes: name of each logit.
    image_size, resize, mean, std: what ``transforms.eval_transform`` needs for an image.
    metadata: what ``save_classifier`` was given: method, task, synthetic and anything else.
    """

    def __init__(
        self, backbone: Backbone, head: nn.Linear, classes: Sequence[str], *, image_size: int | None = None
    ) -> None:
        """Combine backbone and head; ``image_size`` None is the backbone's own.

        Raises ValueError if sizes do not match.
        """
        super().__init__()
        if head.out_features != len(classes) or head.in_features != backbone.feature_dim:
            raise ValueError(
                f"a head of {head.in_features} → {head.out_features} does not fit "
                f"{backbone.feature_dim} features and {len(classes)} classes"
            )
        self.backbone = backbone
        self.head = head
        self.classes = tuple(classes)
        self.image_size = image_size or backbone.image_size
        self.resize = resize_for(backbone, self.image_size)
        self.mean, self.std = backbone.mean, backbone.std
        self.metadata: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (n, 3, image_size, image_size) to logits (n, classes)."""
        return cast(Tensor, self.head(self.backbone(x)))


def require_finite(outputs: Tensor, name: str) -> None:
    """Raise BadInput if outputs (n, …) of a network are NaN or infinite, naming the rows.

    The softmax of such a row is NaN, and its argmax is always the first class.
    """
    lost = torch.nonzero(~torch.isfinite(outputs).flatten(1).all(1))[:, 0].tolist()
    if lost:
        rows = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
        whose = "" if len(outputs) == 1 else f" for image {rows} of {len(outputs)}"
        raise BadInput(
            f"{name} is not finite{whose}: the image holds values that are not finite, or the network's weights "
            "diverged in training"
        )


def save_classifier(folder: Path, classifier: ImageClassifier, metadata: Mapping[str, Any]) -> None:
    """Write ``model.safetensors`` and ``predictor.json`` to a folder.

    ``metadata`` may hold method, task and synthetic, which get fields of their own, and any other JSON.
    """
    card = PredictorCard(
        backbone=classifier.backbone.name,
        classes=classifier.classes,
        image_size=classifier.image_size,
        resize=classifier.resize,
        mean=classifier.mean,
        std=classifier.std,
        **{name: metadata[name] for name in CARD_FIELDS if name in metadata},
        metadata={name: value for name, value in metadata.items() if name not in CARD_FIELDS},
    )
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"backbone.{name}": t for name, t in classifier.backbone.trunk.state_dict().items()}
    tensors |= {f"head.{name}": t for name, t in classifier.head.state_dict().items()}
    write_tensors(folder / MODEL_FILE, tensors)
    write_predictor_card(folder, card)


def load_classifier(folder: Path) -> ImageClassifier:
    """Load the classifier of a folder, on the CPU, in evaluation mode.

    Raises BadCheckpoint for anything that ``save_classifier`` would not write.
    """
    card = read_predictor_card(folder)
    backbone = empty_backbone(card.backbone)
    with torch.device("meta"):
        head = nn.Linear(backbone.feature_dim, len(card.classes))
    parts = nn.ModuleDict({"backbone": backbone.trunk, "head": head})
    load_into(parts, folder / MODEL_FILE)
    apply_card(backbone, card)
    classifier = ImageClassifier(backbone, head, card.classes)
    # The card's own value, where it was not the usual proportion.
    classifier.resize = card.resize
    classifier.metadata = {**card.metadata, **{name: getattr(card, name) for name in CARD_FIELDS}}
    return classifier.eval()
