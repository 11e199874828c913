"""Write docs/reference/api.md from the API's OpenAPI document: ``python -m docs.api_reference``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from fastapi import FastAPI

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from vise_client.schemas.accounts import ROLE_SCOPES, SCOPES

PAGE = Path(__file__).parent / "reference" / "api.md"
HEAD = """# API

Written by `python -m docs.api_reference` from the OpenAPI document, which a running API serves with all types at
`{prefix}/openapi.json`, and as a page to try requests at `{prefix}/docs`. All paths are below `{prefix}`.

Every operation that is not *public* needs `Authorization: Bearer TOKEN`. The column *needs* names the scope of the token:

{scopes}

The tokens of a role have at most these scopes: {roles}.
*Session* is a token from a sign-in, with the scopes of the user's role, and not an API token; see [security](../security.md).

Errors are problem details (RFC 9457, `application/problem+json`). Lists return
`next_cursor`; send it as `cursor` for the next page. Request and response bodies are the models of `vise_client.schemas`;
`vise_client` has one method for each operation, sync and async.

Requests that create runs (`/runs`, `/runs/…/clone`, `/recipes/runs`, `/sweeps`) take the header `Idempotency-Key`, a new UUID with each
request: sent again within a day, because no response arrived, the request returns what it created the first time. The client does so.
"""


def app() -> FastAPI:
    """Return the API. It is connected to nothing."""
    nowhere = {"database_url": "postgresql+psycopg://", "broker_url": "redis://", "storage_url": "memory://"}
    return create_app(Settings(**nowhere))


def page(api: FastAPI) -> str:
    """Return the page: a table of operations for each tag, with what each needs of its caller."""
    document = api.openapi()
    needs = {
        (entry.method, entry.path): entry.need.name if entry.need else "public" for entry in api.state.needs
    }
    operations = [
        (operation["tags"][0], method.upper(), path.removeprefix(PREFIX), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    scopes = "\n".join(f"- `{scope}`: {words}" for scope, words in SCOPES.items())
    roles = ", ".join(f"{role} {' '.join(f'`{s}`' for s in scopes)}" for role, scopes in ROLE_SCOPES.items())
    lines = [HEAD.format(prefix=PREFIX, scopes=scopes, roles=roles)]
    for tag, rows in groupby(sorted(operations, key=lambda row: row[0]), key=lambda row: row[0]):
        lines += [
            f"## {tag.capitalize()}",
            "",
            "| operation | needs | does | query |",
            "| --- | --- | --- | --- |",
        ]
        for _, method, path, operation in rows:
            summary = (operation.get("description") or operation["summary"]).split("\n\n")[0]
            query = ", ".join(f"`{p['name']}`" for p in operation.get("parameters", []) if p["in"] == "query")
            need = needs[method, PREFIX + path]
            lines.append(f"| `{method} {path}` | {need} | {' '.join(summary.split())} | {query} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(app()))
