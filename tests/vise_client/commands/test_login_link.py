"""``vise login-link``: a link that signs in once, and ends no later than the session that made it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.errors import ApiError, NotSignedIn
from vise_client.schemas.accounts import LoginCode, TokenCreate


def test_the_link_that_is_printed_signs_in_once(vise: ViseClient) -> None:
    done = CliRunner().invoke(app, ["login-link"])
    assert (done.exit_code, done.stderr) == (0, "")
    (link,) = done.stdout.splitlines()
    assert urlsplit(link)._replace(query="").geturl() == "http://127.0.0.1:8501/auth/login"
    (code,) = parse_qs(urlsplit(link).query)["code"]
    with ViseClient(vise.url) as browser:
        session = browser.redeem_code(LoginCode(code=code))
        assert session.user == vise.me()
        assert session.expires_at is not None
        assert session.expires_at < datetime.now(UTC) + timedelta(days=14)
        with pytest.raises(NotSignedIn):
            browser.redeem_code(LoginCode(code=code))


def test_an_api_token_prints_none(vise: ViseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISE_TOKEN", vise.create_token(TokenCreate(name="script")).token)
    done = CliRunner().invoke(app, ["login-link"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert isinstance(done.exception, ApiError)
    assert "needs a session" in str(done.exception)
