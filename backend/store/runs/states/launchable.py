"""Which stages a user may launch, resume and retry: some bring data in from outside, which only admins do."""

from __future__ import annotations

from collections.abc import Iterable

from backend.store.errors import NotAllowed
from vise_core.specs.stages import STAGES


def check_stages(stages: Iterable[str | None], *, admin: bool) -> None:
    """Raise NotAllowed for a stage that only admins launch, unless ``admin``. None: of a recipe or sweep."""
    for stage in stages:
        if stage is not None and STAGES[stage].for_admins and not admin:
            raise NotAllowed(f"only admins launch {stage!r}, which brings data in from outside; ask an admin")
