import sys

import pytest


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's AppTest puts its script in the place of ``__main__``, which later tests start processes from."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
