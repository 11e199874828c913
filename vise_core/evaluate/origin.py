"""Origin of the evaluated weights: licence and training data, for the model card."""

from __future__ import annotations

from pathlib import Path

from vise_core.formats.checkpoint import Source, read_checkpoint_card
from vise_core.models import weights
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.setups import CatalogueWeights, PretrainedWeights


def weights_origin(spec: EvaluateSpec, inputs: dict[str, Path]) -> dict[str, str]:
    """Return fields of the result: licence and training data of published weights; empty for our own and random ones."""
    source: Source | weights.WeightsEntry | None = None
    if isinstance(spec.weights, CatalogueWeights):
        source = weights.find(spec.weights.name, spec.weights.backbone)
    elif isinstance(spec.weights, PretrainedWeights) and "checkpoint" in inputs:
        source = read_checkpoint_card(inputs["checkpoint"]).source
    if source is None:
        return {}
    return {"weights_licence": source.licence, "weights_trained_on": source.trained_on}
