"""The published figures are the tables' numbers, as far as tables have them."""

from vise_core.report.published import FIGURES, published, published_figure
from vise_core.report.published.figures import read_size


def test_points_of_figures_are_the_tables_numbers() -> None:
    for name in FIGURES:
        for panel in published_figure(name).panels:
            assert panel.points
            names = [(point.backbone, point.method) for point in panel.points]
            assert len(set(names)) == len(names)
            for point in panel.points + panel.lines:
                assert point.illegible == (point.value is None)
                if point.place is None:
                    assert point.illegible or point.source
                    continue
                cell = published(point.place.table).cell(point.place.row, point.place.column)
                assert (point.value, point.std) == (cell.value, cell.std)
                assert (point.backbone, point.method) == (cell.backbone, cell.method)
                assert (panel.task, panel.protocol, panel.setup) == (cell.task, cell.protocol, cell.setup)
                assert (panel.split, panel.metric, panel.unit) == (cell.split, cell.metric, cell.unit)


def test_figure_3_has_each_method_and_two_lines_a_backbone() -> None:
    panels = published_figure("figure3").panels
    assert [panel.protocol for panel in panels] == ["linear"] * 3 + ["fine-tuned"] * 3
    for panel in panels:
        assert len(panel.points) == 15
        lines = [(line.backbone, line.method) for line in panel.lines]
        assert lines[:2] == [("resnet50", "VisE-1.2M"), ("resnet50", "VisE-250M")]
        assert lines[2:] == [("resnext101_32x16d", "VisE-1.2M"), ("resnext101_32x16d", "VisE-250M")]


def test_figure_4_puts_methods_at_the_sizes_of_table_1() -> None:
    sizes = {row.method: row.cells[4].rstrip("*").split(" + ")[0] for row in published("table1").rows}
    sizes["Random Init"] = ""
    for panel in published_figure("figure4").panels:
        for point in panel.points:
            method = "ICMLM" if point.method.startswith("ICMLM") else point.method
            if point.illegible:
                assert point.data_size in (123e3, 308e3, 615e3)
            else:
                expected = read_size(sizes[method]) if sizes[method] else None
                assert point.data_size == expected


def test_figure_5_bears_out_the_sentence_that_tells_which_set_is_drawn() -> None:
    """Sec. 5.1: VisE-1.2M is better than Random Init and IN-Sup across all three backbones and tasks."""
    for panel in published_figure("figure5").panels:
        value = {(point.backbone, point.method): point.value for point in panel.points}
        for backbone in ("resnet50", "resnet101", "resnext101_32x16d"):
            assert value[backbone, "VisE-1.2M"] > value[backbone, "IN-Sup"]
            assert value[backbone, "VisE-1.2M"] > value[backbone, "Random Init"]


def test_figure_6_has_four_setups_and_text_alone() -> None:
    panels = {panel.key: panel for panel in published_figure("figure6").panels}
    setups = {key: (panel.setup, panel.protocol) for key, panel in panels.items()}
    assert setups == {
        "a": ("image+text", "fine-tuned"),
        "b": ("image+text-frozen", "fine-tuned"),
        "c": ("image", "fine-tuned"),
        "d": ("image", "linear"),
        "text-fine-tuned": ("text", "fine-tuned"),
        "text-linear": ("text", "linear"),
    }
    # The methods of Tables 14–16.
    for key, table in (("a", "table14"), ("c", "table15"), ("d", "table16")):
        rows = {(row.backbone, row.method) for row in published(table).rows}
        assert {(point.backbone, point.method) for point in panels[key].points} == rows
        assert all(point.illegible for point in panels[key].points)
    assert [panels[key].points[0].value for key in ("text-fine-tuned", "text-linear")] == [0.6363, 0.5983]
