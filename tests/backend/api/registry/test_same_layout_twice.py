"""Two data sets of one layout, from registration to tables and tests: never one column, never one name."""

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.api.app import PREFIX

SMALL = {
    "weights": {"kind": "random", "backbone": "resnet18"}, "augment": False, "epochs": 1, "milestones": [],
    "image_size": 32, "base_lrs": [0.025], "weight_decays": [0.001],
}  # fmt: skip


def photos(folder: Path, seed: int, classes: tuple[str, str] = ("calm", "tense")) -> None:
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(rng.integers(0, 256, (36, 36, 3), dtype=np.uint8)).save(
                folder / name / f"{number}.png"
            )


@pytest.fixture
def evaluated(settings, api: TestClient, tokens, work_off) -> dict[str, UUID]:
    """{name: run} of evaluations for the task folder, under whose default name all of them would look alike."""
    api.headers["Authorization"] = f"Bearer {tokens['admin']}"
    photos(settings.data_root / "one", 1)
    photos(settings.data_root / "two", 2)
    sets = {}
    for name, folder in (("cats", "one"), ("dogs", "two")):
        made = api.post(f"{PREFIX}/datasets", json={"name": name, "kind": "images", "folder": folder}).json()
        sets[name] = {"dataset": {"dataset": made["id"]}}
    runs = {}
    for label, data, method, seed in (
        ("cats A", "cats", "A", 0),
        ("dogs A", "dogs", "A", 0),
        ("cats B", "cats", "B", 0),
        ("cats A, seed 1", "cats", "A", 1),
    ):
        spec = SMALL | {"method": method, "splits": {"count": 3, "seed": seed}}
        run = api.post(
            f"{PREFIX}/runs", json={"stage": "evaluate", "name": label, "spec": spec, "inputs": sets[data]}
        )
        assert run.status_code in (200, 201), run.text
        runs[label] = run.json()["id"]
    work_off(settings)
    return runs


def test_each_data_set_has_its_name_and_column_and_each_split_too(api: TestClient, evaluated) -> None:
    table = api.get(f"{PREFIX}/reports/results/data").json()
    titles = [title.split(",")[0] for title in table["columns"]]
    assert sorted(title.split(" (")[0] for title in titles) == ["cats", "cats", "dogs"]
    assert sum("(splits " in title for title in titles) == 2
    places = {
        row["method"]: {
            title: cell["run"] for title, cell in zip(titles, row["cells"], strict=True) if cell is not None
        }
        for row in table["rows"]
    }
    assert set(places["A"].values()) == {evaluated[run] for run in ("cats A", "dogs A", "cats A, seed 1")}
    (together,) = places["B"]
    assert places["A"][together] == evaluated["cats A"]
    (reason,) = table["data_notes"]
    assert "splits 0 to 2: train" in reason
    for format in ("markdown", "csv", "latex"):
        assert reason in api.get(f"{PREFIX}/reports/results", params={"format": format}).text

    def paired(a: str, b: str):
        return api.get(f"{PREFIX}/reports/paired", params={"a": evaluated[a], "b": evaluated[b]})

    assert paired("cats A", "cats B").status_code == 200
    for other, told in (
        ("cats A, seed 1", "the same splits: splits 0 to 2: train"),
        (
            "dogs A",
            "the same task and data ('cats' against 'dogs'): A was measured on other images (20 each)",
        ),
    ):
        refused = paired("cats A", other)
        assert (refused.status_code, told in refused.text) == (422, True), refused.text

    groups = api.get(f"{PREFIX}/runs/groups", params={"query": "stage = evaluate"}).json()["items"]
    # Seeds are averaged over; other data never.
    assert sorted(group["runs"] for group in groups) == [1, 1, 2]
