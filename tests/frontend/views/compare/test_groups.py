"""Groups on the comparison page."""

from datetime import UTC, datetime
from uuid import UUID

from frontend.views.compare.groups import REPLICATED, UNGROUPED, group_names
from vise_client.schemas.comparison import ComparedRun, Comparison, Parameter
from vise_client.schemas.run_states import RunState


def comparison(data: list[str], lrs: list[float]) -> Comparison:
    runs = [
        ComparedRun(
            id=UUID(int=number),
            name="probe",
            stage="evaluate",
            state=RunState.succeeded,
            tags=[],
            synthetic=False,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            data=digest,
        )
        for number, digest in enumerate(data)
    ]
    parameters = [
        Parameter(path="base_lr", differs=True, values=lrs),
        Parameter(path="splits.seed", differs=True, values=list(range(len(data)))),
    ]
    return Comparison(runs=runs, missing=[], parameters=parameters, metrics={}, curves=[], importance=[])


def test_evaluations_of_different_data_share_no_group() -> None:
    cats, dogs = "aaaa1111" * 8, "bbbb2222" * 8
    compared = comparison([cats, dogs, cats], [0.1, 0.1, 0.1])
    for by in ("base_lr", REPLICATED):
        names = group_names(compared, by)
        assert names[0] == names[2] == "base_lr 0.1, data aaaa1111"
        assert names[1] == "base_lr 0.1, data bbbb2222"
    assert len(set(group_names(compared, UNGROUPED))) == 3


def test_seeds_and_splits_of_the_same_data_are_one_group() -> None:
    compared = comparison(["aaaa1111" * 8] * 2 + [""], [0.1, 0.1, 0.2])
    assert group_names(compared, REPLICATED) == ["base_lr 0.1", "base_lr 0.1", "base_lr 0.2"]
