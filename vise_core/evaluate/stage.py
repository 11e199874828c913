"""The stage ``evaluate``: a backbone and a task in, mean and std of the metric over splits out (Sec. 4.2)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vise_core.errors import MissingInput
from vise_core.evaluate.finetune.finetune import evaluate_finetuned
from vise_core.evaluate.linear.linear import evaluate_linear
from vise_core.files.hashing import file_digests
from vise_core.formats.checkpoint import read_checkpoint_card, row_of
from vise_core.integrity.cache import default_cache
from vise_core.integrity.evaluation import check_evaluation, log_checks
from vise_core.limits import limited_data
from vise_core.models import checkpoint
from vise_core.models import weights as catalogue
from vise_core.models.backbones import Backbone, build_backbone
from vise_core.reporter import Reporter
from vise_core.specs.evaluate import EvaluateResult, EvaluateSpec
from vise_core.specs.evaluation.results import GridParameter, Secondary
from vise_core.specs.evaluation.setups import CatalogueWeights, RandomWeights
from vise_core.specs.tasks.catalogue import secondary_metrics
from vise_core.specs.tasks.metrics import format_metric
from vise_core.tasks import LabelledImages, Split, open_task, require_usable, unreadable_images
from vise_core.tasks.identity import evaluation_data, split_parts
from vise_core.tasks.inventory import take_inventory
from vise_core.tasks.usable import Problem
from vise_core.training.distributed import process_device
from vise_core.training.precision import amp_dtype
from vise_core.training.state import SavedState

from .cache import features_cache
from .grid import mean_and_std, split_result
from .job import Job, Outcome
from .origin import weights_origin
from .outputs import publish
from .texts import load_texts


class LoadedWeights(NamedTuple):
    """The backbone to evaluate.

    Attributes
    ----------
    backbone: None where no image is read.
    row: the name of its row in tables.
    name: the name of its weights: random, pretrained, or that of published ones.
    synthetic: whether it was pretrained on sample data.
    """

    backbone: Backbone | None
    row: str
    name: str
    synthetic: bool


def run(spec: EvaluateSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> EvaluateResult:
    """Train the grid on every split, choose on val, report test (Sec. 4.2, App. C.3).

    Artifacts: ``result``, ``predictions``, and ``predictor`` where images alone are read. Resumes from
    ``workspace/state``. Raises BadInput for a task or checkpoint that cannot be used, Diverged where no point of a
    split's grid can be chosen, MissingInput, Stopped.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    device = process_device(spec.compute.device)
    amp_dtype(spec.compute.amp, device)  # Raises before anything is read.
    weights = load_weights(spec, inputs, reporter)
    state = SavedState(workspace, reporter)
    images, splits = _read_task(spec, inputs["dataset"], state, reporter)
    texts = load_texts(inputs.get("text_encoder"), images, reporter) if spec.reads_texts else None
    _log_task(spec, inputs["dataset"], images, splits, reporter)
    digests = file_digests(images.paths, threads=max(2, spec.compute.loader_workers))
    integrity = check_evaluation(images, splits, digests, cache=default_cache())
    log_checks(integrity, reporter)
    job = Job(
        spec=spec,
        images=images,
        splits=splits,
        backbone=weights.backbone,
        texts=texts,
        image_size=spec.image_size or (weights.backbone.image_size if weights.backbone else 0),
        device=device,
        workspace=workspace,
        reporter=reporter,
        state=state,
        cache=features_cache(),
        digests=digests,
    )
    outcomes, classifier = (evaluate_linear if spec.protocol == "linear" else evaluate_finetuned)(job)
    result = summarise(job, weights, outcomes).model_copy(
        update={
            "integrity": integrity,
            **weights_origin(spec, inputs),
        }
    )
    publish(job, result, outcomes, classifier)
    _log_result(result, reporter, len(splits))
    return result


def _read_task(
    spec: EvaluateSpec, dataset: Path, state: SavedState, reporter: Reporter
) -> tuple[LabelledImages, list[Split]]:
    """Return the task's images and splits. Raises BadInput where the task cannot be evaluated."""
    with limited_data(path for path in dataset.rglob("*") if path.is_file()):
        images, missing = open_task(spec.task, dataset)

    def unreadable() -> list[Problem]:
        if state.facts or images is None:  # A resumed run has read the images.
            return []
        reporter.log(
            f"{images.name}: {len(images)} images of {len(images.classes)} classes; reading each once"
        )
        return unreadable_images(images, workers=max(2, spec.compute.loader_workers))

    splits = require_usable(spec.task, images, missing, spec.splits, unreadable)
    assert images is not None
    return images, splits


def _log_task(
    spec: EvaluateSpec, dataset: Path, images: LabelledImages, splits: list[Split], reporter: Reporter
) -> None:
    """Log skipped images, warnings about the data, and how the splits are made."""
    if images.unlabelled:
        reporter.log(f"{images.name}: {images.unlabelled} test images have no label and are left out")
    for sentence in (*images.notes, *take_inventory(dataset, images).warnings()):
        reporter.log(f"{images.name}: {sentence}", level="warning")
    if images.published is None:
        sampling = "stratified by class" if spec.splits.stratify else "not stratified, as in the paper"
        reporter.log(f"{images.name}: {len(splits)} random splits, {sampling}")
    elif "val" not in images.published and len(splits[0].val):
        reporter.log(
            f"{images.name}: the published split has no val images: in each of {len(splits)} split(s) "
            f"{len(splits[0].val)} of the train images, drawn at random, are val instead"
        )
    for number, split in enumerate(splits):
        unseen = set(range(len(images.classes))) - set(np.unique(images.labels[split.train]).tolist())
        if unseen:
            names = ", ".join(images.classes[c] for c in sorted(unseen))
            reporter.log(f"split {number}: no training image of {names}", level="warning")


def load_weights(spec: EvaluateSpec, inputs: dict[str, Path], reporter: Reporter) -> LoadedWeights:
    """Load the backbone of the spec. Raises MissingInput where its checkpoint is not given, and BadInput."""
    if not spec.reads_images:
        return LoadedWeights(None, "Text Only", "none", False)
    chosen = spec.weights
    if isinstance(chosen, RandomWeights):
        return LoadedWeights(build_backbone(chosen.backbone, seed=spec.seed), "Random Init", "random", False)
    if isinstance(chosen, CatalogueWeights):
        entry = catalogue.find(chosen.name, chosen.backbone)

        def progress(done: int, total: int | None) -> None:
            reporter.progress(done, total, "bytes", phase=f"downloading {chosen.name}")

        backbone = catalogue.load(chosen.name, chosen.backbone, progress=progress)
        return LoadedWeights(backbone, entry.row, chosen.name, False)
    if "checkpoint" not in inputs:
        raise MissingInput("weights.kind is pretrained: give the input 'checkpoint', made by pretrain")
    card = read_checkpoint_card(inputs["checkpoint"])
    name = card.source.format if card.source else "pretrained"
    return LoadedWeights(checkpoint.load_backbone(inputs["checkpoint"]), row_of(card), name, card.synthetic)


def summarise(job: Job, weights: LoadedWeights, outcomes: list[Outcome]) -> EvaluateResult:
    """Return the result: each split's chosen point, and mean ± sample std (ddof 1) over splits."""
    splits = [
        split_result(number, outcome.points, split.sizes, split_parts(split, job.digests))
        for number, (outcome, split) in enumerate(zip(outcomes, job.splits, strict=True))
    ]
    chosen = [split.chosen for split in splits]
    main = _over_splits(
        [p.val for p in chosen if p.val is not None], [p.test for p in chosen if p.test is not None]
    )
    secondary = {
        name: _over_splits(
            [p.val_secondary[name] for p in chosen],
            [p.test_secondary[name] for p in chosen if p.test is not None],
        )
        for name in secondary_metrics(job.spec.task)
    }
    return EvaluateResult(
        synthetic=job.images.synthetic or weights.synthetic,
        method=job.spec.method or weights.row,
        backbone=weights.backbone.name if weights.backbone else "none",
        weights=weights.name,
        task=job.images.name,
        classes=job.images.classes,
        protocol=job.spec.protocol,
        setup=job.spec.setup,
        text_tower=job.texts.tower if job.texts else None,
        features="none" if weights.backbone is None else "augmented" if job.spec.augment else "cached",
        metric=job.metric,
        **main.model_dump(),
        secondary=secondary,
        splits=tuple(splits),
        data=evaluation_data(job.images, job.splits, job.digests, texts=job.spec.reads_texts),
        batch=job.spec.batch,
        gpus=int(job.device.type == "cuda"),
    )


def _over_splits(val: list[float], test: list[float]) -> Secondary:
    val_mean, val_std = mean_and_std(val)
    test_mean, test_std = mean_and_std(test) if test else (None, None)
    return Secondary(val_mean=val_mean, val_std=val_std, test_mean=test_mean, test_std=test_std)


def _log_result(result: EvaluateResult, reporter: Reporter, splits: int) -> None:
    on, mean, std = (
        ("val", result.val_mean, result.val_std)
        if result.test_mean is None
        else ("test", result.test_mean, result.test_std)
    )
    sample = "" if std is None else " (sample std)"
    reporter.log(
        f"{result.method}: {on} {format_metric(result.metric, mean, std)}{sample} over {splits} split(s)"
    )
    fields: dict[GridParameter, str] = {"base_lr": "base_lrs", "weight_decay": "weight_decays"}
    for parameter, field in fields.items():
        for end, beyond in (("lowest", "lower"), ("highest", "higher")):
            edge_splits = [str(split.split) for split in result.splits if split.edges.get(parameter) == end]
            if edge_splits:
                reporter.log(
                    f"the chosen {parameter} is the {end} of the grid in split {', '.join(edge_splits)}: a {beyond} value may be "
                    f"better; extend {field}",
                    level="warning",
                )
