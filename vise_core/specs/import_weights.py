"""Import: published weights as a checkpoint of our own."""

from __future__ import annotations

from pydantic import Field, field_validator

from .base import Result, Spec
from .estimate import Cost, InputFacts, Work
from .models.published import PublishedFormat
from .stage import InputRole, Stage


class ImportSpec(Spec):
    """Import published weights as a checkpoint."""

    format: PublishedFormat | None = Field(
        None,
        description="Name of a format, where the keys do not tell it (torchvision: any ResNet in its names, origin not "
        "stated); null: recognised by the keys.",
    )
    file: str | None = Field(
        None,
        max_length=255,
        description="Name of the file where the input is a folder with several; null: the only one in it.",
    )
    row: str = Field(
        "",
        max_length=80,
        description="Name of the row in tables: one of the format's, or your own. With a name of your own, licence and "
        "training data are recorded as not stated. Empty: the format's.",
    )
    network: str | None = Field(
        None,
        max_length=300,
        description="Which network, where a file holds several, such as teacher and student; null: the only one.",
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{8,64}$",
        description="What the file must hash to, whole or its first digits; null: only what is known of the format.",
    )

    @field_validator("file")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        if value is not None and (
            value in (".", "..") or not value.isprintable() or {"/", "\\"} & set(value)
        ):
            raise ValueError("give the name of a file in the folder, not a path")
        return value


class ImportResult(Result):
    """Result of ``import``. Artifact: ``checkpoint``, without heads."""

    format: str
    title: str
    row: str
    backbone: str
    parameters: int
    file: str
    sha256: str
    verified: bool = Field(description="Whether its digest is that of the file that its authors published.")
    licence: str
    trained_on: str
    dropped: tuple[str, ...] = Field(description="What of the file was left out, one line a rule.")
    notes: tuple[str, ...]

    def headline(self) -> dict[str, float]:
        return {"parameters": float(self.parameters)}


STAGE = Stage(
    name="import",
    title="Import weights",
    help="Import published weights; every key is accounted for.",
    runner="vise_core.models.import_stage:run",
    spec=ImportSpec,
    result=ImportResult,
    queue="cpu",
    inputs={
        "file": InputRole(
            help="The published file, the folder it lies in, or a checkpoint folder of another system like this.",
            artifact="weights",
        )
    },
    outputs={"checkpoint": "The backbone with its source."},
    cost=Cost(work=lambda spec, facts: Work(1, "one file")),
    facts=lambda artifact, spec, result: InputFacts(backbone=result.get("backbone")),
)
