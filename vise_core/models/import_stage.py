"""The stage ``import``: convert a published checkpoint to one of our own."""

from __future__ import annotations

from pathlib import Path

import torch

from vise_core.errors import BadCheckpoint, BadInput, Stopped
from vise_core.files.names import contained
from vise_core.formats.checkpoint import CARD_FILE
from vise_core.limits import limited
from vise_core.reporter import Reporter
from vise_core.specs.import_weights import ImportResult, ImportSpec

from .backbones import Backbone
from .checkpoint import save_checkpoint
from .checkpoint_formats import Published, read_published

MEMORY_BYTES = 2 * 2**30
SECONDS = 120.0
BYTES_PER_SECOND = 2_000_000
"""What reading a checkpoint may take of memory and processor time; see docs/security.md."""


def run(spec: ImportSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ImportResult:
    """Import the backbone of a published weights file. Artifact: ``checkpoint``.

    Raises BadCheckpoint for a file that does not match its format exactly, BadInput for an unknown format or network,
    and Stopped if the reporter asks to stop.
    """
    if reporter.should_stop():
        raise Stopped("stopped on request; nothing was read yet")
    path = chosen_file(inputs["file"], spec.file)
    reporter.log(f"reading {path.name}; tensors only, nothing in it is run")
    size = path.stat().st_size
    with limited(
        path.name,
        memory=MEMORY_BYTES + 6 * size,
        seconds=SECONDS + size / BYTES_PER_SECOND,
        file_bytes=2**20 + size,
    ):
        published = read_published(
            path, format=spec.format, row=spec.row, network=spec.network, sha256=spec.sha256
        )
        check_features(published.backbone)
    _log_published(published, reporter)
    folder = workspace / "checkpoint"
    save_checkpoint(
        folder,
        published.backbone,
        {},
        image_size=published.backbone.image_size,
        synthetic=published.synthetic,
        source=published.source,
    )
    reporter.artifact("checkpoint", folder)
    source = published.source
    return ImportResult(
        synthetic=published.synthetic,
        **source.model_dump(exclude={"dropped"}),
        backbone=published.backbone.name,
        parameters=sum(weight.numel() for weight in published.backbone.parameters()),
        dropped=published.dropped,
    )


def check_features(backbone: Backbone) -> None:
    """Raise BadCheckpoint if the backbone's features are not finite, which can happen with finite weights."""
    grey = torch.zeros(1, 3, backbone.image_size, backbone.image_size)
    was_training = backbone.training
    with torch.inference_mode():
        features = backbone.eval()(grey)
    backbone.train(was_training)
    if not bool(torch.isfinite(features).all()):
        raise BadCheckpoint(
            "the features that it gives for a grey image are not finite, so its weights cannot be used"
        )


def chosen_file(place: Path, name: str | None) -> Path:
    """Return the file to read: the input itself, or the only candidate in an input folder.

    Raises BadInput where a folder has none or several.
    """
    if place.is_file() or (name is None and (place / CARD_FILE).is_file()):
        if name not in (None, place.name):
            raise BadInput(f"file: the input is {place.name}, not {name}")
        return place
    files = sorted(p for p in place.iterdir() if _is_candidate(p, place))
    if name is not None:
        files = [p for p in files if p.name == name]
    if len(files) == 1:
        return files[0]
    if not files:
        raise BadInput(f"file: there is no {name or 'file'} in the folder {place.name}")
    raise BadInput(f"file: say which of {', '.join(p.name for p in files)} in {place.name}")


def _is_candidate(path: Path, folder: Path) -> bool:
    """Return True for a file or checkpoint folder that lies in the folder and is not a link out of it."""
    try:
        contained(folder, path.name)
    except BadInput:
        return False
    if path.name.startswith("."):
        return False
    return path.is_file() or (path / CARD_FILE).is_file()


def _log_published(published: Published, reporter: Reporter) -> None:
    reporter.log(f"{published.file} is {published.format.title}: the row {published.row}")
    reporter.log(f"trained on {published.trained_on}; licence: {published.licence}")
    for line in published.dropped:
        reporter.log(f"left out: {line}")
    for note in published.notes:
        reporter.log(note, level="info" if note.startswith("verified") else "warning")
