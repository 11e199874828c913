"""docs/reference/api.md lists the operations of the API as it is."""

from docs.api_reference import PAGE, app, page


def test_the_reference_page_is_current() -> None:
    assert PAGE.read_text() == page(app()), "run `python -m docs.api_reference`"


def test_every_operation_has_a_description() -> None:
    operations = [o for methods in app().openapi()["paths"].values() for o in methods.values()]
    assert [o["operationId"] for o in operations if not o.get("description")] == []
