"""The script that Streamlit runs: sign-in and menu, then the selected page."""

import sys
from pathlib import Path

import streamlit as st

# Streamlit runs this file as a script, without the package's folder on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from frontend.login import signed_in
from frontend.navigation import SECTIONS
from frontend.style import ICON, LOGO, apply_style

st.set_page_config(page_title="VisE Studio", page_icon=ICON, layout="wide")
apply_style()
st.logo(LOGO, size="large")

page = st.navigation(
    {
        section: [
            st.Page(e.view, title=e.title, icon=e.icon, url_path=e.name, default=e.first) for e in entries
        ]
        for section, entries in SECTIONS.items()
    },
    expanded=True,
)
if page.title != "Home":
    st.set_page_config(page_title=f"{page.title} · VisE Studio")
user = signed_in()
if user is not None:
    st.session_state["user"] = user
    page.run()
