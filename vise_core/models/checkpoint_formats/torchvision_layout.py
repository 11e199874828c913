"""A ResNet in torchvision's names of unknown origin: the user names the row.

Licence and training data stay unstated.
"""

from __future__ import annotations

from .contents import Contents
from .format import Drop, Format
from .networks import networks
from .resnets import resnet_of, which_resnet

NOT_STATED = "not stated"
HEADS = (
    *("fc", "head", "heads", "classifier", "projector", "projection", "projection_head", "proj", "predictor"),
    *("prediction_head", "prototypes", "contrastive_head", "linear", "mlp"),
)


def _fits(contents: Contents) -> bool:
    return any(which_resnet(network.trunk) for network in networks(contents))


FORMAT = Format(
    name="torchvision",
    title="ResNet of unstated origin",
    row="",
    fits=_fits,
    backbone=resnet_of,
    drops=(
        *(Drop(f"{head}.*", "classifier or head") for head in HEADS),
        Drop("queue", "queue of negative keys"),
        Drop("queue_ptr", "place in the queue"),
    ),
    licence=NOT_STATED,
    trained_on=NOT_STATED,
    source="pytorch/vision torchvision/models/resnet.py",
    torchvision=True,
    heads_beside=True,
    notes=(
        "the file does not state the input's normalisation; ImageNet's is taken, as torchvision's models have it",
    ),
)
