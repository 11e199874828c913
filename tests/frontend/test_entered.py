"""What a user enters that cannot be a request is named on the page, also where the page does not catch it."""

from streamlit.testing.v1 import AppTest


def uncaught() -> None:
    from frontend.session import script_error
    from vise_client.schemas.accounts import TokenCreate

    try:
        TokenCreate.model_validate({"name": "x" * 10_000, "expires_days": -1})
    except ValueError as error:
        script_error(error)


def test_each_wrong_field_is_named() -> None:
    page = AppTest.from_function(uncaught).run()
    assert not page.exception
    (shown,) = page.error
    assert "**name**" in shown.value
    assert "days**" in shown.value
    assert "This page failed" not in shown.value
