"""Identity of a run: what must be equal for a saved state to be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Self

from vise_core.files.names import printable_text

from .specs.base import Spec
from .specs.paths import without
from .specs.stages import STAGES


@dataclass(frozen=True)
class Identity:
    """The run that a state belongs to.

    Attributes
    ----------
    state_format: the stage's ``state_format``; a state of another format is rejected.
    spec: the spec as JSON, without the fields that the stage's entry lists as ``speed_only``.
    inputs: role → SHA-256 of the input's content.
    """

    stage: str
    state_format: str
    spec: dict[str, Any]
    inputs: dict[str, str]

    @classmethod
    def of(cls, stage: str, spec: Spec, inputs: Mapping[str, str]) -> Self:
        """Return the identity of a run of ``stage``; ``inputs``: role → SHA-256 of the content."""
        entry = STAGES[stage]
        fields = without(spec.model_dump(mode="json"), entry.speed_only)
        return cls(stage, entry.state_format, fields, dict(sorted(inputs.items())))

    @property
    def digest(self) -> str:
        """SHA-256 of all fields."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def differences(self, now: Identity) -> list[str]:
        """Return how ``now`` differs from this identity, as parts of a sentence; empty where both are the same run."""
        if self.stage != now.stage:
            return [f"the stage was {self.stage}, now {now.stage}"]
        lines = []
        for role in sorted(self.inputs.keys() | now.inputs.keys()):
            old, new = self.inputs.get(role), now.inputs.get(role)
            if old is None or new is None:
                lines.append(f"the input {role!r} was {'not given' if old is None else 'given'} before")
            elif old != new:
                lines.append(f"the input {role!r} has another content (SHA-256 {old[:12]}, now {new[:12]})")
        lines += [f"spec.{line}" for line in _changes(self.spec, now.spec)]
        if self.state_format != now.state_format:
            lines.append(f"the state's format was {self.state_format!r}, now {now.state_format!r}")
        return lines


def _changes(old: Any, new: Any, path: str = "") -> list[str]:
    """Return ``a.b was 1, now 2`` for each field that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for name in [*new, *(name for name in old if name not in new)]:
            below = f"{path}.{name}" if path else name
            if name not in old:
                lines.append(f"{below} was not there, now {_short(new[name])}")
            elif name not in new:
                lines.append(f"{below} was {_short(old[name])}, now not there")
            else:
                lines += _changes(old[name], new[name], below)
        return lines
    # As JSON: to Python, True is 1.
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    return [] if same else [f"{path} was {_short(old)}, now {_short(new)}"]


def _short(value: Any) -> str:
    text = printable_text(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 80 else f"{text[:77]}…"
