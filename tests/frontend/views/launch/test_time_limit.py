"""The time limit of a launch: empty is the server's, and that of a run to clone is kept, however short."""

import pytest
from streamlit.testing.v1 import AppTest


def draw() -> None:
    import streamlit as st

    from frontend.views.launch.time_limit import time_limit

    st.session_state["hours"] = time_limit(st.session_state["initial"], "hours-field")


@pytest.mark.parametrize("initial", [None, 0.0005, 1.5, 10_000])
def test_the_field_starts_as_given_and_can_be_changed_and_emptied(initial: float | None) -> None:
    app = AppTest.from_function(draw, default_timeout=60)
    app.session_state["initial"] = initial
    app.run()
    assert not app.exception
    assert app.session_state["hours"] == initial
    assert app.number_input[0].set_value(48.0).run().session_state["hours"] == 48
    assert app.number_input[0].set_value(None).run().session_state["hours"] is None
