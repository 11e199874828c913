"""What a new user does first, in a real browser against the real stack."""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from skimage import data, io

from vise_client.client import ViseClient
from vise_core.posts.sample import generate_evaluation_image
from vise_core.specs.posts import EMOTIONS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

RECIPE_SECONDS = 360
PAGES = (
    "",
    "launch",
    "launch?what=pretrain",
    "runs",
    "compare",
    "results",
    "results?show=Table 6",
    "results?show=Figure 3",
    "predict",
    "account",
)


@pytest.fixture(scope="module")
def sample(signed_in, stack, pictures) -> float:
    """The sample recipe, started from the home page; the seconds it took."""
    page = signed_in.new_page()
    page.goto(stack.url)
    page.get_by_role("button", name="Try it with sample data").dblclick()
    began = time.monotonic()
    expect(page.get_by_role("button", name="Sample recipe is running")).to_be_disabled(timeout=30_000)
    page.get_by_text("Generate sample posts").first.wait_for(timeout=30_000)
    page.wait_for_timeout(15_000)
    page.screenshot(path=pictures / "home-running.png", full_page=True)
    page.get_by_role("link", name="Ask the model about an image").wait_for(
        timeout=1000 * (RECIPE_SECONDS + 60)
    )
    took = time.monotonic() - began
    page.screenshot(path=pictures / "home-done.png", full_page=True)
    page.close()
    return took


def test_a_double_click_starts_one_recipe_and_the_button_comes_back(sample: float, stack, page: Page) -> None:
    page.goto(stack.url)
    page.get_by_role("button", name="Try it with sample data").wait_for()
    with ViseClient(**json.loads((stack.home / "local.json").read_text())) as vise:
        assert len(vise.runs(kind="recipe").items) == 1


def test_the_sample_recipe_ends_within_six_minutes(sample: float) -> None:
    print(f"sample recipe from the browser: {sample:.0f} s")
    assert sample < RECIPE_SECONDS


@pytest.mark.parametrize("name", ["photograph", "sample"])
def test_an_uploaded_image_gets_six_probabilities_and_an_overlay(
    name: str, sample: float, stack, page: Page, tmp_path: Path, pictures: Path
) -> None:
    file = tmp_path / f"{name}.png"
    if name == "photograph":
        io.imsave(file, data.chelsea(), check_contrast=False)
    else:
        generate_evaluation_image(99, 2, 128)[0].save(file)
    page.goto(f"{stack.url}/predict")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(re.compile(r"Answered in \d+ ms"))).to_be_visible(timeout=60_000)
    chart = page.locator(".js-plotly-plot").first
    for emotion in EMOTIONS:
        expect(chart.get_by_text(emotion, exact=True)).to_be_visible()
    assert len(re.findall(r"\d+\.\d%", chart.inner_text())) == 6
    images = page.locator("[data-testid=stImage] img")
    expect(images).to_have_count(2)
    assert images.nth(0).get_attribute("src") != images.nth(1).get_attribute("src")
    page.wait_for_timeout(1000)
    page.screenshot(path=pictures / f"predict-{name}.png", full_page=True)


@pytest.mark.parametrize(("size", "scheme"), [((1440, 900), "light"), ((390, 844), "dark")])
def test_every_page_stands_without_errors_or_sideways_scrolling(
    size: tuple[int, int], scheme, sample: float, stack, page: Page, pictures: Path
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme=scheme)
    for path in PAGES:
        page.goto(f"{stack.url}/{path}")
        page.locator("h1").first.wait_for()
        page.wait_for_timeout(2500)
        shown = re.sub(r"\W+", "-", path) or "home"
        page.screenshot(path=pictures / f"{shown}-{size[0]}-{scheme}.png")
        assert page.locator("[data-testid=stException]").count() == 0, path
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} scrolls sideways by {overflow} px"


def test_runs_lead_to_a_run_with_curves_log_and_result(
    sample: float, stack, page: Page, pictures: Path
) -> None:
    page.goto(f"{stack.url}/runs?all=true&stage=pretrain")
    page.get_by_role("link", name="Pretrain VisE").first.click()
    page.get_by_role("heading", name="Pretrain VisE").wait_for()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "run-pretrain.png", full_page=True)
    page.get_by_role("tab", name="Log").click()
    expect(page.locator("[data-testid=stCode]").first).to_be_visible()


def test_a_reload_keeps_you_signed_in(stack, page: Page) -> None:
    page.goto(f"{stack.url}/account")
    expect(page.get_by_text("admin@localhost")).to_be_visible()
    page.reload()
    expect(page.get_by_text("admin@localhost")).to_be_visible()


def test_without_a_session_there_is_only_the_login_page(browser, stack) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/runs")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.get_by_text("State").count() == 0
    page.goto(stack.link)  # Used before: it opens nothing.
    expect(page.get_by_text("used already")).to_be_visible()
    context.close()
