"""What decides a run's queue."""

import pytest

from backend.store.runs.queues import PREDICT_QUEUE, QUEUES, RUN_QUEUES, queue_of
from vise_core.specs.stages import STAGES


@pytest.mark.parametrize(("stage", "queue"), [("ingest", "cpu"), ("pretrain", "gpu"), (None, "none")])
def test_a_run_waits_in_the_queue_of_its_stage(stage: str | None, queue: str) -> None:
    assert queue_of(stage) == queue


def test_the_queues_are_those_of_the_stages_and_of_predictions() -> None:
    assert set(RUN_QUEUES) == {stage.queue for stage in STAGES.values()}
    assert (*RUN_QUEUES, PREDICT_QUEUE) == QUEUES
