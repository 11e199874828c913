"""What the confirmation says of a data set's files before it is removed."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from frontend.views.data import remove
from vise_client.commands import data
from vise_client.schemas.datasets import DatasetView
from vise_client.schemas.derived import Derived

KINDS = [
    ("faces", "Its folder on the server and the runs stay."),
    (None, "Its files on the server are deleted for good; the runs stay."),
]


def data_set(folder: str | None) -> DatasetView:
    return DatasetView(
        id=uuid4(),
        name="faces",
        kind="images",
        folder=folder,
        description="",
        synthetic=False,
        created_at=datetime.now(UTC),
    )


class Api:
    """A server with one data set, which no run reads."""

    def __init__(self, folder: str | None) -> None:
        self.data_set = data_set(folder)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def datasets(self, search: str) -> list[DatasetView]:
        return [self.data_set]

    def dataset_derived(self, dataset_id: object, limit: int) -> Derived:
        return Derived(total=0, counts=[], items=[])

    def delete_dataset(self, dataset_id: object) -> None:
        pass


@pytest.mark.parametrize(("folder", "sentence"), KINDS)
def test_the_command_says_it(folder: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr("vise_client.login.connect", lambda: Api(folder))
    monkeypatch.setattr(data.typer, "confirm", agree)
    data.remove("faces")
    assert asked == [f"Remove faces? {sentence}"]


def dialog(folder: str | None) -> None:
    from frontend.views.data.remove import _dialog
    from tests.vise_client.test_dataset_removal import data_set

    _dialog(data_set(folder))


@pytest.mark.parametrize(("folder", "sentence"), KINDS)
def test_the_page_says_it(folder: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "client", lambda: Api(folder))
    page = AppTest.from_function(dialog, args=(folder,)).run()
    assert not page.exception
    assert any(sentence in text.value for text in page.markdown)
