"""The paired test of two rows of a table over their splits."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from frontend.components.table import Cell, show_table
from frontend.formatting import plain
from frontend.session import client
from vise_client.errors import ApiError
from vise_core.specs.reports.tables import PairedTest


def paired_test(rows: Mapping[str, Mapping[str, str]]) -> None:
    """Select two rows and test each column. ``rows``: name → column → id of the run.

    The address keeps the selection as ``a`` and ``b``.
    """
    st.header("Compare two rows", anchor=False)
    names = list(rows)
    if len(names) < 2:
        st.caption("The paired test needs two rows with results.")
        return
    left, right = st.columns(2)
    a = left.selectbox("Row A", names, key="a", bind="query-params")
    b = right.selectbox("Row B", [name for name in names if name != a], key="b", bind="query-params")
    tests: dict[str, PairedTest] = {}
    refused: dict[str, str] = {}
    for column in rows[a]:
        if column not in rows[b]:
            continue
        try:
            tests[column] = client().paired_test(rows[a][column], rows[b][column])
        except ApiError as error:
            refused[column] = (
                "; ".join(str(e.get("message")) for e in error.problem.errors) or error.problem.detail
            )
    if tests:
        show_table(
            f"{a} minus {b}",
            [("A − B, mean ± std",), ("splits",), ("t",), ("p",), ("p, corrected",), ("d_z",)],
            [([column], _test_cells(test)) for column, test in tests.items()],
            ["Column"],
            [
                "Student's paired t-test over the splits, two-sided",
                "corrected for overlapping random splits (Nadeau and Bengio 2003)",
                "d_z: mean over sample std of the differences",
                *(
                    ["synthetic data: generated, not real"]
                    if any(t.synthetic for t in tests.values())
                    else []
                ),
            ],
        )
    for reason in dict.fromkeys(refused.values()):
        columns = "; ".join(column for column, r in refused.items() if r == reason)
        st.caption(plain(f"Not tested: {columns}: {reason}."))
    if not tests and not refused:
        st.caption(
            "The two rows have no column in common. A paired test needs results on the same data and splits."
        )


def _test_cells(test: PairedTest) -> list[Cell]:
    def number(value: float | None, digits: int = 3) -> Cell:
        return Cell("–", quiet=True) if value is None else Cell(f"{value:.{digits}g}")

    return [
        Cell(f"{test.mean:+.4g} ± {test.std:.3g}", after=f"on {test.on}"),
        Cell(str(len(test.differences))),
        number(test.t),
        number(test.p),
        number(test.p_corrected),
        number(test.effect_size),
    ]
