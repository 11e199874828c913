"""What a panel's chart says: the two renderers draw it and decide nothing themselves."""

from results import evaluation

from vise_core.report import Selection, figure, observe_all, select_figure
from vise_core.report.chart import COMPARED, VISE

TUNED = {"protocol": "fine-tuned"}


def charts(name: str, *results):
    return [p.chart for p in figure(name, observe_all((f"run-{i}", r) for i, r in enumerate(results))).panels]


def test_bars_have_a_style_by_role_and_a_reference_line_for_each_vise_model():
    chart = charts("figure3", evaluation("VisE-1.2M", [40.0, 44.0]), evaluation("Mine", [50.0]))[0]
    assert [(series.name, series.style) for series in chart.series] == [
        ("VisE", VISE),
        ("compared", COMPARED),
    ]
    (vise,) = [mark for mark in chart.shown(published=False) if mark.label == "VisE-1.2M, ResNet-50"]
    assert (vise.value, vise.published, vise.run) == (42, 45.74, "run-0")
    assert [(line.label, line.value, line.dash) for line in chart.references] == [
        ("VisE-1.2M, ResNet-50", 42, "dash")
    ]
    assert chart.position.categories[-1] == "Mine, ResNet-50"
    assert (chart.score.title, chart.score.start) == ("accuracy, %", None)


def test_bars_of_roc_auc_start_near_chance():
    assert charts("figure3")[2].score.start == 0.45


def test_over_data_size_vise_is_one_connected_series_and_random_init_a_line():
    models = [
        evaluation(m, [40.0], **TUNED) for m in ("VisE-250M", "VisE-1.2M", "IN-Sup", "Random Init", "Mine")
    ]
    chart = charts("figure4", *models)[0]
    styles = {series.name: (series.style, series.connected) for series in chart.series}
    assert styles["VisE"] == (VISE, True)
    assert styles["IN-Sup"] == (2, False)
    vise = [mark for mark in chart.series[0].marks if mark.shows(published=False)]
    assert [mark.at for mark in vise] == [1.23e6, 2.5e8]
    assert [(line.label, line.dash) for line in chart.references] == [("Random Init", "dot")]
    assert chart.position.scale == "log"


def test_over_backbones_each_method_is_connected_over_the_same_categories():
    chart = charts("figure5", evaluation("VisE-1.2M", [40.0], **TUNED))[0]
    assert chart.position.categories == ("ResNet-50", "ResNet-101", "ResNeXt-101 32x16d")
    assert [(series.name, series.style) for series in chart.series] == [
        ("IN-Sup", 0), ("Random Init", 1), ("VisE-1.2M", 2),
    ]  # fmt: skip
    assert all(series.connected for series in chart.series)


def test_a_selection_is_described_anew():
    whole = figure("figure3", observe_all([("run", evaluation("VisE-1.2M", [40.0]))]))
    (panel, *_) = select_figure(whole, Selection(method="VisE-1.2M")).panels
    assert {mark.label.split(",")[0] for series in panel.chart.series for mark in series.marks} == {
        "VisE-1.2M"
    }
