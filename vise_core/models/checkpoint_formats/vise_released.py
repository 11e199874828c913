"""KMnP/vise: the ResNet-50 trunks that the paper's authors released."""

from __future__ import annotations

from collections.abc import Iterable

from .contents import Contents
from .format import Format, KnownFile
from .resnets import resnet_of

# nn.Sequential over a torchvision ResNet's children but the last two; 2 and 3 are ReLU and pool.
CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
SERVER = "https://obj.umiacs.umd.edu/publicmodels"
HUB = "https://cornell.box.com/shared/static"


def torchvision_names(names: Iterable[str]) -> dict[str, str]:
    """Map the released names to torchvision's: ``4.0.conv1.weight`` → ``layer1.0.conv1.weight``."""
    split = ((name, *name.split(".", 1)) for name in names if "." in name)
    return {name: f"{CHILDREN[child]}.{rest}" for name, child, rest in split if child in CHILDREN}


def _fits(contents: Contents) -> bool:
    return {"0.weight", "7.2.conv3.weight"} <= (contents.plain or {}).keys()


def _files(size: str, posts: str, name: str, hub: str) -> tuple[KnownFile, ...]:
    row, trained_on = f"VisE-{size}", f"{posts} public image posts, comments and reactions"
    return (
        KnownFile(name=name, url=f"{SERVER}/{name}", row=row, trained_on=trained_on),
        KnownFile(name=hub, url=f"{HUB}/{hub}", row=row, trained_on=trained_on),
    )


FORMAT = Format(
    name="vise-released",
    title="VisE's released ResNet-50 trunk",
    row="VisE (released)",
    row_unknown=True,
    fits=_fits,
    backbone=resnet_of,
    names=torchvision_names,
    licence="CC-BY-NC-4.0",
    trained_on="public image posts, comments and reactions; 1.23M or 250M, which the keys do not show",
    source="KMnP/vise@46142e3 hubconf.py, README.md",
    files=(
        *_files("250M", "250M", "vise_250m_rn50_ep10.pth", "y210vs3iktungg7wrf72ibzl87jrojna.pth"),
        *_files("1.2M", "1.23M", "vise_1m_rn50_ep100.pth", "r36nd2o0w5ch6ujuaxj0mtasxaqg0l5t.pth"),
    ),
    notes=(
        "the authors do not state the input's normalisation; ImageNet's is taken, as torchvision's models have it",
    ),
)
