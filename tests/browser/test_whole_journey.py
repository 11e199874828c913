"""From the first page to a prediction, by clicking as a new user does, and by nothing else."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from skimage import data, io

from docs.screenshots import settle
from vise_core.specs.tasks.catalogue import EMOTIONS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

SOON, LONG = 30_000, 400_000
"""Milliseconds: for what a page does, and for what a run does."""

EVALUATION = """\
method: Journey
weights: {kind: pretrained}
task: {kind: folder, name: Sample emotion (synthetic)}
augment: false
image_size: 32
epochs: 10
milestones: [5]
splits: {count: 2}
"""


def menu(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="App pages").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=SOON)
    settle(page)


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a box by typing what it is called."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(option)
    # The list is drawn anew while it filters; the key takes what is first in it by then.
    expect(page.get_by_role("option", name=re.compile(f"^{re.escape(option)}")).first).to_be_visible(
        timeout=SOON
    )
    box.press("Enter")
    expect(page.get_by_role("listbox")).to_have_count(0, timeout=SOON)
    settle(page)


def write(page: Page, label: str, value: str) -> None:
    box = page.get_by_role("textbox", name=label, exact=True)
    box.fill(value)
    box.press("Tab")
    settle(page)


def launch(page: Page, button: str) -> str:
    """Press it and follow the run; returns the run's id."""
    page.get_by_role("button", name=button).click()
    page.get_by_role("link", name=re.compile("^Open ")).click()
    page.wait_for_url(re.compile(r"/run\?run="))
    settle(page)
    return re.search(r"run=([0-9a-f-]{36})", page.url)[1]  # type: ignore[index]


def state(page: Page) -> Locator:
    """The badge beside the run's purpose."""
    return page.locator(".st-key-page-purpose")


def test_launch_watch_cancel_clone_compare_evaluate_report_predict(
    sample, stack, page: Page, vise, tmp_path: Path, pictures: Path
) -> None:
    page.goto(stack.url)
    settle(page)

    # Launch a pretraining with the paper's preset. A batch of 1920 needs a larger machine, and the page says so.
    menu(page, "Launch")
    choose(page, "What to run", "Pretrain")
    choose(page, "Preset", "VisE-1.2M, ResNet-50")
    choose(page, "Input: labels (if needed)", "Create pseudo-labels")
    write(page, "Batch", "16")
    first = launch(page, "Launch pretrain")

    # Watch it at work, then cancel it.
    expect(state(page)).to_contain_text("running", timeout=LONG)
    expect(page.get_by_role("progressbar").first).to_be_visible(timeout=LONG)
    page.screenshot(path=pictures / "journey-running.png")
    page.get_by_role("button", name="Cancel").click()
    expect(state(page)).to_contain_text("cancelled", timeout=LONG)
    assert vise.run(first).spec["batch"] == 16

    # Clone it with another learning rate, and small enough for this machine.
    page.get_by_role("link", name="Clone and edit").click()
    expect(page.get_by_role("heading", level=1, name="Launch")).to_be_visible(timeout=SOON)
    settle(page)
    expect(page.get_by_role("textbox", name="Batch", exact=True)).to_have_value("16")
    write(page, "Base lr", "0.05")
    choose(page, "Backbone", "resnet18")
    write(page, "Image size", "32")
    write(page, "Epochs", "1")
    write(page, "Batch", "128")
    write(page, "Name", "The journey's clone")
    second = launch(page, "Launch pretrain")
    expect(state(page)).to_contain_text("succeeded", timeout=LONG)
    assert vise.run(second).inputs == vise.run(first).inputs

    # Compare the two: chosen in the list of runs.
    menu(page, "Runs")
    for run in (first, second):
        page.get_by_role("checkbox", name=f"Select {vise.run(run).name}").first.check()
    expect(page.get_by_text("2 runs selected")).to_be_visible(timeout=SOON)
    page.locator(".st-key-bulk-bar").get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", level=1, name="Compare")).to_be_visible(timeout=SOON)
    settle(page)
    assert first in page.url
    assert second in page.url
    expect(page.get_by_role("gridcell", name="base_lr", include_hidden=True)).to_have_count(1, timeout=SOON)
    page.screenshot(path=pictures / "journey-compare.png")

    # Evaluate the better one: the one that has come to its end.
    menu(page, "Launch")
    choose(page, "What to run", "Evaluate")
    page.get_by_role("tab", name="YAML").click()
    yaml = page.get_by_role("textbox", name="Spec as YAML")
    yaml.fill(EVALUATION)
    yaml.press("Control+Enter")
    settle(page)
    choose(page, "Input: checkpoint", "The journey's clone")
    third = launch(page, "Launch evaluate")
    expect(state(page)).to_contain_text("succeeded", timeout=LONG)
    page.get_by_role("tab", name="Result").click()
    settle(page)
    page.get_by_role("textbox", name="Name", exact=True).fill("Journey")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Select the model on the page Predict")).to_be_visible(timeout=SOON)

    # Find its row in the table, and export the LaTeX.
    menu(page, "Results")
    row = page.get_by_role("row", name=re.compile("Journey"))
    mean = vise.run(third).result["test_mean"]
    expect(row).to_contain_text(f"{mean:.2f}", timeout=SOON)
    page.screenshot(path=pictures / "journey-results.png")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export LaTeX").click()
    latex = Path(saved.value.path()).read_text()
    assert "\\begin{tabular}" in latex
    line = next(line for line in latex.splitlines() if "Journey" in line)
    assert f"{mean:.2f}" in line

    # Predict an image with it.
    photograph = tmp_path / "cat.png"
    io.imsave(photograph, data.chelsea(), check_contrast=False)
    menu(page, "Predict")
    page.locator("input[type=file]").set_input_files(photograph)
    chart = page.locator(".js-plotly-plot").filter(has_text="%").first
    expect(chart).to_be_visible(timeout=LONG)
    for emotion in EMOTIONS:
        expect(chart.get_by_text(emotion, exact=True)).to_be_visible()
    expect(page.get_by_text("Journey").first).to_be_visible()
    page.screenshot(path=pictures / "journey-predict.png")
