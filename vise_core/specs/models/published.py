"""Names of the published checkpoint formats."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

PUBLISHED_FORMATS: dict[str, str] = {
    "in-sup": "IN-Sup",
    "wsl-images": "IG-940M-IN",
    "moco-v2": "MoCo-v2",
    "grid-feats-vqa": "VQAGrid",
    "virtex": "VirTex",
    "virtex-model": "VirTex",
    "torchvision": "",
    "icmlm-tfm": "ICMLM-tfm",
    "icmlm-att-fc": "ICMLM-att-fc",
    "clip-rn50": "CLIP",
    "vise-released": "VisE (released)",
    "vise-checkpoint": "VisE",
}
"""Name → row in tables, of each format in ``vise_core.models.checkpoint_formats``; a test holds them together."""


def _known_format(name: str) -> str:
    if name not in PUBLISHED_FORMATS:
        raise ValueError(f"unknown format {name!r}; choose one of {', '.join(PUBLISHED_FORMATS)}")
    return name


PublishedFormat = Annotated[
    str, AfterValidator(_known_format), Field(json_schema_extra={"enum": list(PUBLISHED_FORMATS)})
]
