"""The runs page in a real browser: search with completion, order, groups, choice and what is done with it, views."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page, expect

from docs.screenshots import wait_until
from vise_client.client import ViseClient
from vise_client.schemas.launch import RunCreate, SweepCreate
from vise_client.schemas.runs import RunUpdate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

POSTS = {"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}}
SOON = 60_000


@pytest.fixture(scope="module")
def made(vise: ViseClient) -> str:
    """The tag of runs that are over: a sweep over seeds, of which one run was deleted, and two runs of their own."""
    grid = {"seed": [0, 1, 2], "posts_per_shard": [5, 10]}
    sweep = vise.create_sweep(
        SweepCreate.model_validate(
            {"spec": {"stage": "ingest", "base": POSTS, "grid": grid}, "name": "List sweep", "tags": ["list"]}
        )
    )
    for name in ("List one", "List two"):
        vise.create_run(RunCreate(stage="ingest", name=name, spec=POSTS, tags=["list"]))
    for run in vise.iterate(vise.runs, query="tag = list", all=True):
        vise.wait_for(run.id, timeout=300)
    last = vise.run(sweep.id).children[-1]
    vise.delete_run(last.id)
    return "list"


def table(page: Page) -> Locator:
    return page.get_by_role("table", name=re.compile("^(Runs|Groups of runs)$"))


def open_runs(page: Page, stack, query: str, **more: str) -> None:
    said = "&".join(f"{name}={quote(value)}" for name, value in ({"query": query} | more).items())
    page.goto(f"{stack.url}/runs?{said}")
    expect(page.get_by_text(re.compile(r"in total$"))).to_be_visible(timeout=SOON)


def test_a_search_is_completed_and_then_stands_in_the_address(made: str, stack, page: Page) -> None:
    page.goto(f"{stack.url}/runs")
    box = page.get_by_role("combobox", name="Search")
    box.click(timeout=SOON)
    box.press_sequentially("sta")
    page.get_by_role("option", name=re.compile("^stage")).click()
    box.press_sequentially("= ing")
    expect(page.get_by_role("option", name="ingest")).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    box.press_sequentially(f"and tag = {made}")
    box.press("Escape")
    box.press("Enter")
    expect(page.get_by_text("2 runs in total")).to_be_visible(timeout=SOON)
    expect(page).to_have_url(re.compile(r"query=stage"))
    page.reload()
    expect(page.get_by_text("2 runs in total")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("combobox", name="Search")).to_have_value(f"stage = ingest and tag = {made}")


def test_a_wrong_search_says_where_and_what_was_expected(stack, page: Page) -> None:
    page.goto(f"{stack.url}/runs?query={quote('stage = brew')}")
    expect(page.get_by_text(re.compile("at character 9: expected one of ingest"))).to_be_visible(timeout=SOON)


def test_headers_sort_and_names_lead_to_the_run(made: str, stack, page: Page) -> None:
    open_runs(page, stack, f"tag = {made} and stage = ingest")
    links = table(page).get_by_role("link")
    expect(links).to_have_text(["List two", "List one"])
    header = page.get_by_role("columnheader", name=re.compile("^Run"))
    for order in ("descending", "ascending"):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", order, timeout=SOON)
    expect(links).to_have_text(["List one", "List two"])
    expect(page).to_have_url(re.compile("sort=name"))
    links.first.click()
    expect(page.get_by_role("heading", level=1, name="List one")).to_be_visible(timeout=SOON)


def test_groups_show_mean_and_what_is_missing_and_open_to_their_runs(
    made: str, stack, page: Page, pictures: Path
) -> None:
    page.goto(
        f"{stack.url}/runs?grouped=true&query={quote('parent != none and stage = ingest')}"
        "&column=spec.posts_per_shard&column=metric.posts&column=spec.seed"
    )
    whole = table(page).get_by_role("row", name=re.compile("posts_per_shard 5"))
    expect(whole).to_contain_text("complete", timeout=SOON)
    expect(whole).to_contain_text("(n = 3)")
    short = table(page).get_by_role("row", name=re.compile("posts_per_shard 10"))
    expect(short).to_contain_text("incomplete")
    expect(short).to_contain_text("2 of 3 seeds and splits: 1 deleted or archived")
    whole.get_by_role("button", name=re.compile("posts_per_shard 5")).click()
    expect(table(page).get_by_role("link")).to_have_count(3, timeout=SOON)
    page.screenshot(path=pictures / "runs-grouped-open.png")
    page.reload()
    expect(table(page).get_by_role("link")).to_have_count(3, timeout=SOON)


def test_the_chosen_are_tagged_together_and_the_table_forgets_the_choice(
    made: str, stack, vise: ViseClient, page: Page
) -> None:
    open_runs(page, stack, f"tag = {made} and stage = ingest")
    page.get_by_role("checkbox", name="Select all on this page").check()
    expect(page.get_by_text("2 runs selected")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="Compare", exact=True).last).to_be_visible()
    page.get_by_role("button", name="Star", exact=True).click()
    expect(page.get_by_text("Star: done for 2 of 2 runs.")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("2 runs selected")).to_be_hidden(timeout=SOON)
    assert len(vise.runs(query=f"starred and tag = {made}").items) == 2
    page.get_by_role("button", name="Star List one").click()
    expect(page.get_by_role("button", name="Star List one")).to_have_attribute(
        "aria-pressed", "false", timeout=SOON
    )
    assert len(vise.runs(query=f"starred and tag = {made}").items) == 1


def test_what_cannot_be_done_to_a_run_is_told_by_its_name(made: str, stack, page: Page) -> None:
    open_runs(page, stack, f"tag = {made} and stage = ingest")
    page.get_by_role("checkbox", name="Select List one").check()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("List one: the run has already ended as succeeded")).to_be_visible(timeout=SOON)


def test_a_view_is_saved_and_opens_with_all_that_it_had(made: str, stack, page: Page) -> None:
    open_runs(page, stack, f"tag = {made}", column="spec.posts_per_shard", sort="name")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("textbox", name="Name of the view").fill("List view")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_role("button", name="List view")).to_be_visible(timeout=SOON)
    page.goto(f"{stack.url}/runs")
    page.get_by_role("button", name="Views").click(timeout=SOON)
    page.get_by_role("button", name="List view").click()
    expect(page).to_have_url(re.compile(r"query=tag.*column=spec\.posts_per_shard.*sort=name"), timeout=SOON)
    expect(page.get_by_role("columnheader", name="posts_per_shard")).to_be_visible(timeout=SOON)


def test_a_live_list_changes_in_place(made: str, stack, vise: ViseClient, page: Page) -> None:
    open_runs(page, stack, f"tag = {made} and stage = ingest")
    run = vise.runs(query='name = "List two"').items[0]
    # How many there are is said before the table is there.
    wait_until(
        page,
        """() => {
            const seen = (node) => node.shadowRoot ? [node.shadowRoot, ...[...node.shadowRoot.querySelectorAll('*')].flatMap(seen)] : [];
            const roots = [document, ...[...document.querySelectorAll('*')].flatMap(seen)];
            window.oldRows = roots.flatMap((root) => [...root.querySelectorAll('.runs tbody tr')]);
            return window.oldRows.length === 2;
        }""",
        timeout=SOON,
    )
    vise.update_run(run.id, RunUpdate(name="List two, renamed"))
    expect(table(page).get_by_role("link", name="List two, renamed")).to_be_visible(timeout=SOON)
    assert page.evaluate("window.oldRows.every((row) => row.isConnected)"), "rows are changed, not replaced"
    vise.update_run(run.id, RunUpdate(name="List two"))


def test_nothing_found_says_what_to_do(stack, page: Page) -> None:
    page.goto(f"{stack.url}/runs?query={quote('name = nothing-has-this-name')}")
    expect(page.get_by_text("No run matches the search")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="All runs")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("grouped", ["false", "true"])
def test_on_a_phone_there_is_no_sideways_scrolling_and_axe_finds_nothing(
    scheme, grouped: str, made: str, stack, page: Page, pictures: Path
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    open_runs(page, stack, "stage = ingest", grouped=grouped, all="true")
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / f"runs-{'groups' if grouped == 'true' else 'list'}-390-{scheme}.png")
    for element in ("document.documentElement", "document.querySelector('main')"):
        assert page.evaluate(f"{element}.scrollWidth - {element}.clientWidth") <= 0
    page.evaluate(AXE_SCRIPT)
    levels = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    violations = page.evaluate("options => axe.run(document, options)", levels)["violations"]
    assert [(v["id"], [n["html"][:150] for n in v["nodes"]]) for v in violations] == []
