"""Launching from a form, and data on its way in, in a real browser against the real stack."""

import json
import re
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from docs.screenshots import settle
from tests.pictures import encoded
from vise_client.client import ViseClient
from vise_client.schemas.datasets import DatasetCreate
from vise_core.specs.tasks.kinds import CsvTask

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

INGEST = "launch?what=ingest&preset=" + quote("Sample data (synthetic)")
SMALL = '{"source":{"kind":"sample","posts":40,"evaluation_images":60,"image_size":32}}'
SLOW = 60_000


def in_address(page: Page, name: str) -> str:
    return parse_qs(urlsplit(page.url).query).get(name, [""])[0]


def box(page: Page, label: str):
    """The text field of this label; the button that explains it has a label much the same."""
    return page.get_by_role("textbox", name=label, exact=True)


def launch_button(page: Page):
    return page.get_by_role("button", name=re.compile("^.*Launch (ingest|[0-9]+ runs)$"))


def test_a_wrong_value_is_told_beside_its_field_and_holds_the_launch_back(
    stack, page: Page, pictures
) -> None:
    page.goto(f"{stack.url}/{INGEST}")
    field = box(page, "Posts per shard")
    field.wait_for(timeout=SLOW)
    expect(launch_button(page)).to_be_enabled(timeout=SLOW)
    field.fill("0")
    expect(page.get_by_text("greater than or equal to 1").first).to_be_visible(timeout=SLOW)
    expect(launch_button(page)).to_be_disabled(timeout=SLOW)
    page.screenshot(path=pictures / "launch-problem.png", full_page=True)
    field.fill("20")
    expect(launch_button(page)).to_be_enabled(timeout=SLOW)
    expect(page.get_by_text("greater than or equal to 1")).to_have_count(0)


def test_a_form_that_nobody_touched_says_what_to_choose_and_alarms_nobody(
    stack, page: Page, pictures
) -> None:
    page.goto(f"{stack.url}/launch?what=pretrain")
    # Posts too, unless another test has made some.
    expect(page.get_by_text(re.compile("^Select labels (and posts )?to launch"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name=re.compile("Launch pretrain"))).to_be_disabled()
    expect(page.get_by_text("Required.").last).to_be_visible()
    alarms = page.locator("[data-testid=stAlertContentError], [data-testid=stAlertContentWarning]")
    expect(alarms).to_have_count(0)
    page.screenshot(path=pictures / "launch-untouched.png", full_page=True)


def test_yaml_and_form_follow_each_other_and_a_reload_keeps_both(stack, page: Page) -> None:
    page.goto(f"{stack.url}/{INGEST}")
    field = box(page, "Posts per shard")
    field.wait_for(timeout=SLOW)
    settle(page)
    field.fill("77")
    field.press("Enter")
    page.get_by_role("tab", name="YAML").click()
    area = page.get_by_label("Spec as YAML")
    expect(area).to_have_value(re.compile("posts_per_shard: 77"), timeout=SLOW)
    area.fill("source: {kind: sample, posts: 55}\nposts_per_shard: 78\n")
    area.press("Control+Enter")
    page.get_by_role("tab", name="Settings").first.click()
    expect(box(page, "Posts per shard")).to_have_value("78", timeout=SLOW)
    page.wait_for_url(re.compile("posts_per_shard"), timeout=SLOW)
    page.reload()
    expect(box(page, "Posts per shard")).to_have_value("78", timeout=SLOW)
    page.get_by_role("tab", name="YAML").click()
    area = page.get_by_label("Spec as YAML")
    area.fill("source: [1,\nposts_per_shard: 3")
    area.press("Control+Enter")
    expect(page.get_by_text("line 2")).to_be_visible(timeout=SLOW)


def test_a_run_is_launched_and_cloned_with_a_change(stack, page: Page, vise: ViseClient, pictures) -> None:
    page.goto(f"{stack.url}/launch?what=ingest&spec={quote(SMALL)}&name=From+the+form")
    expect(page.get_by_text("100 images to generate")).to_be_visible(timeout=SLOW)
    launch_button(page).click()
    page.get_by_role("link", name="Open From the form").click(timeout=SLOW)
    page.get_by_role("heading", name="From the form").wait_for(timeout=SLOW)
    run = vise.runs(search="From the form").items[0]
    vise.wait_for(run.id, timeout=300)

    page.goto(f"{stack.url}/launch?clone={run.id}")
    name = box(page, "Name")
    expect(name).to_have_value("From the form (copy)", timeout=SLOW)
    # It has run before, so its time is known.
    expect(page.get_by_text(re.compile("about .* on cpu"))).to_be_visible(timeout=SLOW)
    page.screenshot(path=pictures / "launch-clone.png", full_page=True)
    box(page, "Seed").fill("5")
    page.wait_for_url(re.compile("seed"), timeout=SLOW)
    expect(launch_button(page)).to_be_enabled(timeout=SLOW)
    launch_button(page).click()
    page.get_by_role("link", name="Open From the form (copy)").wait_for(timeout=SLOW)
    copy = vise.run(vise.runs(search="(copy)").items[0].id)
    assert copy.spec == vise.run(run.id).spec | {"seed": 5}


def test_a_sweep_says_how_many_runs_it_will_start(stack, page: Page) -> None:
    grid = quote('{"seed":[1,2,3],"posts_per_shard":[10,20]}')
    page.goto(f"{stack.url}/launch?what=ingest&spec={quote(SMALL)}&grid={grid}")
    expect(page.get_by_role("button", name=re.compile("Launch 6 runs"))).to_be_enabled(timeout=SLOW)
    page.get_by_role("tab", name="Sweep").click()
    box(page, "seed").fill("1, 2, 3, 4")
    expect(page.get_by_role("button", name=re.compile("Launch 8 runs"))).to_be_enabled(timeout=SLOW)


def test_an_archive_becomes_a_data_set_with_samples(stack, page: Page, tmp_path: Path, pictures) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as made:
        for number in range(12):
            made.writestr(
                f"pets/{('cat', 'dog')[number % 2]}/{number}.jpg",
                encoded(Image.new("RGB", (64, 48), (20 * number, 90, 120)), "JPEG"),
            )
    page.goto(f"{stack.url}/data?tab=Add")
    box(page, "Name").fill("Pets of the test")
    page.locator("input[type=file]").set_input_files(tmp_path / "pets.zip")
    page.get_by_text("pets.zip").first.wait_for(timeout=SLOW)
    page.get_by_role("button", name="Add").last.click()
    page.get_by_role("heading", name="Pets of the test").wait_for(timeout=SLOW)
    expect(page.get_by_text(re.compile("12 images · 2 classes")).first).to_be_visible(timeout=240_000)
    expect(page.locator("[data-testid=stImage] img")).to_have_count(12, timeout=SLOW)
    page.screenshot(path=pictures / "data-set.png", full_page=True)
    page.get_by_role("link", name="Evaluate on this data set").click()
    page.get_by_role("heading", name="Launch", exact=True).wait_for(timeout=SLOW)
    assert in_address(page, "in_dataset").startswith("dataset:")


def test_a_list_in_another_dialect_is_proposed_and_the_launch_page_starts_with_it(
    stack, page: Page, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "listed.zip", "w") as made:
        for number in range(12):
            made.writestr(
                f"pictures/{number} \u202fAM.jpg",
                encoded(Image.new("RGB", (64, 48), (20 * number, 90, 120)), "JPEG"),
            )
        rows = [f"{number} \u202fAM.jpg\t{('joie', 'désir')[number % 2]}" for number in range(12)]
        made.writestr("all.tsv", "\n".join(["filename\tclass", *rows]).encode("utf-16"))
    page.goto(f"{stack.url}/data?tab=Add")
    box(page, "Name").fill("Listed pictures")
    page.locator("input[type=file]").set_input_files(tmp_path / "listed.zip")
    page.get_by_text("listed.zip").first.wait_for(timeout=SLOW)
    page.get_by_role("button", name="Add").last.click()
    page.get_by_role("heading", name="Listed pictures").wait_for(timeout=SLOW)
    expect(page.get_by_text(re.compile("12 images · 2 classes .* layout csv"))).to_be_visible(timeout=240_000)
    page.get_by_role("link", name="Evaluate on this data set").click()
    page.get_by_role("heading", name="Launch", exact=True).wait_for(timeout=SLOW)
    page.get_by_role("tab", name="YAML").click(timeout=SLOW)
    expect(page.get_by_label("Spec as YAML")).to_have_value(re.compile("manifest: all.tsv"), timeout=SLOW)
    assert CsvTask.model_validate(json.loads(in_address(page, "spec"))["task"]) == CsvTask(
        manifest="all.tsv", delimiter="\t", encoding="utf-16", images="pictures", path_column="filename",
        label_column="class",
    )  # fmt: skip

    # Chosen on the launch page itself, the data set brings its task along; what else was set stays.
    spec = quote('{"epochs":7,"milestones":[5]}')
    page.goto(f"{stack.url}/launch?what=evaluate&spec={spec}")
    settle(page)
    page.get_by_role("combobox", name="Input: dataset").click(timeout=SLOW)
    page.get_by_role("option", name=re.compile("^Listed pictures")).click(timeout=SLOW)
    page.wait_for_url(re.compile(r"all\.tsv"), timeout=SLOW)
    spec = json.loads(in_address(page, "spec"))
    assert (spec["task"]["manifest"], spec["epochs"]) == ("all.tsv", 7)


def test_a_token_is_shown_once_and_told_in_the_log(stack, page: Page, vise: ViseClient) -> None:
    page.goto(f"{stack.url}/settings?tab=API+tokens")
    box(page, "Name of the token").fill("browser test")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text(re.compile("^vise_"))).to_be_visible(timeout=SLOW)
    page.reload()
    page.get_by_text("browser test").wait_for(timeout=SLOW)
    assert page.get_by_text(re.compile("^vise_")).count() == 0
    (entry,) = vise.audit(kind="token", search="browser test").items
    assert (entry.action, entry.email) == ("created", "admin@localhost")


def test_workers_are_alive_and_named(stack, page: Page) -> None:
    page.goto(f"{stack.url}/workers")
    expect(page.get_by_text("local-runs")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("local-predict")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("alive")).first).to_be_visible(timeout=SLOW)


def write_faces(folder: Path, classes: int) -> None:
    """Four images in each of so many classes."""
    for label in range(classes):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
        for number in range(4):
            colour = (30 * label, 60 * number, 120)
            Image.new("RGB", (40, 40), colour).save(folder / f"class {label}" / f"{number}.png")


QUICK = (
    '{"weights":{"kind":"random","backbone":"resnet18"},"image_size":32,"epochs":1,"augment":false,'
    '"splits":{"count":1},"base_lrs":[0.1],"weight_decays":[0.0001],"method":"Quick"}'
)


def test_a_folder_that_changes_is_reported_rescanned_and_told_apart_in_its_runs(
    stack, page: Page, vise: ViseClient, pictures
) -> None:
    folder = stack.home / "data" / "faces of the test"
    write_faces(folder, 5)
    made = vise.register_dataset(
        DatasetCreate(name="Faces of the test", kind="images", folder="faces of the test")
    )
    assert made.survey_id is not None
    vise.wait_for(made.survey_id, timeout=240)
    page.goto(f"{stack.url}/data?dataset={made.id}")
    expect(page.get_by_text("The folder has not changed since version 1.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("20 images · 5 classes")).first).to_be_visible()

    write_faces(folder, 8)
    told = "The folder has changed since version 1: 12 files added, 20 changed, 0 removed. Rescan it."
    launch = (
        f"{stack.url}/launch?what=evaluate&in_dataset=dataset:{made.id}&spec={quote(QUICK)}&name=On+faces"
    )
    page.goto(launch)
    expect(page.get_by_text(told).first).to_be_visible(timeout=SLOW)
    page.screenshot(path=pictures / "launch-changed-folder.png", full_page=True)
    recipe = f"launch?what=recipe&recipe=ablation-pretext&in_unbiased_emotion=dataset:{made.id}"
    page.goto(f"{stack.url}/{recipe}")
    expect(page.get_by_text(told)).to_be_visible(timeout=SLOW)
    page.goto(launch)
    page.get_by_role("link", name="Open the data set to rescan it").first.click()
    expect(page.get_by_text(told)).to_be_visible(timeout=SLOW)
    page.screenshot(path=pictures / "data-changed.png", full_page=True)
    page.get_by_role("button", name="Rescan", exact=True).click()
    expect(page.get_by_text("The folder has not changed since version 2.")).to_be_visible(timeout=240_000)
    expect(page.get_by_text(re.compile("32 images · 8 classes")).first).to_be_visible(timeout=SLOW)

    page.goto(launch)
    button = page.get_by_role("button", name=re.compile("Launch evaluate"))
    expect(button).to_be_enabled(timeout=SLOW)
    expect(page.get_by_text(re.compile("has changed since"))).to_have_count(0)
    button.click()
    page.get_by_role("link", name="Open On faces").click(timeout=SLOW)
    run = vise.runs(search="On faces").items[0]
    assert vise.wait_for(run.id, timeout=300).state == "succeeded"
    expect(page.get_by_role("link", name="dataset Faces of the test, version 2")).to_be_visible(timeout=SLOW)
    page.screenshot(path=pictures / "run-data-version.png")

    page.goto(f"{stack.url}/data?dataset={made.id}")
    page.get_by_role("button", name="Show 1 run").click(timeout=SLOW)
    expect(page.get_by_role("button", name="Version 2")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("link", name="On faces")).to_be_visible()
    page.screenshot(path=pictures / "data-versions.png", full_page=True)
    page.get_by_role("button", name="Name, description").click()
    box(page, "Name").fill("Faces")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Faces", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Remove", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Kept, and marked:")).to_be_visible(timeout=SLOW)
    page.screenshot(path=pictures / "data-remove.png")
    dialog.get_by_role("button", name="Remove data set").click()
    page.get_by_role("textbox", name="Search data sets").wait_for(timeout=SLOW)
    page.goto(f"{stack.url}/run?run={run.id}")
    expect(page.get_by_text("Faces of the test (removed), version 2")).to_be_visible(timeout=SLOW)
