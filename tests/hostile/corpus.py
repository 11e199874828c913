"""All hostile files."""

from __future__ import annotations

from tests.hostile.archives import archives
from tests.hostile.case import Case
from tests.hostile.checkpoints import checkpoints
from tests.hostile.pictures import pictures
from tests.hostile.post_sets import post_sets
from tests.hostile.tables import tables


def corpus() -> list[Case]:
    return [*pictures(), *archives(), *checkpoints(), *post_sets(), *tables()]
