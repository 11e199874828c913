"""Results and ablations in a real browser, over runs that tiny recipes made in the real stack."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from docs.screenshots import settle
from vise_client.client import ViseClient
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.ablations import Chain
from vise_core.specs.recipes.recipe import RecipeSpec

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1500)]

SMALL = {"epochs": 1, "milestones": [], "base_lrs": [0.025], "weight_decays": [0.001], "image_size": 32}
STEP = "{method} (resnet18) on UnbiasedEmotion, linear"


def tiny() -> RecipeSpec:
    """Random Init, VisE on two data sizes and their predictions, on one synthetic task."""
    chain = Chain(sample=True)
    labels = chain.label()
    for method, posts in (("VisE-123k", 40), ("VisE-1.2M", 64)):
        checkpoint = chain.pretrain(method, labels, posts_limit=posts, epochs=1, batch=32, image_size=32)
        chain.evaluate(method, "unbiased_emotion", "linear", checkpoint=checkpoint, **SMALL)
    chain.evaluate(
        "Random Init",
        "unbiased_emotion",
        "linear",
        weights={"kind": "random", "backbone": "resnet18"},
        **SMALL,
    )
    chain.compare("unbiased_emotion", "linear", ["Random Init", "VisE-1.2M"])
    plain = chain.recipe("Tiny", "").model_dump(mode="json")
    plain["steps"]["posts"]["spec"]["source"] |= {"posts": 200}
    plain["steps"]["tasks"]["spec"] |= {"images": 70, "image_size": 32}
    plain["steps"]["cluster"]["spec"] |= {"comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
    return RecipeSpec.model_validate(plain)


@pytest.fixture(scope="module")
def vise(stack) -> Iterator[ViseClient]:
    with ViseClient(**json.loads((stack.home / "local.json").read_text())) as client:
        yield client


@pytest.fixture(scope="module")
def made(vise: ViseClient) -> dict[str, str]:
    """Step → id of its run."""
    parent: RunView = vise.wait_for(
        vise.create_recipe(RecipeCreate(spec=tiny(), tags=["tiny"])).id, timeout=900
    )
    assert parent.state == "succeeded", parent.reason
    return {child.step or "": str(child.id) for child in parent.children}


def test_a_table_has_real_cells_that_lead_to_their_runs(made, visit, page: Page, pictures: Path) -> None:
    visit(page, "results?show=Table 6&tag=tiny")
    table = page.get_by_role("table", name="Table 6")
    expect(table).to_be_visible()
    row = table.get_by_role("row").filter(has_text="VisE-1.2M").first
    link = row.get_by_role("link").first
    assert made[STEP.format(method="VisE-1.2M")] in str(link.get_attribute("href"))
    expect(row).to_contain_text(re.compile(r"\d+\.\d\d ± \d+\.\d\d n=2"))
    expect(row).to_contain_text("[s")
    assert table.locator("td b").count() >= 1, "the best is bold"
    assert table.get_by_text("published").count() == 0
    page.screenshot(path=pictures / "results-table6.png", full_page=True)
    link.click()
    page.get_by_role("heading", name="VisE-1.2M (resnet18) on UnbiasedEmotion, linear").wait_for()


def test_filters_and_switches_live_in_the_address(made, visit, page: Page) -> None:
    visit(page, "results?show=Table 6")
    page.get_by_text("Published numbers").click()
    expect(page).to_have_url(re.compile("published=true"))
    table = page.get_by_role("table", name="Table 6")
    expect(table.get_by_text("published 44.36").first).to_be_visible()
    page.reload()
    expect(table.get_by_text("published 44.36").first).to_be_visible()
    visit(page, "results?show=Table 6&method=Random Init&backbone=resnet18")
    expect(table.get_by_role("row").filter(has_text="Random Init")).to_have_count(1)
    expect(table.get_by_role("row").filter(has_text="VisE")).to_have_count(0)
    visit(page, "results?data=real data&tag=tiny")
    expect(page.get_by_text("No evaluation matches these filters")).to_be_visible()


def test_two_rows_are_compared_by_a_paired_test(made, visit, vise: ViseClient, page: Page) -> None:
    visit(page, "results?tag=tiny&a=VisE-1.2M (ResNet-18)&b=Random Init (ResNet-18)")
    table = page.get_by_role("table", name="VisE-1.2M (ResNet-18) minus Random Init (ResNet-18)")
    expect(table).to_be_visible()
    a, b = (made[STEP.format(method=method)] for method in ("VisE-1.2M", "Random Init"))
    expected = vise.paired_test(a, b)
    expect(table).to_contain_text(f"{expected.mean:+.4g}")
    if expected.p is not None:
        expect(table).to_contain_text(f"{expected.p:.3g}")


@pytest.mark.parametrize(
    ("format", "begins"), [("LaTeX", b"% needs"), ("CSV", b"table,"), ("Markdown", b"| ")]
)
def test_tables_are_exported(made, visit, page: Page, format: str, begins: bytes) -> None:
    visit(page, "results?show=Table 6")
    with page.expect_download() as downloading:
        page.get_by_role("button", name=f"Export {format}").click()
    assert Path(downloading.value.path()).read_bytes().startswith(begins)


def test_a_figure_is_interactive_has_its_numbers_below_and_is_exported(
    made, visit, page: Page, pictures: Path
) -> None:
    visit(page, "results?show=Figure 3&tag=tiny")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=30_000)
    numbers = page.get_by_role("table", name="Numbers of Figure 3")
    link = numbers.get_by_role("row").filter(has_text="VisE-1.2M").get_by_role("link").first
    assert made[STEP.format(method="VisE-1.2M")] in str(link.get_attribute("href"))
    page.screenshot(path=pictures / "results-figure3.png", full_page=True)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export SVG").click()
    assert b"<svg" in Path(downloading.value.path()).read_bytes()[:1000]


def test_figure_7_shows_what_each_model_says_of_the_same_images(
    made, visit, page: Page, pictures: Path
) -> None:
    visit(page, "results?show=Figure 7")
    expect(page.get_by_test_id("stImage").locator("img")).to_be_visible(timeout=60_000)
    answers = page.get_by_role("table", name="Predictions of Figure 7")
    expect(answers).to_contain_text(re.compile("✓|✗"))
    expect(answers.get_by_text("not run").first).to_be_visible()
    expect(page.get_by_text("synthetic data").first).to_be_visible()
    page.screenshot(path=pictures / "results-figure7.png", full_page=True)


def test_results_on_other_splits_stand_apart_with_the_reason(
    made, visit, vise: ViseClient, page: Page, pictures: Path
) -> None:
    run = vise.run(made[STEP.format(method="Random Init")])
    spec = run.spec | {"splits": run.spec["splits"] | {"seed": 1}}
    again = vise.create_run(RunCreate(stage="evaluate", spec=spec, inputs=run.inputs, tags=["seeds"]))
    assert vise.wait_for(again.id, timeout=300).state == "succeeded"
    visit(page, "results?method=Random Init&backbone=resnet18")
    table = page.get_by_role("table", name="All evaluations")
    expect(table.get_by_role("columnheader").filter(has_text="(splits ")).to_have_count(2)
    row = table.get_by_role("row").filter(has_text="Random Init")
    expect(row).to_have_count(1)
    for one in (run.id, again.id):
        expect(row.locator(f"a[href='run?run={one}']")).to_have_count(1)
    expect(page.get_by_text(re.compile(r"other splits \(splits 0 and 1: train"))).to_be_visible()
    page.screenshot(path=pictures / "results-look-alikes.png", full_page=True)
    visit(page, f"compare?run={run.id}&run={again.id}")
    expect(page.get_by_text("were not all measured on the same data and splits")).to_be_visible()


def test_an_ablation_is_saved_drawn_and_its_missing_point_launched(
    made, visit, vise: ViseClient, page: Page, pictures: Path
) -> None:
    visit(page, "ablations")
    expect(page.get_by_text("No ablations yet")).to_be_visible()
    page.get_by_text("New ablation").click()
    settle(page)
    baseline = page.get_by_role("combobox", name=re.compile("Baseline"))
    baseline.click()
    # Of a long list only what is in sight is drawn.
    baseline.fill("VisE-1.2M (resnet18)")
    expect(page.get_by_role("option").first).to_contain_text("VisE-1.2M (resnet18)")
    baseline.press("Enter")
    page.get_by_role("button", name="Save ablation").click()
    points = page.get_by_role("table", name="Points of Data size")
    expect(points).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("ablation="))
    expect(points.get_by_role("row").filter(has_text="64 (baseline)")).to_contain_text("succeeded")
    expect(points.get_by_role("row").filter(has_text="1,000")).to_contain_text("missing")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=30_000)
    page.get_by_text("Published lines").click()
    lines = page.get_by_role("table", name="Reference lines")
    expect(lines.get_by_text("VisE-250M, published")).to_be_visible()
    page.screenshot(path=pictures / "ablation.png", full_page=True)
    page.get_by_role("button", name="Launch 100").click()
    expect(points.get_by_role("row").filter(has_text=re.compile("^100"))).to_contain_text(
        re.compile("waiting|queued|running|succeeded"), timeout=30_000
    )
    (parent,) = vise.runs(tag="ablation").items
    assert vise.wait_for(parent.id, timeout=600).state == "succeeded"
    page.reload()
    expect(points.get_by_role("row").filter(has_text=re.compile("^100"))).to_contain_text(
        "succeeded", timeout=30_000
    )
