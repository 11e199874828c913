"""Our own checkpoint folders, from pretraining or from an earlier import."""

from __future__ import annotations

from vise_core.errors import BadCheckpoint

from .contents import HEADS, Tensors
from .format import Drop, Format


def _backbone(_trunk: Tensors) -> str:
    # Its card says which.
    raise BadCheckpoint("not a checkpoint folder: it has no card")


FORMAT = Format(
    name="vise-checkpoint",
    title="VisE Studio's checkpoint folder",
    row="VisE",
    fits=lambda _contents: True,
    backbone=_backbone,
    drops=(Drop(f"{HEADS}*", "heads of pretraining"),),
    licence="that of the posts it was trained on; nothing is stated in the folder",
    trained_on="posts, comments and reactions",
    source="vise_core.models.checkpoint",
    kinds=("folder",),
)
