"""openai/CLIP RN50: the TorchScript archive, or its state dict (Radford et al. 2021).

Only the tensors of the archive are read; its programs are not loaded. The feature is the mean over layer4, before the
attention pool; ``vise_core.models.clip_resnet`` says why.
"""

from __future__ import annotations

from vise_core.errors import BadCheckpoint
from vise_core.specs.models.backbones import CLIP_MEAN, CLIP_STD

from .contents import Contents, Tensors
from .format import Drop, Format, KnownFile, under

VISUAL = "visual."
SHA256 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"
BLOCKS = (3, 4, 6, 3)
TEXT_TOWER = (
    *("transformer.*", "token_embedding.weight", "positional_embedding", "ln_final.weight", "ln_final.bias"),
    *("text_projection", "attn_mask"),
)


def _fits(contents: Contents) -> bool:
    tensors = contents.plain or {}
    return f"{VISUAL}attnpool.positional_embedding" in tensors and f"{VISUAL}layer4.2.conv3.weight" in tensors


def _backbone(trunk: Tensors) -> str:
    """Return RN50 by its blocks per stage and width. Raises BadCheckpoint for CLIP's other residual networks."""
    blocks = tuple(
        sum(f"layer{stage}.{i}.conv1.weight" in trunk for i in range(64)) for stage in (1, 2, 3, 4)
    )
    first = trunk.get("layer1.0.conv1.weight")
    width = None if first is None else first.shape[0]
    if blocks != BLOCKS or width != 64:
        raise BadCheckpoint(
            f"of CLIP's models only RN50 is known here: blocks {BLOCKS} and width 64, not {blocks} and {width}"
        )
    return "clip_resnet50"


FORMAT = Format(
    name="clip-rn50",
    title="CLIP RN50",
    row="CLIP",
    fits=_fits,
    backbone=_backbone,
    names=under(VISUAL),
    drops=(
        Drop(f"{VISUAL}attnpool.*", "attention pool: the feature is the mean before it"),
        *(Drop(name, "text tower") for name in TEXT_TOWER),
        Drop("logit_scale", "temperature of the contrast"),
        *(
            Drop(name, "a number of the archive")
            for name in ("input_resolution", "context_length", "vocab_size")
        ),
    ),
    mean=CLIP_MEAN,
    std=CLIP_STD,
    licence="MIT",
    trained_on="WebImageText, 400M image-text pairs",
    source="openai/CLIP@d05afc4 clip/model.py, clip/clip.py",
    kinds=("torch", "torchscript"),
    files=(
        KnownFile(
            name="RN50.pt",
            url=f"https://openaipublic.azureedge.net/clip/models/{SHA256}/RN50.pt",
            sha256=SHA256,
        ),
    ),
    notes=(
        "feature: mean over layer4 (2048), before CLIP's attention pool (1024), so that it compares with the other "
        "ResNet-50s and class activation maps hold",
        "CLIP itself resizes with bicubic interpolation to 224; here the paper's protocol holds for all (256, crop 224)",
    ),
)
