"""A list in pages: the search and the page are in the address, an empty list says how it is filled."""

from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from frontend.components.paging import paged_list

    rows = [f"row {number}" for number in range(st.session_state.rows)]

    def read(*, search: str, offset: int, limit: int) -> list[str]:
        return [row for row in rows if search in row][offset : offset + limit]

    paged_list("rows", "Search by name", read, st.write, lambda: st.write("No rows yet"))


def shown(rows: int, **query: str) -> AppTest:
    app = AppTest.from_function(script)
    app.session_state.rows = rows
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> list[str]:
    assert not app.exception
    return [element.value for element in app.markdown]


def test_a_list_without_rows_says_how_it_is_filled() -> None:
    assert texts(shown(0)) == ["No rows yet"]


def test_a_search_without_matches_says_so() -> None:
    app = shown(3, search="other")
    assert (texts(app), app.info[0].value) == ([], "No row matches the search.")


def test_every_row_is_on_one_page() -> None:
    first, second = shown(21), shown(21, page="2")
    assert texts(first) + texts(second) == [f"row {number}" for number in range(21)]
    assert [button.label for button in first.button] == ["Next page"]
    assert [button.label for button in second.button] == ["Previous page"]
