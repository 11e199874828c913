"""The header ``Idempotency-Key`` is documented on each route that takes it, and creates nothing twice there."""

from uuid import uuid4

from backend.api.app import PREFIX
from tests.belongings import belongings

SAMPLE = {"stage": "ingest", "spec": {"source": {"kind": "sample"}}}
RECIPE = {"spec": {"title": "one", "steps": {"posts": SAMPLE}}}
SWEEP = {"spec": {"stage": "ingest", "base": SAMPLE["spec"], "grid": {"source.posts": [10, 30]}}}
BODIES = {"/runs": SAMPLE, "/recipes/runs": RECIPE, "/sweeps": SWEEP, "/runs/{run_id}/clone": {}}


def test_each_route_that_takes_a_key_documents_it_and_creates_once(api, editor) -> None:
    document = api.app.openapi()
    documented = {
        path.removeprefix(PREFIX)
        for path, item in document["paths"].items()
        for operation in item.values()
        for parameter in operation.get("parameters", ())
        if (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    }
    assert documented == BODIES.keys()
    with api.app.state.sessions.begin() as db:
        ids = belongings(db, "editor@example.org")
    for path, body in BODIES.items():
        headers = {"Idempotency-Key": str(uuid4())}
        address = PREFIX + path.format(**ids)
        first, again = (editor.post(address, json=body, headers=headers) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201), (path, first.text)
        assert first.json()["id"] == again.json()["id"], path
        invalid = editor.post(address, json=body, headers={"Idempotency-Key": "x"})
        assert (invalid.status_code, invalid.json()["errors"][0]["field"]) == (422, "Idempotency-Key"), path
