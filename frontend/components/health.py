"""What is wrong with the parts that runs need."""

from __future__ import annotations

from frontend.components.layout import problem
from frontend.formatting import plain
from vise_client.schemas.wire import Health


def part_problems(health: Health) -> None:
    """Draw one sentence for each part that is not well."""
    for part in health.parts:
        if part.message:
            problem(f"{plain(part.name.capitalize())}: {plain(part.message)}.", "Its log says more.")
