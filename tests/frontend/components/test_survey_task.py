"""What the launch page starts with for a data set: the task that its survey found."""

import json
from datetime import UTC, datetime
from uuid import UUID

from frontend.components.survey_task import proposed_task, task_query
from vise_client.schemas.datasets import DatasetView
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.survey import SurveyResult
from vise_core.specs.tasks.kinds import CsvTask, FolderTask, Task


def data_set(task: Task | None) -> DatasetView:
    survey = SurveyResult(kind="images", layout=task.kind if task else "unknown", task=task)
    return DatasetView(
        id=UUID(int=1), name="d", kind="images", folder="d", run_id=None, survey_id=None, source="", description="",
        synthetic=False, created_at=datetime.now(UTC), survey=survey,
    )  # fmt: skip


def test_the_address_has_what_differs_from_the_defaults_and_makes_the_task_again() -> None:
    task = CsvTask(manifest="list.tsv", delimiter="\t", header=False, path_column="1", label_column="2")
    address = task_query(data_set(task))
    assert json.loads(address["spec"])["task"] == {
        "kind": "csv", "manifest": "list.tsv", "delimiter": "\t", "header": False, "path_column": "1",
        "label_column": "2",
    }  # fmt: skip
    assert EvaluateSpec.model_validate(json.loads(address["spec"])).task == task


def test_without_a_survey_nothing_is_said() -> None:
    assert task_query(data_set(None)) == {}
    assert proposed_task(data_set(FolderTask())) == {"kind": "folder"}
