"""Write docs/reference/api.md from the API's OpenAPI document: ``python -m docs.api_reference``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from backend.api.app import PREFIX, create_app
from backend.settings import Settings

PAGE = Path(__file__).parent / "reference" / "api.md"
HEAD = """# API

Written by `python -m docs.api_reference` from the OpenAPI document, which a running API serves with all types at
`{prefix}/openapi.json`, and as a page to try requests at `{prefix}/docs`. All paths are below `{prefix}`.

Every operation but `GET /health`, `/ready`, `/live` and the two that sign in needs `Authorization: Bearer TOKEN`. Viewers may read, editors may
launch and change, administrators manage users. Errors are problem details (RFC 9457, `application/problem+json`). Lists return
`next_cursor`; send it as `cursor` for the next page. Request and response bodies are the models of `vise_client.schemas`;
`vise_client` has one method for each operation, sync and async.
"""


def openapi() -> dict[str, Any]:
    """Return the API's OpenAPI document. Nothing is connected to."""
    nowhere = {"database_url": "postgresql+psycopg://", "broker_url": "redis://", "storage_url": "memory://"}
    return create_app(Settings(**nowhere)).openapi()


def page(document: dict[str, Any]) -> str:
    """Return the page: a table of operations for each tag."""
    operations = [
        (operation["tags"][0], method.upper(), path.removeprefix(PREFIX), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    lines = [HEAD.format(prefix=PREFIX)]
    for tag, rows in groupby(sorted(operations, key=lambda row: row[0]), key=lambda row: row[0]):
        lines += [f"## {tag.capitalize()}", "", "| operation | does | query |", "| --- | --- | --- |"]
        for _, method, path, operation in rows:
            summary = (operation.get("description") or operation["summary"]).split("\n\n")[0]
            query = ", ".join(f"`{p['name']}`" for p in operation.get("parameters", []) if p["in"] == "query")
            lines.append(f"| `{method} {path}` | {' '.join(summary.split())} | {query} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(openapi()))
