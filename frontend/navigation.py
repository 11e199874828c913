"""All pages of the app by section: the list that the menu, the browser tests and the screenshots use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A page: ``views/<name>/page.py`` at the address ``/<name>``; the first page's address is empty."""

    name: str
    title: str
    icon: str

    @property
    def view(self) -> str:
        """The path of the script, by which Streamlit links to the page."""
        return f"views/{self.name}/page.py"

    @property
    def first(self) -> bool:
        """Whether this is the first page."""
        return self.name == "home"

    @property
    def address(self) -> str:
        """Path of the page in the address."""
        return "" if self.first else self.name


SECTIONS: dict[str, tuple[Entry, ...]] = {
    "": (Entry("home", "Home", ":material/home:"),),
    "Experiments": (
        Entry("launch", "Launch", ":material/rocket_launch:"),
        Entry("runs", "Runs", ":material/list:"),
        Entry("run", "Run", ":material/monitoring:"),
        Entry("compare", "Compare", ":material/compare_arrows:"),
    ),
    "Analysis": (
        Entry("results", "Results", ":material/table_chart:"),
        Entry("ablations", "Ablations", ":material/science:"),
        Entry("predict", "Predict", ":material/image_search:"),
        Entry("clusters", "Clusters", ":material/bubble_chart:"),
        Entry("models", "Models", ":material/deployed_code:"),
    ),
    "System": (
        Entry("data", "Data", ":material/database:"),
        Entry("workers", "Workers", ":material/dns:"),
        Entry("settings", "Settings", ":material/settings:"),
    ),
}

PAGES: dict[str, Entry] = {entry.name: entry for section in SECTIONS.values() for entry in section}
