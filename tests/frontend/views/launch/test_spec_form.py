"""The form of an ingest holds every source as it was given: layouts, maps of fields, names of reactions."""

import pytest
from streamlit.testing.v1 import AppTest

from vise_core.posts.readers import READERS
from vise_core.specs.stages import STAGES, validate_spec


def draw() -> None:
    import streamlit as st

    from frontend.views.launch.spec_form import ProblemPlaces, spec_form
    from vise_core.specs.stages import STAGES

    schema = STAGES["ingest"].spec.model_json_schema()
    st.session_state["spec"] = spec_form(schema, st.session_state["values"], "form", ProblemPlaces())


@pytest.mark.parametrize("kind", READERS)
def test_every_source_goes_through_the_form_unchanged(kind: str) -> None:
    fields = {"map": "reddit", "id": '"Post ID"', "names": {"care": "love"}}
    wanted = STAGES["ingest"].spec.model_validate({"source": {"kind": kind, "fields": fields}})
    app = AppTest.from_function(draw, default_timeout=60)
    app.session_state["values"] = wanted.model_dump(mode="json")
    app.run()
    assert not app.exception
    assert validate_spec("ingest", app.session_state["spec"]) == wanted


def test_a_name_of_a_reaction_can_be_typed() -> None:
    app = AppTest.from_function(draw, default_timeout=60)
    app.session_state["values"] = STAGES["ingest"].spec().model_dump(mode="json")
    app.run()
    (box,) = [one for one in app.text_input if one.label == "Names"]
    assert box.value == "sad: sorry"
    box.set_value("sad: sorry, care: love").run()
    spec = validate_spec("ingest", app.session_state["spec"])
    assert spec.source.fields.names == {"sad": "sorry", "care": "love"}
