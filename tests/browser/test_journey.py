"""What a new user does first, in a real browser against the real stack."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from skimage import data, io

from vise_client.client import ViseClient
from vise_core.posts.sample import generate_evaluation_image
from vise_core.specs.tasks.catalogue import EMOTIONS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_a_double_click_starts_one_recipe_and_the_button_comes_back(
    sample, stack, page: Page, vise: ViseClient
) -> None:
    page.goto(stack.url)
    page.get_by_role("button", name="Run the sample recipe").wait_for()
    assert len(vise.runs(kind="recipe", query=f"name = {json.dumps(sample.recipe.name)}").items) == 1


@pytest.mark.parametrize("name", ["photograph", "sample"])
def test_an_uploaded_image_gets_six_probabilities_and_an_overlay(
    name: str, sample, stack, page: Page, tmp_path: Path, pictures: Path
) -> None:
    file = tmp_path / f"{name}.png"
    if name == "photograph":
        io.imsave(file, data.chelsea(), check_contrast=False)
    else:
        generate_evaluation_image(99, 2, 128)[0].save(file)
    page.goto(f"{stack.url}/predict")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(re.compile(r"Computed in \d+ ms"))).to_be_visible(timeout=60_000)
    chart = page.locator(".js-plotly-plot").filter(has_text="%").first
    for emotion in EMOTIONS:
        expect(chart.get_by_text(emotion)).to_be_visible()
    assert len(re.findall(r"\d+\.\d%", chart.inner_text())) == 6
    expect(page.locator("[data-testid=stImage] img")).to_have_count(1)
    expect(page.locator(".js-plotly-plot .heatmaplayer image")).to_have_count(1)
    page.wait_for_timeout(1000)
    page.screenshot(path=pictures / f"predict-{name}.png", full_page=True)


def test_runs_lead_to_a_run_with_curves_log_and_result(sample, stack, page: Page, pictures: Path) -> None:
    page.goto(f"{stack.url}/runs?all=true&stage=pretrain")
    page.get_by_role("link", name="Pretrain VisE").first.click()
    page.get_by_role("heading", name="Pretrain VisE").wait_for()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "run-pretrain.png", full_page=True)
    page.get_by_role("tab", name="Log").click()
    expect(page.locator("[data-testid=stCode]").first).to_be_visible()
