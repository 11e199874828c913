"""Figures 3-6 from our own runs."""

import io
import re

import pytest
from PIL import Image
from results import evaluation

from vise_core.report import figure, observe_all, report
from vise_core.report.published import FIGURES, published_figure

TUNED = {"protocol": "fine-tuned"}
MEMES = {"task": "Hateful Memes", "metric": "roc_auc", "test": False, "secondary": "accuracy"}


def observations(*results):
    return observe_all((f"run-{i}", result) for i, result in enumerate(results))


@pytest.mark.parametrize("name", FIGURES)
def test_without_a_run_every_point_is_missing_and_drawn_as_not_run(name: str):
    made = figure(name, [])
    assert [len(p.points) for p in made.panels] == [len(p.points) for p in published_figure(name).panels]
    assert all(point.mean is None for panel in made.panels for point in panel.points)
    assert "not run" in report(name, [], "svg").decode()


def test_bars_and_dashed_lines_are_ours():
    made = figure("figure3", observations(evaluation("VisE-1.2M", [40.0, 44.0]), evaluation("Mine", [50.0])))
    panel = made.panels[0]
    (vise,) = [p for p in panel.points if (p.method, p.backbone) == ("VisE-1.2M", "resnet50")]
    assert (vise.mean, vise.std, vise.n) == (42, pytest.approx(8**0.5), 2)
    assert vise.published == 45.74
    assert panel.points[-1].method == "Mine"
    (line,) = [p for p in panel.lines if (p.method, p.backbone) == ("VisE-1.2M", "resnet50")]
    assert line.mean == 42
    assert all(p.mean is None for p in made.panels[1].points), "no run of Politics"


def test_data_size_is_what_we_pretrained_on_where_known():
    made = figure("figure4", observations(evaluation("VisE-123k", [40.0], pretrained_on=123, **TUNED)))
    (small,) = [p for p in made.panels[0].points if p.method == "VisE-123k"]
    assert small.data_size == 123
    made = figure("figure4", observations(evaluation("IN-Sup", [40.0], **TUNED)))
    (imagenet,) = [p for p in made.panels[0].points if p.method == "IN-Sup"]
    assert imagenet.data_size == 1.28e6


def test_setups_of_memes_go_to_their_panels():
    made = figure(
        "figure6",
        observations(
            evaluation("CLIP", [0.61], setup="image+text", **TUNED, **MEMES),
            evaluation("CLIP", [0.60], setup="image", **MEMES),
            evaluation("Text Only", [0.59], setup="text", **MEMES),
        ),
    )
    means = {panel.key: [p.mean for p in panel.points if p.mean is not None] for panel in made.panels}
    assert means == {"a": [0.61], "b": [], "c": [], "d": [0.60], "text-fine-tuned": [], "text-linear": [0.59]}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.slow
def test_pictures_open_say_whose_numbers_they_show_and_are_the_same_each_time(name: str):
    seen = observations(
        *(evaluation(m, [40.0, 42.0], protocol=p, synthetic=True) for m in ("IN-Sup", "VisE-1.2M") for p in ("linear", "fine-tuned")),
        evaluation("CLIP", [0.6], setup="image", synthetic=True, **TUNED, **MEMES),
    )  # fmt: skip
    text = " ".join(re.sub(r"<[^>]+>", " ", report(name, seen, "svg").decode()).split())
    assert "from our own runs" in text
    assert "generated, not real" in text
    assert "published" not in text
    both = report(name, seen, "svg", with_published=True).decode()
    assert "published, the paper's own" in both
    assert report(name, seen, "svg") == report(name, seen, "svg")
    picture = Image.open(io.BytesIO(report(name, seen, "png")))
    assert min(picture.size) > 300
    assert report(name, seen, "pdf").startswith(b"%PDF")
