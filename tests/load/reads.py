"""Every list and detail that the API serves: its GET routes, with ids and queries of what a stack holds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.load.content import Content
from vise_client.sender import Request

DOWNLOADS = frozenset(
    {
        "/artifacts/{artifact_id}/content",
        "/models/{model_id}/download",
        "/runs/{run_id}/logs/download",
        "/feedback/export",
        "/reports/{name}",
        "/reports/results",
    }
)
"""Files, which take as long as they are large or as drawing them takes. The pages load them at a click."""


@dataclass(frozen=True)
class Route:
    """A GET route. ``values``: what its path may name, a dictionary for each case; ``query`` what it needs beside."""

    path: str
    values: list[dict[str, Any]]
    query: dict[str, str]

    def request(self, rng: random.Random) -> Request:
        return Request("GET", self.path.format(**rng.choice(self.values)), self.query)


def routes(paths: dict[str, dict[str, Any]], content: Content) -> list[Route]:
    """Return the routes that read lists and details, of the paths of an OpenAPI document below its prefix.

    A route that needs something that the stack does not hold, such as an explorer, is left out. Raises KeyError for a
    route with a parameter that is not known here.
    """
    found = []
    for path in sorted(path for path, methods in paths.items() if "get" in methods and path not in DOWNLOADS):
        values, query = content.values(path), content.query(path)
        if values and query is not None:
            found.append(Route(path, values, query))
    return found
