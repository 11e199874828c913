"""Choose the format of a checkpoint and state its origin, without guesses.

The keys decide how a file is read. Its row, licence and training data are known by its digest, or stated by the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vise_core.errors import BadCheckpoint

from .contents import Contents
from .digest import Digests, Identity, identify
from .format import Format
from .networks import networks, peeled
from .resnets import BY_SHAPE, which_resnet
from .torchvision_layout import FORMAT as TORCHVISION
from .torchvision_layout import NOT_STATED

Basis = Literal["digest", "stated", "keys"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A format, and how it was determined: by the file's digest, by the user's statement, or by the keys."""

    layout: Format
    identity: Identity
    basis: Basis
    row: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The recorded origin of weights."""

    row: str
    licence: str
    trained_on: str
    notes: tuple[str, ...] = ()


def choose(
    contents: Contents,
    file_digests: Digests,
    formats: Mapping[str, Format],
    *,
    format: str | None = None,
    row: str = "",
) -> Chosen:
    """Choose the format of a file. Raises BadCheckpoint where no format fits, or several fit and none is named."""
    if format is not None:
        layout = formats[format]
        if layout is TORCHVISION and not row:
            raise BadCheckpoint(
                f"{layout.title}: the file does not state what it is, so its row needs a name; give it with --row"
            )
        return Chosen(layout, identify(layout, contents.path, file_digests), "stated", row)
    fitting = [layout for layout in formats.values() if _fits(layout, contents)]
    identities = {layout.name: identify(layout, contents.path, file_digests) for layout in fitting}
    published = [layout for layout in fitting if identities[layout.name].verified]
    if len(published) == 1:
        return Chosen(published[0], identities[published[0].name], "digest", row)
    by_keys = [layout for layout in fitting if not layout.torchvision]
    if len(by_keys) == 1:
        (layout,) = by_keys
        return Chosen(layout, identities[layout.name], "stated" if row in layout.rows else "keys", row)
    if by_keys:
        names = ", ".join(layout.name for layout in by_keys)
        raise BadCheckpoint(f"its keys fit several formats; say which it is with --format: {names}")
    named = [layout for layout in fitting if row and row in layout.rows]
    if len(named) == 1:
        return Chosen(named[0], identities[named[0].name], "stated", row)
    if fitting and row:
        return Chosen(TORCHVISION, Identity(None, False), "stated", row)
    raise BadCheckpoint(_ask(contents, fitting, identities) if fitting else _unknown(contents, formats))


def origin_of(chosen: Chosen) -> Origin:
    """Return the row, licence and training data to record. Raises BadCheckpoint where the user must name the row."""
    layout, file, row = chosen.layout, chosen.identity.file, chosen.row
    if row and row in layout.rows and (file is None or not chosen.identity.verified):
        file = next(
            (known for known in layout.files if known.row == row), file if row == layout.row else None
        )
    if layout.row_unknown and file is None and not row:
        raise BadCheckpoint(
            f"{layout.title}: the keys do not show which model it is; name it with --row, one of {', '.join(layout.rows)}, "
            "or a name of your own"
        )
    trained_on = (file.trained_on if file else "") or layout.trained_on
    own_row = row or (file.row if file else "") or layout.row
    if chosen.basis != "keys" or layout.kinds == ("folder",):
        stated = chosen.basis == "stated" and not chosen.identity.verified and layout is not TORCHVISION
        note = (
            (f"licence and training data are those of {layout.title}, as stated by the user",)
            if stated
            else ()
        )
        return Origin(own_row, layout.licence, trained_on, note)
    if row:
        return Origin(
            row,
            NOT_STATED,
            NOT_STATED,
            (
                f"read as {layout.title} by its keys; under the row {row!r}, licence and training data are not stated",
            ),
        )
    doubt = "not verified for this file"
    note = (
        (f"the row {own_row!r} was taken from the file's name, which proves nothing",)
        if (layout.row_unknown)
        else (
            f"the keys are those of {layout.title}; whether its authors published this file is not verified",
        )
    )
    return Origin(own_row, f"{layout.licence}; {doubt}", f"{trained_on}; {doubt}", note)


def _fits(layout: Format, contents: Contents) -> bool:
    if contents.kind not in layout.kinds:
        return False
    usual = layout.wrapper is None and not layout.torchvision
    return layout.fits(peeled(contents).contents if usual else contents)


def _ask(contents: Contents, fitting: list[Format], identities: Mapping[str, Identity]) -> str:
    layouts = networks(contents)
    if len(layouts) > 1:
        description = (
            f"it holds {len(layouts)} networks in torchvision's names; say which with --network: "
            + ", ".join(network.label for network in layouts)
        )
    else:
        trunk = layouts[0].trunk
        head = "a classifier" if any(name.startswith("fc.") for name in trunk) else "no classifier"
        description = f"it is a {which_resnet(trunk)} in torchvision's names with {head}, as many files are"
    choices = [f"--format {layout.name} ({layout.title})" for layout in fitting if layout is not TORCHVISION]
    named = [layout for layout in fitting if identities[layout.name].file is not None]
    hint = f" Its name is that of a file of {named[0].name}, which proves nothing." if named else ""
    listed = f" If it is one of these, say so: {', '.join(choices)}." if choices else ""
    return (
        f"{description}; its keys do not show its origin, licence or training data.{listed}{hint} Otherwise give --row with a "
        "name of your own; its licence and training data are then recorded as not stated"
    )


def _unknown(contents: Contents, formats: Mapping[str, Format]) -> str:
    if networks(contents):
        return (
            "it is a ResNet in torchvision's names of a kind that is not known here; those are "
            + ", ".join(BY_SHAPE.values())
        )
    known = "; ".join(f"{layout.name} ({layout.title})" for layout in formats.values())
    return f"of no format that is known here ({contents.summary()}). Known: {known}"
