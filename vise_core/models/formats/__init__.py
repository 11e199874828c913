"""Weights as their authors publish them: recognised by their keys, every key accounted for.

Adding a format is one small file here and its entry in ``CHECKPOINT_FORMATS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vise_core.errors import BadCheckpoint, BadInput

from ..backbones import Backbone
from ..card import CheckpointCard, Source, apply_card, row_of
from . import clip, grid_feats_vqa, icmlm, in_sup, moco_v2, virtex, vise_checkpoint, vise_released, wsl_images
from .account import load
from .contents import Contents, read_contents
from .digest import Digests, Identity, digests, identify
from .format import Drop, Format, KnownFile

__all__ = ["CHECKPOINT_FORMATS", "Drop", "Format", "KnownFile", "Published", "read_published", "recognise"]

CHECKPOINT_FORMATS: dict[str, Format] = {
    layout.name: layout
    for layout in (
        in_sup.FORMAT,
        wsl_images.FORMAT,
        moco_v2.FORMAT,
        grid_feats_vqa.FORMAT,
        virtex.BACKBONE,
        virtex.MODEL,
        icmlm.TFM,
        icmlm.ATT_FC,
        clip.FORMAT,
        vise_released.FORMAT,
        vise_checkpoint.FORMAT,
    )
}
"""Name → format."""


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that were read, and what has to be known of them.

    Attributes
    ----------
    backbone: on the CPU, with its own normalisation.
    row: name of the row in the paper's tables (Table 1).
    file, sha256: what was read; of a folder, the file that holds the backbone.
    verified: whether it is, by its digest, the very file that its authors published.
    dropped: one line for each rule that left something out. dropped_keys: every key left out, by the file's name.
    notes: what a user should know.
    origin: of a checkpoint of ours that was imported once already, where it came from then.
    """

    backbone: Backbone
    format: Format
    row: str
    file: str
    sha256: str
    verified: bool
    licence: str
    trained_on: str
    dropped: tuple[str, ...]
    dropped_keys: tuple[str, ...]
    notes: tuple[str, ...]
    synthetic: bool = False
    origin: Source | None = None

    @property
    def source(self) -> Source:
        """The record that travels with the weights from here on."""
        if self.origin is not None:
            return self.origin.model_copy(update={"row": self.row})
        return Source(
            format=self.format.name,
            title=self.format.title,
            row=self.row,
            file=self.file,
            sha256=self.sha256,
            verified=self.verified,
            licence=self.licence,
            trained_on=self.trained_on,
            dropped=self.dropped_keys,
            notes=self.notes,
        )


def recognise(path: Path) -> Format:
    """The format of a file or folder, by its keys. Raises BadCheckpoint where none or several fit."""
    return _recognise(read_contents(path))


def read_published(path: Path, *, format: str | None = None, sha256: str | None = None) -> Published:
    """The backbone of a published file.

    ``format`` names an entry of CHECKPOINT_FORMATS where the keys do not tell; ``sha256`` is what the file must
    hash to (the beginning is enough). Raises BadCheckpoint, BadInput for a format that there is not.
    """
    if format is not None and format not in CHECKPOINT_FORMATS:
        raise BadInput(f"format: unknown {format!r}; one of {', '.join(CHECKPOINT_FORMATS)}")
    contents = read_contents(path)
    found = digests(contents.weights_file)
    if sha256 is not None and not found.sha256.startswith(sha256.lower()):
        raise BadCheckpoint(f"{path.name}: its SHA-256 is {found.sha256}, expected {sha256}")
    layout = CHECKPOINT_FORMATS[format] if format else _recognise(contents)
    try:
        return _published(layout, contents, found)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def _recognise(contents: Contents) -> Format:
    possible = (layout for layout in CHECKPOINT_FORMATS.values() if contents.kind in layout.kinds)
    fitting = [layout for layout in possible if layout.fits(contents)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(layout.name for layout in fitting)
        raise BadCheckpoint(f"{contents.path.name}: its keys fit several formats; say which it is: {names}")
    known = "; ".join(f"{layout.name} ({layout.title})" for layout in CHECKPOINT_FORMATS.values())
    raise BadCheckpoint(
        f"{contents.path.name}: of no format that is known here ({contents.summary()}). Known: {known}"
    )


def _published(layout: Format, contents: Contents, found: Digests) -> Published:
    identity = identify(layout, contents.path, found)
    backbone, known, added = load(layout, contents)
    backbone.mean, backbone.std = layout.mean, layout.std
    read = Published(
        backbone=backbone,
        format=layout,
        row=(identity.file.row if identity.file else "") or layout.row,
        file=contents.weights_file.name,
        sha256=found.sha256,
        verified=identity.verified,
        licence=layout.licence,
        trained_on=(identity.file.trained_on if identity.file else "") or layout.trained_on,
        dropped=known.rules,
        dropped_keys=tuple(known.dropped),
        notes=(*layout.notes, *_identity_notes(layout, identity), *added),
    )
    return read if contents.card is None else _with_card(read, contents.card)


def _identity_notes(layout: Format, identity: Identity) -> tuple[str, ...]:
    if identity.verified and identity.file:
        return (f"verified: by its digest it is {identity.file.name} as published",)
    if identity.file:
        return (
            f"not verified: named {identity.file.name} like the published file, of which no digest is known",
        )
    if layout.files:
        names = ", ".join(known.name for known in layout.files)
        return (f"not verified: neither digest nor name is that of a published file known here ({names})",)
    return ()


def _with_card(read: Published, card: CheckpointCard) -> Published:
    """Of our own checkpoints: what their card says."""
    apply_card(read.backbone, card)
    read = replace(read, row=row_of(card), synthetic=card.synthetic, origin=card.source)
    if card.source is None:
        return read
    return replace(
        read, licence=card.source.licence, trained_on=card.source.trained_on, notes=card.source.notes
    )
