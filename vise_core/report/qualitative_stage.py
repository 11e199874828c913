"""The stage that compares predictors on the same images and draws Figures 7 and 8."""

from __future__ import annotations

from pathlib import Path

import torch

from vise_core.device import pick_device
from vise_core.explain.side_by_side import compare
from vise_core.models.classifier import load_classifier
from vise_core.reporter import Reporter
from vise_core.specs.qualitative import COMPARED, QualitativeResult, QualitativeSpec
from vise_core.tasks import load_task

from .draw_qualitative import draw_qualitative
from .published import QUALITATIVE
from .qualitative import Comparison, qualitative

THIS_RUN = "this run"


def run(
    spec: QualitativeSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter
) -> QualitativeResult:
    """Compare the predictors on up to ``limit`` images that none of them was trained on.

    Raises BadInput where data set and predictors do not fit, or no such image is left, and Stopped on request.
    """
    device = torch.device(pick_device(spec.compute.device))
    classifiers = {
        role: load_classifier(inputs[role]).to(device).requires_grad_(False)
        for role in COMPARED
        if role in inputs
    }
    images = load_task(spec.task, inputs["dataset"])
    folder, drawings = workspace / "comparison", workspace / "figure"
    folder.mkdir(parents=True, exist_ok=True)
    drawings.mkdir(exist_ok=True)
    result = compare(spec, classifiers, images, folder, reporter, device)
    (folder / "comparison.json").write_text(result.model_dump_json(indent=1) + "\n")
    for name in QUALITATIVE:
        figure = qualitative(name, [Comparison(run=THIS_RUN, result=result)])
        if figure.rows:
            for format in ("png", "svg", "pdf"):
                content = draw_qualitative(figure, format, lambda _, file: (folder / file).read_bytes())
                (drawings / f"{name}.{format}").write_bytes(content)
    reporter.artifact("comparison", folder)
    reporter.artifact("figure", drawings)
    return result
