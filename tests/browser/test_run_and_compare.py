"""A run's page and the comparison of runs, in a real browser over the sample recipe's runs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from docs.screenshots import settle
from vise_client.errors import ApiError
from vise_client.schemas.datasets import DatasetCreate
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.recipes.inputs import InputRef

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SOON, LONG = 30_000, 240_000
# A table is drawn on a canvas; its cells, which screen readers read, lie in the canvas and count as hidden.
SAMPLE = {"source": {"kind": "sample", "posts": 20_000, "evaluation_images": 60}}


def charts(page: Page) -> int:
    return page.locator(".js-plotly-plot").count()


def test_curves_follow_the_controls_and_a_reload_keeps_them(
    sample, stack, page: Page, visit: Callable, pictures: Path
) -> None:
    visit(page, f"run?run={sample.ids['pretrain']}")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
    before = page.locator(".js-plotly-plot .scatterlayer .trace").count()
    page.get_by_text("Wall time", exact=True).click()
    slider = page.get_by_role("slider", name="Smoothing")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2 * before, timeout=SOON)
    expect(page.locator(".js-plotly-plot").first).to_contain_text("since the first point", timeout=SOON)
    settle(page)
    assert "smooth=0.1" in page.url
    page.screenshot(path=pictures / "run-curves.png")

    page.reload()
    settle(page)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2 * before, timeout=SOON)
    expect(page.locator(".js-plotly-plot").first).to_contain_text("since the first point", timeout=SOON)


def test_a_tab_stays_open_over_a_reload(sample, page: Page, visit: Callable) -> None:
    visit(page, f"run?run={sample.ids['vise']}")
    page.get_by_role("tab", name="Spec").click()
    expect(page.get_by_role("combobox", name="Compare with")).to_be_visible(timeout=SOON)
    page.reload()
    settle(page)
    expect(page.get_by_role("tab", name="Spec")).to_have_attribute("aria-selected", "true", timeout=SOON)
    expect(page.get_by_role("gridcell", name="augment", include_hidden=True)).to_have_count(1, timeout=SOON)


def test_lineage_leads_by_keyboard_from_the_model_s_run_to_its_data(
    sample, page: Page, visit: Callable, pictures: Path
) -> None:
    visit(page, f"run?run={sample.ids['vise']}&tab=Lineage")
    box = page.locator(".vise-lineage")
    for name in ("Generate sample posts", "Cluster engagement", "Create pseudo-labels", "Pretrain VisE"):
        expect(box.get_by_role("link", name=re.compile(name))).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "run-lineage.png")
    link = box.get_by_role("link", name=re.compile("Generate sample posts"))
    link.focus()
    link.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Generate sample posts")).to_be_visible(timeout=SOON)
    assert sample.ids["posts"] in page.url


def test_artifacts_are_looked_into(sample, page: Page, visit: Callable, pictures: Path) -> None:
    visit(page, f"run?run={sample.ids['vise']}&tab=Artifacts&artifact=predictions")
    expect(page.get_by_text(re.compile(r"\d+ of [\d,]+ rows"))).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "run-artifacts.png")
    visit(page, f"run?run={sample.ids['posts']}&tab=Artifacts&artifact=evaluation_set")
    expect(page.get_by_text(re.compile(r"\d+ × \d+ pixels"))).to_be_visible(timeout=SOON)


def test_a_run_is_watched_paused_resumed_and_cancelled(
    vise, page: Page, visit: Callable, pictures: Path
) -> None:
    run = vise.create_run(RunCreate(stage="ingest", name="A long one", spec=SAMPLE))
    try:
        visit(page, f"run?run={run.id}&tab=Log")
        state = page.locator(".st-key-page-purpose")
        expect(state).to_contain_text("running", timeout=LONG)
        expect(page.get_by_text(re.compile(r"about .* left"))).to_be_visible(timeout=LONG)
        page.screenshot(path=pictures / "run-running.png")
        page.get_by_role("button", name="Pause").click()
        expect(state).to_contain_text("paused", timeout=LONG)
        assert vise.run(run.id).state is RunState.paused
        page.get_by_role("button", name="Resume").click()
        expect(state).to_contain_text("running", timeout=LONG)
        page.get_by_role("button", name="Cancel").click()
        expect(state).to_contain_text("cancelled", timeout=LONG)
        page.get_by_role("tab", name="History").click()
        expect(page.get_by_text("paused on request").first).to_be_visible(timeout=SOON)
        expect(page.get_by_text("resumed").first).to_be_visible(timeout=SOON)
    finally:
        if not vise.run(run.id).state.final:
            vise.cancel(run.id)


def test_a_run_is_deleted_after_a_look_at_what_depends_on_it(
    sample, vise, page: Page, visit: Callable, pictures: Path
) -> None:
    visit(page, f"run?run={sample.ids['posts']}")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Delete first")).to_be_visible(timeout=SOON)
    expect(dialog.get_by_role("button", name="Delete run")).to_be_disabled()
    page.screenshot(path=pictures / "run-delete-first.png")
    dialog.get_by_role("button", name="Keep").click()
    run = vise.create_run(RunCreate(stage="ingest", spec=SAMPLE, name="To delete"))
    vise.cancel(run.id)
    assert vise.wait_for(run.id, timeout=120).state == "cancelled"
    visit(page, f"run?run={run.id}")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog.get_by_text("Deleted with it:")).to_be_visible(timeout=SOON)
    page.screenshot(path=pictures / "run-delete.png")
    dialog.get_by_role("button", name="Delete run").click()
    expect(page.get_by_text("No run selected")).to_be_visible(timeout=SOON)
    with pytest.raises(ApiError, match="no run"):
        vise.run(run.id)


def test_tags_and_notes_are_written_on_the_run_s_page(sample, vise, page: Page, visit: Callable) -> None:
    run_id = sample.ids["random"]
    visit(page, f"run?run={run_id}")
    page.get_by_role("button", name="Name, tags, notes").click()
    page.get_by_role("textbox", name="Notes").fill("Chance, *nearly*.")
    page.get_by_role("combobox", name="Tags").fill("floor")
    page.get_by_role("combobox", name="Tags").press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("em", has_text="nearly")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("floor", exact=True).first).to_be_visible(timeout=SOON)
    run = vise.run(run_id)
    assert (run.notes, run.tags) == ("Chance, *nearly*.", ["floor"])


def test_the_log_is_searched_on_the_server_and_taken_home(sample, page: Page, visit: Callable) -> None:
    visit(page, f"run?run={sample.ids['pretrain']}&tab=Log&find=no+line+says+this")
    expect(page.get_by_text("No line matches")).to_be_visible(timeout=SOON)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download log").click()
    assert saved.value.suggested_filename == f"{sample.ids['pretrain']}.log"
    assert " info " in Path(saved.value.path()).read_text()


def test_runs_are_compared_from_every_side(sample, page: Page, visit: Callable, pictures: Path) -> None:
    runs = "&".join(f"run={sample.ids[name]}" for name in ("random", "imagenet", "vise"))
    visit(page, f"compare?{runs}")
    expect(page.get_by_role("gridcell", name="method", include_hidden=True)).to_have_count(1, timeout=SOON)
    expect(page.get_by_role("gridcell", name="seed", include_hidden=True)).to_have_count(0)
    for tab in ("Curves", "Scatter", "Parallel"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
        settle(page)
        page.screenshot(path=pictures / f"compare-{tab.lower()}.png")
    page.get_by_role("tab", name="Importance").click()
    expect(page.get_by_text("Spearman")).to_be_visible(timeout=SOON)
    assert "part=Importance" in page.url
    page.reload()
    settle(page)
    expect(page.get_by_text("Spearman")).to_be_visible(timeout=SOON)


def test_runs_that_are_not_there_are_said_to_be_missing(sample, page: Page, visit: Callable) -> None:
    gone = "00000000-0000-0000-0000-000000000000"
    visit(page, f"compare?run={sample.ids['vise']}&run={sample.ids['random']}&run={gone}")
    expect(page.get_by_text("1 of these runs do not exist")).to_be_visible(timeout=SOON)
    visit(page, f"run?run={gone}")
    expect(page.get_by_text("there is no run")).to_be_visible(timeout=SOON)


@pytest.fixture(scope="module")
def leaky(stack, vise) -> dict[str, UUID]:
    """A data set, posts of which some hold its images and some cannot be read, and the checks of both."""
    rng = np.random.default_rng(0)
    root = stack.home / "data"
    images = []
    for _ in range(36):
        blobs = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        images.append(blobs.resize((160, 160), Image.Resampling.BICUBIC))
    for number, image in enumerate(images[:24]):
        folder = root / "leaky" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number:02d}.png")
    (root / "dirty" / "images").mkdir(parents=True)
    rows = []
    for number, image in enumerate(images[6:]):
        image.save(root / "dirty" / "images" / f"{number}.jpg", quality=90)
        rows.append(
            {"id": f"post-{number}", "image": f"{number}.jpg", "comments": ["wow"], "reactions": {"wow": 2}}
        )
    rows += [{"id": "post-0", "image": "0.jpg"}, {"id": "no picture", "image": "none.jpg"}]
    (root / "dirty" / "posts.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{\n")
    posts = vise.register_dataset(DatasetCreate(name="Dirty posts", kind="posts", folder="dirty"))
    task = vise.register_dataset(DatasetCreate(name="Leaky", kind="images", folder="leaky"))
    ingest = vise.create_run(
        RunCreate(
            stage="ingest",
            name="Ingest dirty posts",
            spec={"source": {"kind": "jsonl"}},
            inputs={"source": InputRef(dataset=posts.id)},
        )
    )
    assert vise.wait_for(ingest.id, timeout=240).state is RunState.succeeded
    checks = vise.create_run(
        RunCreate(
            stage="integrity",
            name="Check the leaky set",
            spec={"splits": {"count": 1}},
            inputs={
                "dataset": InputRef(dataset=task.id),
                "posts": InputRef(run=ingest.id, artifact="posts"),
            },
        )
    )
    assert vise.wait_for(checks.id, timeout=240).state is RunState.succeeded
    return {"ingest": ingest.id, "integrity": checks.id}


def test_an_ingest_opens_at_its_counts_and_examples(
    leaky, page: Page, visit: Callable, pictures: Path
) -> None:
    visit(page, f"run?run={leaky['ingest']}")
    expect(page.get_by_role("tab", name="Result")).to_have_attribute("aria-selected", "true", timeout=SOON)
    panel = page.get_by_role("tabpanel", name="Result")
    for title, count in (("posts read", 33), ("posts kept", 30), ("posts rejected", 3)):
        metric = panel.get_by_test_id("stMetric").filter(has_text=title)
        expect(metric).to_contain_text(str(count), timeout=SOON)
    expect(panel.get_by_role("heading", name="Rejected")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("gridcell", name=re.compile("none.jpg"), include_hidden=True)).not_to_have_count(
        0, timeout=SOON
    )
    expect(page.get_by_text("No metrics yet")).to_have_count(0)
    settle(page)
    page.screenshot(path=pictures / "run-ingest.png", full_page=True)


def test_the_checks_open_at_their_pictures_and_lead_to_a_run_without_those_posts(
    leaky, vise, page: Page, visit: Callable, pictures: Path
) -> None:
    result = vise.run(leaky["integrity"]).result
    assert result["copied_posts"] > 0
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        visit(page, f"run?run={leaky['integrity']}")
        failed = page.get_by_role("alert").filter(has_text="Test images among the pretraining posts")
        expect(failed).to_contain_text("Leave those posts out", timeout=SOON)
        picture = page.get_by_role("img", name=re.compile("beside post-")).first
        expect(picture).to_be_visible(timeout=SOON)
        picture.scroll_into_view_if_needed()
        settle(page)
        page.screenshot(path=pictures / f"run-integrity-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name=f"Label again without these {result['copied_posts']} posts").click()
    expect(page.get_by_role("combobox", name=re.compile("exclude"))).to_have_value(
        re.compile("Check the leaky set"), timeout=LONG
    )
    settle(page)
    page.screenshot(path=pictures / "launch-exclude.png", full_page=True)
