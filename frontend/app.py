"""The frame around all pages: sign-in, navigation."""

import sys
from pathlib import Path

import streamlit as st

# Streamlit runs this file as a script; the package lies one folder up.
sys.path.insert(0, str(Path(__file__).parents[1]))

from frontend.session import signed_in
from frontend.style import ICON, LOGO, apply_style

st.set_page_config(page_title="VisE Studio", page_icon=ICON, layout="wide")
apply_style()
st.logo(LOGO, size="large")

pages = [
    st.Page("views/home.py", title="Home", icon=":material/home:", url_path="home", default=True),
    st.Page("views/launch.py", title="Launch", icon=":material/rocket_launch:", url_path="launch"),
    st.Page("views/runs.py", title="Runs", icon=":material/list:", url_path="runs"),
    st.Page("views/run.py", title="Run", icon=":material/monitoring:", url_path="run"),
    st.Page("views/compare.py", title="Compare", icon=":material/compare_arrows:", url_path="compare"),
    st.Page("views/results.py", title="Results", icon=":material/table_chart:", url_path="results"),
    st.Page("views/predict.py", title="Predict", icon=":material/image_search:", url_path="predict"),
    st.Page("views/account.py", title="Account", icon=":material/person:", url_path="account"),
]
page = st.navigation(pages)
user = signed_in()
if user is not None:
    st.session_state["user"] = user
    page.run()
