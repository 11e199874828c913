"""Bases of all specs and results. Nothing in ``specs`` imports torch."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class Record(BaseModel):
    """An immutable record that rejects unknown fields, so that a typo is never a silent default.

    NaN and infinity are rejected too: JSON has neither, and a number that is undefined is None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains NUL, which is not text")
    return text


Name = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
"""The name of a stage, step, input, artifact, metric or column."""
Tag = Annotated[str, Field(max_length=80), AfterValidator(_storable)]
"""A word by which runs are grouped."""
Text = Annotated[str, Field(max_length=2000), AfterValidator(_storable)]
"""A title or some sentences."""


def _stays_inside(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    drive = len(parts) > 1 and parts[0][1:] == ":"
    if "\0" in name or ".." in parts or drive or (name and not parts[0]):
        raise ValueError("name a path inside the folder: relative, without '..'")
    if parts.count("**") > 1:
        raise ValueError("write ** only once: each searches all folders again")
    return name


PathInside = Annotated[str, Field(max_length=1000), AfterValidator(_stays_inside)]
"""A path, or a pattern of paths, relative to the folder of an input; ``files.names.contained`` resolves it."""


MOST_VALUES = 100
"""Values in a list of a spec. A sweep reads each of its specs, so that a long list would hold up all requests."""


def is_path_inside(name: str) -> bool:
    """Return True for a name that a spec may hold as a ``PathInside``."""
    try:
        TypeAdapter(PathInside).validate_python(name)
    except ValidationError:
        return False
    return True


class Spec(Record):
    """Base class of the parameters of stages. The same spec, inputs and seed give the same result."""

    seed: int = Field(0, ge=0, lt=2**31, description="Seed of every random choice in this run.")


class Provenance(Record):
    """The origin of a result: code, packages, device, inputs and seed, enough to compute it again."""

    stage: str
    seed: int
    started_at: str = Field(description="UTC time, ISO 8601.")
    wall_seconds: float
    peak_memory_bytes: int = Field(description="Peak resident memory of the run's process.")
    device: str
    git_commit: str | None = Field(description="Commit of the code, None outside a git checkout.")
    packages: dict[str, str] = Field(description="Versions of the packages that matter.")
    inputs: dict[str, str] = Field(description="SHA-256 of each input's content, by role.")
    synthetic: bool = Field(False, description="True where any input is generated sample data.")


class Result(Record):
    """Base class of the results of stages. Curves and files are not part of it: a stage sends them to its reporter."""

    provenance: Provenance | None = None
    synthetic: bool = Field(False, description="True where the data behind it is generated, not real.")

    def headline(self) -> dict[str, float]:
        """Return the few numbers that a list of runs shows, by metric name."""
        return {}

    def with_provenance(self, provenance: Provenance) -> Self:
        """Return the result with its provenance, as it is stored."""
        return self.model_copy(update={"provenance": provenance})
