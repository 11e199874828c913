"""Published weights: recognise the format of a checkpoint by its keys, and account for every key.

A new format is one file in this package and its entry in ``CHECKPOINT_FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from vise_core.errors import BadCheckpoint, BadInput
from vise_core.formats.checkpoint import CheckpointCard, Source, row_of
from vise_core.models.backbones import Backbone
from vise_core.models.checkpoint import apply_card

from . import (
    clip,
    grid_feats_vqa,
    icmlm,
    in_sup,
    moco_v2,
    torchvision_layout,
    virtex,
    vise_checkpoint,
    vise_released,
    wsl_images,
)
from .account import load
from .choosing import Chosen, choose, origin_of
from .contents import Contents, read_contents
from .digest import Digests, Identity, digests
from .format import Drop, Format, KnownFile

T = TypeVar("T")

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
        torchvision_layout.FORMAT,
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
    """Weights that were read, with their origin and licence.

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
        """Return the source record that a checkpoint's card keeps."""
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
    """Return the format of a file or folder, by its keys or its digest.

    Raises BadCheckpoint where none fits, or several do; the message lists them.
    """
    contents = read_contents(path)
    return _named(path, lambda: choose(contents, digests(contents.weights_file), CHECKPOINT_FORMATS).layout)


def read_published(
    path: Path,
    *,
    format: str | None = None,
    row: str = "",
    network: str | None = None,
    sha256: str | None = None,
) -> Published:
    """Load the backbone of a published checkpoint.

    ``format`` names an entry of CHECKPOINT_FORMATS where the keys are ambiguous. ``row`` is the row in the paper's
    tables: one of the format's, or a name of the user's own, whose licence and training data are then stated only if
    ``format`` says more. ``network`` selects one of several networks in the file. ``sha256`` is the expected digest
    of the file, or its beginning. Raises BadCheckpoint, naming the file, if it is damaged, of no known format, of
    several, or has another digest; BadInput for an unknown format or network.
    """
    if format is not None and format not in CHECKPOINT_FORMATS:
        raise BadInput(f"format: unknown {format!r}; one of {', '.join(CHECKPOINT_FORMATS)}")
    contents = read_contents(path)
    file_digests = digests(contents.weights_file)
    if sha256 is not None and not file_digests.sha256.startswith(sha256.lower()):
        raise BadCheckpoint(f"{path.name}: its SHA-256 is {file_digests.sha256}, expected {sha256}")

    def read() -> Published:
        chosen = choose(contents, file_digests, CHECKPOINT_FORMATS, format=format, row=row)
        return _published(chosen, contents, file_digests, network)

    return _named(path, read)


def _named(path: Path, do: Callable[[], T]) -> T:
    try:
        return do()
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def _published(chosen: Chosen, contents: Contents, file_digests: Digests, network: str | None) -> Published:
    layout, identity = chosen.layout, chosen.identity
    backbone, known, changes = load(layout, contents, network)
    backbone.mean, backbone.std = layout.mean, layout.std
    origin = origin_of(chosen)
    read = Published(
        backbone=backbone,
        format=layout,
        row=origin.row,
        file=contents.weights_file.name,
        sha256=file_digests.sha256,
        verified=identity.verified,
        licence=origin.licence,
        trained_on=origin.trained_on,
        dropped=known.rules,
        dropped_keys=tuple(known.dropped),
        notes=(*layout.notes, *_identity_notes(layout, identity), *origin.notes, *changes),
    )
    return read if contents.card is None else _with_card(read, contents.card, chosen.row)


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


def _with_card(read: Published, card: CheckpointCard, row: str) -> Published:
    """Add the facts in the card of one of our own checkpoints."""
    apply_card(read.backbone, card)
    read = replace(read, row=row or row_of(card), synthetic=card.synthetic, origin=card.source)
    if card.source is None:
        return read
    return replace(
        read, licence=card.source.licence, trained_on=card.source.trained_on, notes=card.source.notes
    )
