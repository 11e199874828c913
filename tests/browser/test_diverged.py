"""Runs that diverged, in a real browser: marks in curves, a grid that names its points, a comparison, the table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from docs.screenshots import settle
from vise_client.client import ViseClient
from vise_client.schemas.datasets import DatasetCreate
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.recipes.inputs import InputRef

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SOON = 30_000
SPEC: dict[str, Any] = {
    "weights": {"kind": "random", "backbone": "resnet18"},
    "augment": False,
    "splits": {"count": 2, "train": 0.6, "val": 0.2},
    "epochs": 40,
    "milestones": [],
    "batch": 8,
    "image_size": 32,
}


RATES = {"some": [1e36, 0.25, 0.025], "all": [1e36, 1e35], "none": [0.25, 0.025], "late": [32_000.0]}
"""Late: each step takes the weights times 1 - 1000 · 0.01 = -9, which float32 holds for a few epochs."""


@pytest.fixture(scope="module")
def runs(stack, vise: ViseClient) -> dict[str, UUID]:
    """Evaluations of which some, all and no learning rates diverge."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog")):
        folder = stack.home / "data" / "noisy" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(90 + 20 * number, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    dataset = vise.register_dataset(DatasetCreate(name="Noisy", kind="images", folder="noisy"))
    made = {}
    for name, rates in RATES.items():
        decays = [0.01] if name == "late" else [0.01, 0.001]
        body = RunCreate(
            stage="evaluate",
            name=f"Rates: {name} diverge",
            spec=SPEC | {"base_lrs": rates, "weight_decays": decays},
            inputs={"dataset": InputRef(dataset=dataset.id)},
        )
        made[name] = vise.create_run(body).id
    for name, run_id in made.items():
        state = vise.wait_for(run_id, timeout=240).state
        assert state is (RunState.failed if name in ("all", "late") else RunState.succeeded)
    return made


def test_a_run_that_diverged_shows_its_curves_with_marks_and_says_what_to_do(
    runs: dict[str, UUID], page: Page, visit: Callable, pictures: Path
) -> None:
    visit(page, f"run?run={runs['all']}")
    expect(page.get_by_text("Lower base_lrs").first).to_be_visible(timeout=SOON)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("No metrics yet")).to_have_count(0)
    expect(page.locator(".js-plotly-plot").first).to_contain_text("no finite value", timeout=SOON)
    expect(page.get_by_text("Values that are not finite").first).to_contain_text("the first NaN at step 1")
    settle(page)
    page.screenshot(path=pictures / "run-diverged.png")


def test_marks_follow_the_last_finite_values(
    runs: dict[str, UUID], page: Page, visit: Callable, pictures: Path
) -> None:
    page.set_viewport_size({"width": 1440, "height": 1800})
    visit(page, f"run?run={runs['late']}&logy=true&smooth=0.4")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("no finite value")).to_have_count(0)
    expect(page.get_by_text("Values that are not finite").first).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "run-diverged-late.png")


def test_the_grid_of_a_result_names_the_points_that_diverged(
    runs: dict[str, UUID], page: Page, visit: Callable, pictures: Path
) -> None:
    page.set_viewport_size({"width": 1440, "height": 1500})
    visit(page, f"run?run={runs['some']}&tab=Result")
    expect(page.get_by_text("4 of 12 trainings diverged (base LR 1e+36)").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("✕ diverged")).to_have_count(2, timeout=SOON)
    settle(page)
    page.screenshot(path=pictures / "run-diverged-grid.png")
    visit(page, f"run?run={runs['none']}&tab=Result")
    expect(page.get_by_text("S_lr and S_wd").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("trainings diverged")).to_have_count(0)


def test_a_comparison_and_the_table_name_them(
    runs: dict[str, UUID], page: Page, visit: Callable, pictures: Path
) -> None:
    query = "&".join(f"run={run_id}" for run_id in runs.values())
    visit(page, f"compare?{query}&part=Curves")
    expect(page.get_by_text("Values that are not finite").first).to_be_visible(timeout=SOON)
    settle(page)
    page.screenshot(path=pictures / "compare-diverged.png")
    visit(page, f"compare?{query}&part=Differences")
    expect(page.get_by_role("gridcell", name="NaN", include_hidden=True).first).to_have_count(1, timeout=SOON)
    visit(page, f"compare?{query}&part=Importance&target=val_loss")
    left_out = page.get_by_text("Left out, because their val_loss is not finite").first
    expect(left_out).to_contain_text("Rates: all diverge", timeout=SOON)
    visit(page, "runs?query=stage = evaluate&column=name&column=metric.val_loss:last")
    expect(page.get_by_role("cell", name="NaN").first).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "runs-diverged.png")
