"""The buttons at the end of a dialog that confirms a deletion."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def confirm_or_keep(
    label: str, delete: Callable[[], object], *, icon: str = ":material/delete:", disabled: bool = False
) -> None:
    """Draw a button that deletes, and one that keeps all as it is; either closes the dialog."""
    with st.container(horizontal=True):
        if st.button(label, type="primary", icon=icon, disabled=disabled):
            delete()
            st.rerun()
        if st.button("Keep"):
            st.rerun()
