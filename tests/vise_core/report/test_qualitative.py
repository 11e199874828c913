"""Figures 7 and 8: several predictors on the same images, from the stage to the drawing."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vise_core.errors import BadInput, Stopped
from vise_core.explain.seeing import see
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, load_classifier, save_classifier
from vise_core.models.heads import linear_head
from vise_core.posts.images.decode import open_image
from vise_core.report import Comparison, qualitative, report
from vise_core.report.published import QUALITATIVE, published_qualitative
from vise_core.report.qualitative import Pictures
from vise_core.reporter import LocalReporter
from vise_core.specs.qualitative import COMPARED, QualitativeResult, QualitativeSpec
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.stage import run_stage

CLASSES = ("blue", "green", "red")


def predictor(folder: Path, method: str, seed: int, **metadata: object) -> Path:
    """A small real network with three classes, saved as an evaluation would."""
    head = linear_head(512, 3, seed=seed)
    made = ImageClassifier(build_backbone("resnet18", seed=seed), head, CLASSES, image_size=64)
    save_classifier(folder, made, {"method": method, "task": "Colours", "protocol": "linear", **metadata})
    return folder


def make_inputs(tmp_path: Path) -> dict[str, Path]:
    """Two predictors and thirty pictures, of which each has held out its own twenty; ten are common to both."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set/dataset.json").write_text('{"synthetic": true}')
    paths = [f"{name}/{number}.png" for number in range(10) for name in CLASSES]
    return {
        "dataset": tmp_path / "set",
        "predictor": predictor(tmp_path / "a", "Random Init", 1, held_out=paths[:20]),
        "predictor_2": predictor(tmp_path / "b", "VisE-1.2M", 2, held_out=paths[10:]),
    }


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return make_inputs(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], QualitativeResult, dict]:
    """(inputs, result, artifacts) of one comparison of all ten images."""
    folder = tmp_path_factory.mktemp("compared")
    inputs = make_inputs(folder)
    return inputs, *compare(inputs, folder)


def compare(inputs: dict[str, Path], folder: Path, **changes: object) -> tuple[QualitativeResult, dict]:
    reporter = LocalReporter(folder / "out")
    spec = QualitativeSpec(task=FolderTask(name="Colours"), **changes)
    result = run_stage("qualitative", spec, inputs, folder / "work", reporter)
    assert isinstance(result, QualitativeResult)
    return result, reporter.artifacts


@pytest.mark.slow
def test_every_image_is_unseen_by_all_and_every_answer_is_the_predictor_s_own(done):
    inputs, result, artifacts = done
    both = {f"{name}/{number}.png" for name in CLASSES for number in range(10)}
    for role in ("predictor", "predictor_2"):
        both &= set(json.loads((inputs[role] / "predictor.json").read_text())["metadata"]["held_out"])
    assert {image.path for image in result.images} == both, "all ten that neither has seen"
    assert (result.synthetic, result.unseen, result.task) == (True, True, "Colours")
    for place, role in enumerate(("predictor", "predictor_2")):
        classifier = load_classifier(inputs[role])
        for image in result.images:
            seen = see(classifier, open_image(inputs["dataset"] / image.path), "cpu")
            answer = image.answers[place]
            assert answer.predicted == CLASSES[seen.predicted]
            assert answer.probability == pytest.approx(seen.probabilities.max())
            assert answer.right == (answer.predicted == image.path.split("/")[0])
        right = [image.answers[place].right for image in result.images]
        assert result.predictors[place].accuracy == pytest.approx(100 * np.mean(right))
    folder = artifacts["comparison"]
    for image in result.images:
        original = np.asarray(Image.open(folder / image.picture))
        assert np.array_equal(original, np.asarray(Image.open(inputs["dataset"] / image.path)))
        for answer in image.answers:
            assert not np.array_equal(original, np.asarray(Image.open(folder / answer.overlay)))
    assert QualitativeResult.model_validate_json((folder / "comparison.json").read_bytes()) == (
        result.model_copy(update={"provenance": None})
    )


@pytest.mark.slow
def test_the_stage_draws_both_figures_in_every_format(done, inputs, tmp_path: Path):
    _, _, artifacts = done
    names = {path.name for path in artifacts["figure"].iterdir()}
    assert names == {f"figure{n}.{ending}" for n in (7, 8) for ending in ("png", "svg", "pdf")}
    _, artifacts = compare(inputs, tmp_path / "few", limit=2)
    assert {path.stem for path in artifacts["figure"].iterdir()} == {"figure7"}, "no image is left for Fig. 8"


@pytest.mark.parametrize(
    ("held_out", "told"),
    [([], "predictor_3: third does not say"), (["blue/0.png"], "no image is unseen by all")],
)
@pytest.mark.slow
def test_predictors_without_an_unseen_image_in_common_are_refused_unless_asked_for(
    held_out: list[str], told: str, inputs, tmp_path: Path
):
    inputs["predictor_3"] = predictor(tmp_path / "c", "third", 3, held_out=held_out)
    with pytest.raises(BadInput, match=told):
        compare(inputs, tmp_path)
    result, _ = compare(inputs, tmp_path / "any", unseen_only=False, limit=2)
    assert (result.unseen, len(result.images), len(result.predictors)) == (False, 2, 3)


def test_a_predictor_of_other_classes_is_refused_by_its_role(inputs, tmp_path: Path):
    (inputs["dataset"] / "red").rename(inputs["dataset"] / "violet")
    with pytest.raises(BadInput, match="predictor has no class violet"):
        compare(inputs, tmp_path)


def test_it_stops_on_request(inputs, tmp_path: Path):
    with pytest.raises(Stopped):
        run_stage(
            "qualitative",
            QualitativeSpec(),
            inputs,
            tmp_path / "work",
            LocalReporter(tmp_path / "out", stop=True),
        )


def words(svg: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", svg.decode()).split())


@pytest.fixture
def made(done) -> list[Comparison]:
    return [Comparison(run="one", result=done[1], evaluations={"predictor": "first evaluation"})]


@pytest.fixture
def pictures(done) -> Pictures:
    return lambda run, file: (done[2]["comparison"] / file).read_bytes()


@pytest.mark.slow
def test_figure_7_has_the_first_eight_images_and_figure_8_the_others(made):
    seven, eight = (qualitative(name, made) for name in QUALITATIVE)
    paths = [row.path for row in (*seven.rows, *eight.rows)]
    assert (len(seven.rows), len(eight.rows)) == (8, 2)
    assert paths == [image.path for image in made[0].result.images]


@pytest.mark.slow
def test_the_paper_s_models_that_were_not_run_are_there_as_missing(made, pictures):
    figure = qualitative("figure7", made)
    assert [(c.method, c.run) for c in figure.columns] == [
        ("Random Init", True),
        ("IN-Sup", False),
        ("IG-940M-IN", False),
        ("VisE-250M", False),
        ("VisE-1.2M", True),
    ]
    assert figure.columns[0].evaluation == "first evaluation"
    for row in figure.rows:
        assert [answer is None for answer in row.answers] == [False, True, True, True, False]
    text = words(report("figure7", [], "svg", comparisons=made, pictures=pictures))
    assert text.count("not run") == 3 * 8 + 1, "each place, and the footnote"
    assert "generated, not real" in text
    right = sum(answer.right for row in figure.rows for answer in row.answers if answer)
    assert text.count("✓") == right + 1
    assert text.count("✗") == 16 - right + 1
    assert "published" not in text


def test_without_any_comparison_every_model_is_missing_and_nothing_fails():
    for name in QUALITATIVE:
        figure = qualitative(name, [])
        assert not figure.rows
        assert not any(column.run for column in figure.columns)
        assert "not run" in words(report(name, [], "svg"))
        assert min(Image.open(io.BytesIO(report(name, [], "png"))).size) > 150


@pytest.mark.slow
def test_published_answers_are_shown_only_when_asked_for_and_marked(made, pictures):
    plain = words(report("figure8", [], "svg", comparisons=made, pictures=pictures))
    both = words(report("figure8", [], "svg", comparisons=made, pictures=pictures, with_published=True))
    for answer in ("Anger (0.28)", "Sadness (0.79)", "Love (0.46)"):
        assert answer not in plain
        assert answer in both
    assert "published" in both
    again = report("figure8", [], "svg", comparisons=made, pictures=pictures, with_published=True)
    assert words(again) == both
    pdf = report("figure8", [], "pdf", comparisons=made, pictures=pictures)
    assert pdf.startswith(b"%PDF")


@pytest.mark.slow
def test_the_paper_s_task_goes_first_then_real_data_then_the_newest(done):
    result = done[1]

    def made(run: str, **facts: object) -> Comparison:
        return Comparison(run=run, result=result.model_copy(update=facts))

    newest, real = made("newest"), made("real", synthetic=False)
    older = made("older, on the task", task="UnbiasedEmotion")
    assert qualitative("figure7", [newest, made("older")]).run == "newest"
    assert qualitative("figure7", [newest, real]).run == "real"
    assert qualitative("figure7", [newest, real, older]).run == "older, on the task"


def test_the_published_answers_are_right_or_wrong_by_their_label():
    rows = published_qualitative("figure8").rows
    assert [[answer.right for answer in row.answers] for row in rows] == [
        [True, True, True, True],
        [False, False, False, True],
        [True, False, False, False],
    ]
    with pytest.raises(BadInput, match="figure7, figure8"):
        published_qualitative("figure3")


def test_there_are_as_many_roles_as_predictors_are_allowed():
    assert len(COMPARED) == len(set(COMPARED)) == 6
