"""The table of results as HTML: what it links to, what it marks, and that no name of a user becomes markup."""

from xml.etree import ElementTree

from frontend.components.table import Cell, html_table


def parsed(cell: Cell, name: str = "VisE") -> ElementTree.Element:
    headings = [("UnbiasedEmotion", "test"), ("UnbiasedEmotion", "val")]
    text = html_table("Table 6", headings, [([name], [cell, Cell("–")])], ["Method"])
    return ElementTree.fromstring(text.replace("<br>", "<br/>"))


def test_headings_are_of_columns_groups_and_rows() -> None:
    tree = parsed(Cell("1"))
    scopes = [(th.get("scope"), th.text) for th in tree.iter("th")]
    assert scopes == [
        ("colgroup", "UnbiasedEmotion"),
        ("col", "Method"),
        ("col", "test"),
        ("col", "val"),
        ("row", "VisE"),
    ]
    assert tree.find("table/caption").text == "Table 6"
    assert tree.get("tabindex") == "0", "a table that scrolls can be reached by keyboard"


def test_a_number_leads_to_its_runs_the_best_is_bold_and_the_published_says_so() -> None:
    tree = parsed(Cell("44.67", "↑1.05", ("one", "two"), best=True, published="45.74"))
    links = [(a.get("href"), "".join(a.itertext())) for a in tree.iter("a")]
    assert links == [("run?run=one", "44.67"), ("run?run=two", "2")]
    assert tree.find(".//td/a/b").text == "44.67"
    assert tree.find(".//td//i").text == "published 45.74"


def test_names_of_users_are_text() -> None:
    tree = parsed(Cell("<script>1</script>", "<b>"), name='<img src=x onerror="alert(1)">')
    assert tree.find(".//script") is None
    assert tree.find(".//img") is None
    assert tree.find(".//th[@scope='row']").text == '<img src=x onerror="alert(1)">'
