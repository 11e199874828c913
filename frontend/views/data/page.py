"""Data: the list of data sets, one data set, collections that runs generated, and the form that adds data."""

from __future__ import annotations

from frontend.components.layout import page_tabs, page_title
from frontend.session import query_id, show_errors
from frontend.views.data.add import add_data_set
from frontend.views.data.collections import collections
from frontend.views.data.data_set import data_set
from frontend.views.data.data_sets import data_sets

TABS = {"Data sets": data_sets, "Made by runs": collections, "Add": add_data_set}

page_title("Data", "Data sets and posts: their counts, balance, samples, versions and problems.")
with show_errors():
    data_set_id = query_id("dataset")
    if data_set_id is not None:
        data_set(data_set_id)
    else:
        page_tabs(TABS, key="data.tab")
