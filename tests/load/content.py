"""What the stack holds before the clients come, and what of it they read."""

from __future__ import annotations

import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.hostile.case import labelled, picture, zipped
from vise_client.client import ViseClient
from vise_client.schemas.ablations import AblationCreate
from vise_client.schemas.datasets import DatasetCreate
from vise_client.schemas.engagement import EngagementView
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_client.schemas.predictions import FeedbackCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.recipes.inputs import InputRef

RECIPE_SECONDS, SURVEY_SECONDS = 600.0, 120.0


@dataclass
class Content:
    """Ids of what is in the stack, by what they are ids of."""

    ids: dict[str, list[UUID]] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)
    labelled: UUID | None = None

    def values(self, path: str) -> list[dict[str, Any]]:
        """Return values for the parameters of a route's path; none where the stack has nothing that it names."""
        names = re.findall(r"\{(\w+)\}", path)
        if not names:
            return [{}]
        if path.startswith("/explorers"):
            kinds = [{"kind": kind, "cluster": 0} for kind in ("comments", "reactions")]
            return [{"artifact_id": id} | kind for id in self.ids.get("explorer", ()) for kind in kinds]
        if path.startswith("/reports"):
            return [{"name": name} for name in self.reports]
        if path.endswith("/changes"):
            return [{"dataset_id": id} for id in self.ids["folder"]]
        (name,) = names
        return [{name: id} for id in self.ids[name.removesuffix("_id")]]

    def query(self, path: str) -> dict[str, str] | None:
        """Return the query that a route needs; None where the stack has nothing to name in it."""
        if path == "/inputs":
            return {"artifact": "predictor"}
        if path == "/changeable":
            return {"kind": "run", "id": str(self.ids["run"][0])} if self.ids["run"] else None
        if path == "/reports/results/data":
            # 404 where nothing has been evaluated.
            return {} if self.ids.get("evaluation") else None
        if path == "/reports/paired":
            pair = self.ids.get("evaluation", [])[:2]
            return dict(zip("ab", map(str, pair), strict=True)) if len(pair) == 2 else None
        return {}


def fill(vise: ViseClient, data_root: Path, *, recipe: bool) -> Content:
    """Make data sets, predictions and labels of them; with ``recipe`` all that the sample recipe makes."""
    content = Content()
    (data_root / "folder").mkdir(parents=True)
    for name, data in labelled(24).items():
        path = data_root / "folder" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    folder = vise.register_dataset(DatasetCreate(name="folder", kind="images", folder="folder"))
    upload = vise.upload_dataset("upload", "upload.zip", io.BytesIO(zipped(labelled(24))), kind="images")
    recipe_run = vise.create_recipe(RecipeCreate(recipe="sample")) if recipe else None
    for view in (folder, upload):
        _wait_for_survey(vise, view.id)
    content.labelled = upload.id
    predictions = [vise.predict(picture("JPEG", shade=shade), keep=True, wait=60) for shade in range(10)]
    vise.give_feedback(predictions[0].id, FeedbackCreate(label="a"))
    ids = content.ids
    if recipe_run is not None:
        done = _succeeded(vise.wait_for(recipe_run.id, timeout=RECIPE_SECONDS))
        ids["evaluation"] = [run.id for run in done.children if run.stage == "evaluate"]
        ids["explorer"] = [explorer.artifact_id for explorer in vise.explorers()]
        baseline = next(run.id for run in done.children if run.step == "vise")
        vise.create_ablation(AblationCreate(name="pretext", kind="pretext", baseline=baseline))
        engagement: EngagementView = vise.predict_engagement(picture("JPEG"), wait=60)
        ids["engagement"] = [engagement.id]
    ids["run"] = [run.id for run in vise.runs(all=True, limit=100).items]
    ids["folder"] = [folder.id]
    ids["dataset"] = [view.id for view in vise.datasets()]
    ids["model"] = [model.id for model in vise.models()]
    ids["prediction"] = [view.id for view in predictions]
    ids["ablation"] = [ablation.id for ablation in vise.ablations()]
    ids["removal"] = [removal.id for removal in vise.removals().items]
    ids["user"] = [user.id for user in vise.users()]
    ids.setdefault("engagement", [])
    of_runs = [vise.run_artifacts(run) for run in ids["run"][:20]]
    ids["artifact"] = [artifact.id for artifacts in of_runs for artifact in artifacts]
    content.reports = [report.name for report in vise.reports()]
    return content


def start_training(vise: ViseClient, content: Content, runs: int) -> list[RunView]:
    """Start runs that fine-tune a network for longer than any test takes."""
    assert content.labelled is not None
    body = RunCreate(
        stage="evaluate",
        spec={
            "task": {"kind": "folder", "name": "load"},
            "weights": {"kind": "random", "backbone": "resnet18"},
            "protocol": "fine-tuned",
            "image_size": 32,
            "batch": 16,
            "epochs": 10_000,
        },
        inputs={"dataset": InputRef(dataset=content.labelled)},
    )
    return [vise.create_run(body.model_copy(update={"name": f"load {n}"})) for n in range(runs)]


def _wait_for_survey(vise: ViseClient, dataset: UUID) -> None:
    until = time.monotonic() + SURVEY_SECONDS
    while (view := vise.dataset(dataset)).version is None:
        if view.state == "failed" or time.monotonic() > until:
            raise RuntimeError(
                f"data set {view.name} is {view.state}, its survey {view.survey_state}: {view.reason}"
            )
        time.sleep(0.5)


def _succeeded(run: RunView) -> RunView:
    if run.state.value != "succeeded":
        raise RuntimeError(f"{run.name}: {run.state}: {run.reason} {run.error or ''}")
    return run
