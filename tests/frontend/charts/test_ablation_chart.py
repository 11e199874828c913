"""The chart of an ablation: what was run is drawn with its spread, what was not leaves its place empty."""

from datetime import UTC, datetime
from uuid import uuid4

from frontend.charts.ablation_chart import Reference, ablation_chart
from vise_client.schemas.ablations import AblationPoint, AblationView
from vise_client.schemas.run_states import RunState


def point(number: int, label: str, position: float | None, mean: float | None, **facts) -> AblationPoint:
    state = "missing" if mean is None else RunState.succeeded
    return AblationPoint(
        number=number, label=label, position=position, changes={}, baseline=False, state=state,
        run=None, parent=None, mean=mean, **facts,
    )  # fmt: skip


def view(points: list[AblationPoint], *, log: bool) -> AblationView:
    return AblationView(
        id=uuid4(), name="mine", kind="data-size", baseline=uuid4(), created_by=None,
        created_at=datetime.now(UTC), title="Data size", axis="posts", log=log, method="VisE", backbone="resnet50",
        task="Politics", protocol="linear", metric="accuracy", on="test", synthetic=False, points=points,
    )  # fmt: skip


def test_points_stand_in_order_on_a_log_axis_with_error_bars() -> None:
    points = [
        point(0, "1,000", 1000, 60, std=2, n=5),
        point(1, "100", 100, 50, std=None, n=1),
        point(2, "10", 10, None),
    ]
    chart = ablation_chart(view(points, log=True), [], dark=False)
    (trace,) = chart.data
    assert list(trace.x) == [100, 1000]
    assert list(trace.y) == [50, 60]
    assert list(trace.error_y.array) == [0, 2]
    assert chart.layout.xaxis.type == "log"
    assert chart.layout.yaxis.title.text == "accuracy, % on test"


def test_a_place_is_kept_for_what_is_missing() -> None:
    points = [point(0, "both", None, 60), point(1, "comments", None, None)]
    chart = ablation_chart(view(points, log=False), [], dark=True)
    assert list(chart.layout.xaxis.categoryarray) == ["both", "comments"]
    assert list(chart.data[0].x) == ["both"]


def test_lines_to_compare_with_say_which_are_published() -> None:
    lines = [Reference("IN-Sup", 55, False), Reference("IN-Sup", 59.45, True)]
    chart = ablation_chart(view([point(0, "a", None, 1)], log=False), lines, dark=False)
    assert [note.text for note in chart.layout.annotations] == ["IN-Sup", "IN-Sup, published"]
    assert [shape.y0 for shape in chart.layout.shapes] == [55, 59.45]
