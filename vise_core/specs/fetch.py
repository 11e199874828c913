"""Fetch: unpack an uploaded archive, or download a file and unpack it."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from .base import Record, Spec
from .stage import InputRole, Stage
from .survey import DataKind, SurveyResult

SCHEMES = ("https", "http")


class UnpackLimits(Record):
    """Limits on an archive. One that exceeds them is refused before it fills the disk."""

    bytes: int = Field(50 * 2**30, ge=1, le=4 * 2**40, description="Unpacked, all files together.")
    files: int = Field(2_000_000, ge=1, le=20_000_000, description="Files in the archive.")
    ratio: float = Field(
        200,
        gt=1,
        le=10_000,
        description="Unpacked over packed size, for a whole archive: more is taken for a bomb.",
    )


class FetchSpec(Spec):
    """Import a data set: unpack an uploaded archive, or download one and unpack it. Every file is checked."""

    kind: DataKind = Field("images", description="images: labelled. posts: to ingest. weights: to import.")
    url: str | None = Field(
        None, max_length=2000, description="https address of a file; null: the input archive is unpacked."
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="What the downloaded file must hash to; without, what was sent is taken as it is, and its hash is logged.",
    )
    download_bytes: int = Field(20 * 2**30, ge=1, le=2**40, description="A larger download is aborted.")
    limits: UnpackLimits = Field(default_factory=UnpackLimits)
    samples: int = Field(24, ge=0, le=200, description="Thumbnails to make, evenly over classes.")

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ValueError("give the address of a file, such as https://example.org/images.tar")
        if parts.username or parts.password:
            raise ValueError("an address must hold no user name or password")
        return value


STAGE = Stage(
    name="fetch",
    title="Fetch data",
    help="Unpack an uploaded archive, or download one, check every file, and survey it.",
    runner="vise_core.data.fetch:run",
    spec=FetchSpec,
    result=SurveyResult,
    queue="cpu",
    for_admins=True,
    inputs={
        "archive": InputRole(
            help="An uploaded zip or tar; none where a url is given.", artifact="upload", required=False
        )
    },
    outputs={"data": "The files, unpacked.", "survey": "Counts, what cannot be read, thumbnails."},
    needed=lambda spec: ("archive",) if spec.url is None else (),
)
