"""``vise token`` against a real API: scopes, lifetime, password, list and revoke; and the form of the page Settings."""

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.errors import ApiError
from vise_client.schemas.accounts import Scope

PASSWORD = "correct horse battery"


def command(*arguments: str, typed: str = "") -> str:
    done = CliRunner().invoke(app, ["token", *arguments], input=typed)
    if done.exception is not None:
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_token_is_created_listed_and_revoked(vise: ViseClient) -> None:
    secret = command(
        "create", "[bold]nightly", "--scope", "read", "--scope", "predict", "--days", "3"
    ).strip()
    with ViseClient(vise.url, secret) as script:
        script.runs()
        with pytest.raises(ApiError, match="a token with the scope run"):
            script.cancel("00000000-0000-0000-0000-000000000000")
    listed = command("list")
    assert "[bold]nightly" in listed
    assert "read predict" in listed
    (token,) = vise.tokens()
    command("revoke", str(token.id))
    with ViseClient(vise.url, secret) as script, pytest.raises(ApiError):
        script.runs()
    assert vise.tokens() == []


def test_a_token_that_outlives_the_session_needs_the_password(vise: ViseClient) -> None:
    with pytest.raises(ApiError, match="longer than your session"):
        command("create", "long", "--days", "90")
    with pytest.raises(ApiError, match="is not your password"):
        command("create", "long", "--days", "90", "--password", typed="wrong horse battery\n")
    created = command("create", "long", "--days", "90", "--password", typed=f"{PASSWORD}\n")
    assert created.split()[-1].startswith("vise_")
    with pytest.raises(ApiError, match="no scope admin"):
        command("create", "more", "--scope", "admin")


def form() -> None:
    from frontend.views.settings.tokens import tokens

    tokens()


def page(vise: ViseClient) -> AppTest:
    made = AppTest.from_function(form, default_timeout=60)
    made.session_state["user"] = vise.me()
    return made.run()


def test_the_form_creates_a_token_and_shows_it_once(vise: ViseClient) -> None:
    shown = page(vise)
    # An editor is offered the scopes of an editor.
    assert [option.partition(":")[0] for option in shown.multiselect[0].options] == ["read", "run", "predict"]
    shown.text_input[0].set_value("from the page")
    shown.multiselect[0].set_value([Scope.read])
    shown.button[0].click().run()
    assert not shown.exception, shown.exception
    assert "Copy the token now" in shown.success[0].value
    with ViseClient(vise.url, shown.code[0].value) as script:
        assert script.me().email == "ann@example.org"
    (token,) = vise.tokens()
    assert (token.name, token.scopes) == ("from the page", [Scope.read])
    assert not shown.run().code
    shown.button(key=f"revoke-{token.id}").click().run()
    assert vise.tokens() == []


def test_the_form_says_what_is_wrong(vise: ViseClient) -> None:
    shown = page(vise)
    shown.multiselect[0].set_value([])
    shown.button[0].click().run()
    assert "at least one scope" in shown.error[0].value
    shown.multiselect[0].set_value([Scope.read])
    shown.number_input[0].set_value(90)
    shown.button[0].click().run()
    assert "longer than your session" in shown.error[0].value
    shown.text_input[1].set_value(PASSWORD)
    shown.button[0].click().run()
    assert not shown.error
    assert len(vise.tokens()) == 1
