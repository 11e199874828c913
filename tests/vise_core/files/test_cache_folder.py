"""The one cache folder."""

from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.files.cache_folder import cache_folder


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISE_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/else")
    assert cache_folder() == tmp_path


def test_else_it_lies_in_the_accounts_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "vise"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/vise")


def test_an_account_without_a_home_is_told_what_to_set(no_home) -> None:
    with pytest.raises(BadInput, match="set VISE_CACHE"):
        cache_folder()
