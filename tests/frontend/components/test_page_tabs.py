"""Tabs of a page: the address chooses one; a new tab drops the parameters of the last."""

import pytest
from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from frontend.components.layout import page_tabs

    page_tabs({"One": lambda: st.write("first part"), "Two": lambda: st.write("second part")}, key="tab")


@pytest.mark.parametrize(
    ("tab", "part"), [("One", "first part"), ("Two", "second part"), ("3", "first part")]
)
def test_the_address_chooses_the_tab(tab: str, part: str) -> None:
    app = AppTest.from_function(script)
    app.query_params["tab"] = tab
    assert [element.value for element in app.run().markdown] == [part]


def test_another_tab_drops_the_parameters_of_the_last() -> None:
    app = AppTest.from_function(script)
    app.query_params["search"] = "x"
    app.run().get("button_group")[0].set_value("Two").run()
    assert [element.value for element in app.markdown] == ["second part"]
    assert app.query_params["tab"] == "Two"
    assert "search" not in app.query_params
