"""Predict and Clusters in a real browser: several images and models, heat, feedback, calls that run as they stand."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import Page, expect
from skimage import data
from skimage import io as skio

from docs.screenshots import wait_until
from vise_client.client import ViseClient
from vise_client.schemas.models import ModelCreate, ModelView
from vise_core.data.archives import unpack
from vise_core.posts.sample import generate_evaluation_image
from vise_core.specs.fetch import UnpackLimits
from vise_core.specs.posts.fields import REACTIONS
from vise_core.specs.tasks.catalogue import EMOTIONS
from vise_core.specs.tasks.kinds import CsvTask
from vise_core.tasks.csv_labels import read_csv_labels

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Material:
    """Two models, a pretrained one, explored clusters, and two files to ask about."""

    vise: ViseClient
    token: str
    pretrained: str
    models: tuple[ModelView, ModelView]
    files: tuple[Path, Path]


@pytest.fixture(scope="module")
def material(sample, stack, vise: ViseClient, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("images")
    files = (folder / "a cat; with, signs.png", folder / "scene.png")
    skio.imsave(files[0], data.chelsea(), check_contrast=False)
    generate_evaluation_image(99, 2, 128)[0].save(files[1])
    models = [
        vise.register_model(ModelCreate(run_id=UUID(sample.ids[step]), name=f"beside {step}"))
        for step in ("random", "vise")
    ]
    token = json.loads((stack.home / "local.json").read_text())["token"]
    yield Material(vise, token, sample.ids["pretrain"], (models[0], models[1]), files)
    for model in models:
        vise.delete_model(model.id)


def settled(page: Page, path: str) -> None:
    page.goto(path)
    page.locator("h1").first.wait_for()


def ask_page(stack, material: Material) -> str:
    return f"{stack.url}/predict?" + "&".join(f"model={m.id}" for m in material.models)


def panels(page: Page, answers: int) -> None:
    expect(page.get_by_text(re.compile(r"Computed in \d+ ms"))).to_have_count(answers, timeout=120_000)


def asked_so_far(material: Material) -> int:
    return len(material.vise.predictions(limit=200).items)


def test_two_images_and_two_models_side_by_side_asked_once(
    material: Material, stack, page: Page, pictures: Path
) -> None:
    before = asked_so_far(material)
    settled(page, ask_page(stack, material))
    page.locator("input[type=file]").set_input_files(material.files)
    panels(page, 4)
    assert asked_so_far(material) == before + 4
    for model in material.models:
        named = page.locator("[class*=st-key-image-]").get_by_text(model.name, exact=True)
        expect(named).to_have_count(2)
    bars = page.locator(".js-plotly-plot").filter(has_text="%").first
    for emotion in EMOTIONS:
        expect(bars.get_by_text(emotion, exact=True)).to_be_visible()

    # Colours and strength are the page's own: nobody is asked again.
    heat = page.locator(".js-plotly-plot:has(.heatmaplayer image)").first
    first = heat.locator(".heatmaplayer image").evaluate("image => image.href.baseVal")
    page.get_by_role("combobox", name=re.compile("Colour map")).click()
    page.get_by_role("option", name="Viridis").click()
    page.wait_for_url(re.compile("colours=Viridis"))
    wait_until(
        page,
        "before => document.querySelector('.heatmaplayer image').href.baseVal !== before",
        first,
    )
    page.get_by_role("slider", name=re.compile("Opacity")).press("ArrowRight")
    page.wait_for_url(re.compile(r"strength=0\.55"))
    panels(page, 4)
    assert asked_so_far(material) == before + 4

    page.wait_for_timeout(1500)  # Until the chart is drawn anew.
    heat.locator(".nsewdrag").first.hover()
    expect(page.get_by_text(re.compile(r"heat \d\.\d\d")).first).to_be_visible()
    page.screenshot(path=pictures / "predict-two-models.png", full_page=True)

    # The link shows the same to a page that never had the files.
    batch = parse_qs(urlsplit(page.url).query)["batch"][0]
    settled(page, f"{stack.url}/predict?batch={batch}")
    panels(page, 4)
    expect(page.get_by_text("From the history")).to_be_visible()
    expect(page.locator(".heatmaplayer image")).to_have_count(4)


def test_one_bad_image_of_a_batch_fails_by_itself(
    material: Material, stack, page: Page, tmp_path: Path
) -> None:
    deep, photograph, torn = tmp_path / "deep.png", tmp_path / "phone.heic", tmp_path / "torn.png"
    Image.fromarray(np.arange(200 * 1200, dtype=np.uint16).reshape(200, 1200) % 4096).save(deep)
    from_pillow(Image.fromarray(data.chelsea())).save(photograph)
    torn.write_bytes(deep.read_bytes()[:3000])
    settled(page, ask_page(stack, material).rpartition("&")[0])
    page.locator("input[type=file]").set_input_files([torn, deep, photograph, material.files[1]])
    panels(page, 3)
    expect(page.get_by_text("This page failed")).to_have_count(0)
    broken = page.locator("[class*=st-key-image-0]")
    expect(broken.get_by_text(re.compile("truncated")).first).to_be_visible()
    for position in (1, 2, 3):
        shown = page.locator(f"[class*=st-key-image-{position}]").get_by_role("img", name="without heat map")
        expect(shown).to_be_visible()
        assert shown.evaluate("image => image.naturalWidth") > 0


def test_a_label_is_kept_and_exported_with_its_picture(
    material: Material, stack, page: Page, tmp_path: Path
) -> None:
    settled(page, ask_page(stack, material).rpartition("&")[0])
    page.locator("input[type=file]").set_input_files(material.files[1])
    panels(page, 1)
    page.get_by_role("button", name="Label this image").click()
    expect(page.get_by_text("every editor can export")).to_be_visible()
    page.get_by_role("combobox", name="Class", exact=True).click()
    page.get_by_role("option", name="surprise").click()
    page.get_by_role("button", name="Save label").click()
    expect(page.get_by_text("the image is kept")).to_be_visible()
    settled(page, f"{stack.url}/predict?view=Labelled+set")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download labelled set").first.click()
    unpack(download.value.path(), tmp_path, UnpackLimits())
    rows = read_csv_labels(CsvTask(), tmp_path / "feedback")
    assert [row.label for row in rows] == ["surprise"]
    assert (tmp_path / "feedback" / rows[0].path).read_bytes().startswith(b"\xff\xd8")
    settled(page, f"{stack.url}/predict?view=History&labels=labelled")
    expect(page.get_by_text("labelled surprise")).to_be_visible()


@pytest.mark.parametrize("source", ["file", "sample"])
def test_the_calls_that_the_page_shows_run_as_they_stand(
    source: str, material: Material, stack, page: Page, tmp_path: Path
) -> None:
    address = ask_page(stack, material).rpartition("&")[0] + "&class=fear&method=Grad-CAM&colours=Cividis"
    if source == "file":
        settled(page, address)
        page.locator("input[type=file]").set_input_files(material.files[0])
        (tmp_path / material.files[0].name).write_bytes(material.files[0].read_bytes())
    else:
        settled(page, address + "&from=Samples")
        page.get_by_role("button", name=re.compile(r"^joy \d+")).first.click()
    panels(page, 1)
    page.get_by_text("API examples: curl and Python").click()
    shell = page.locator("[data-testid=stCode] code").first.inner_text()
    page.get_by_role("tab", name="Python").click()
    python = page.locator("[data-testid=stCode] code:visible").last.inner_text()
    shown = material.vise.predictions(limit=1).items[0]

    environment = os.environ | {"VISE_TOKEN": material.token}
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "check": True, "timeout": 120}
    answer = json.loads(subprocess.run(["sh", "-c", shell], **options).stdout)
    assert (answer["predicted"], answer["target"], answer["method"]) == (shown.predicted, "fear", "gradcam")
    assert answer["colour_map"] == "cividis"
    assert answer["probabilities"][answer["predicted"]] == pytest.approx(shown.probability, abs=1e-5)

    said = subprocess.run([sys.executable, "-c", python], **options).stdout.decode()
    assert said.startswith(f"{shown.predicted} ")
    assert len(list(tmp_path.glob("*-overlay.png"))) == 1


def test_samples_are_marked_and_judged_and_the_address_says_which(
    material: Material, stack, page: Page
) -> None:
    settled(page, ask_page(stack, material) + "&from=Samples")
    expect(page.get_by_text("None of the selected models was trained on")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^anger \d+")).first.click()
    panels(page, 2)
    expect(page.get_by_text("Generated as anger.")).to_be_visible()
    expect(page.get_by_text("synthetic data").first).to_be_visible()
    assert page.get_by_text(re.compile("^(check )?right$|wrong, it is anger")).count() == 2
    assert "sample=anger" in page.url
    page.reload()
    panels(page, 2)


def test_expected_engagement_beside_the_answers(material: Material, stack, page: Page) -> None:
    settled(page, f"{ask_page(stack, material)}&engagement=true&pretrained={material.pretrained}")
    page.locator("input[type=file]").set_input_files(material.files[1])
    panels(page, 2)
    expect(page.get_by_text("most probable comment clusters")).to_be_visible(timeout=60_000)
    engagement = material.vise.predict_engagement(
        material.files[1].read_bytes(), run_id=material.pretrained, top=8
    )
    assert engagement.result is not None
    assert engagement.result.comments is not None
    first = engagement.result.comments[0]
    shown = page.locator(".js-plotly-plot").filter(has_text=f"({first.cluster})")
    expect(shown.get_by_text(f"{first.probability:.1%}", exact=True).first).to_be_visible()
    for reaction in REACTIONS:
        expect(page.locator(".js-plotly-plot").get_by_text(reaction, exact=False).last).to_be_visible()
    page.get_by_role("link", name=f"Cluster {first.cluster}").first.click()
    expect(page.get_by_role("heading", name=f"Comment cluster {first.cluster}")).to_be_visible()


def test_clusters_are_searched_opened_and_linked(
    material: Material, stack, page: Page, pictures: Path
) -> None:
    explorer = next(e for e in material.vise.explorers() if e.name == "Explore clusters")
    settled(page, f"{stack.url}/clusters?explorer={explorer.artifact_id}")
    largest = material.vise.clusters(explorer.artifact_id, "comments", limit=1).items[0]
    expect(page.get_by_role("heading", name=f"Comment cluster {largest.cluster}")).to_be_visible()
    expect(page.get_by_role("heading", name=f"{explorer.comments.clusters} comment clusters")).to_be_visible()
    word = next(term for term, _ in largest.terms if term.isalpha())
    page.get_by_role("textbox", name="Search by word").fill(word)
    page.get_by_role("textbox", name="Search by word").press("Enter")
    hits = material.vise.clusters(explorer.artifact_id, "comments", search=word)
    counted = f"{hits.total:,} comment cluster" + ("" if hits.total == 1 else "s")
    expect(page.get_by_role("heading", name=counted, exact=True)).to_be_visible()
    page.locator(f".st-key-row-comments-{hits.items[0].cluster}").get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(f"cluster={hits.items[0].cluster}"))
    expect(page.get_by_role("heading", name=f"Comment cluster {hits.items[0].cluster}")).to_be_visible()
    page.screenshot(path=pictures / "clusters-comments.png", full_page=True)
    settled(page, f"{stack.url}/clusters?explorer={explorer.artifact_id}&search=nothing-says-this")
    expect(page.get_by_text("No cluster matches")).to_be_visible()


def test_a_click_on_the_map_opens_the_cluster(material: Material, stack, page: Page) -> None:
    explorer = next(e for e in material.vise.explorers() if e.name == "Explore clusters")
    settled(page, f"{stack.url}/clusters?explorer={explorer.artifact_id}&kind=Reactions")
    points = page.locator(".scatterlayer .point")
    points.first.wait_for()
    expect(page.get_by_text("Mean share of each reaction over")).to_be_visible()
    page.wait_for_timeout(1000)
    points.nth(2).click(force=True)
    page.wait_for_url(re.compile("cluster="), timeout=30_000)
    chosen = parse_qs(urlsplit(page.url).query)["cluster"][0]
    expect(page.get_by_role("heading", name=f"Reaction cluster {chosen}")).to_be_visible()


def _sample(material: Material) -> str:
    """A generated image that neither model was trained on, as the address names it."""
    cards = [
        json.loads(material.vise.artifact_content(model.artifact_id, "predictor.json"))
        for model in material.models
    ]
    emotion, _, file = min(
        set.intersection(*(set(card["metadata"]["held_out"]) for card in cards))
    ).partition("/")
    return f"{emotion}+{file.removesuffix('.jpg').lstrip('0') or '0'}"
