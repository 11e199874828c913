"""The stage ``pretrain``: posts and labels in, a checkpoint out (Sec. 3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import nn

from vise_core.errors import MissingInput
from vise_core.formats.posts import ShardIndex
from vise_core.models.checkpoint import save_checkpoint
from vise_core.posts.exclusions import excluded_keys, log_exclusions
from vise_core.reporter import NullReporter, Reporter
from vise_core.specs.pretrain import PretrainResult, PretrainSpec
from vise_core.training.distributed import Group, process_device, process_group
from vise_core.training.precision import amp_dtype

from .labels import LabelTable, read_labels, unlabelled
from .objectives import OBJECTIVES
from .trainer import Trained, build_network, train


def run(spec: PretrainSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> PretrainResult:
    """Pretrain a backbone. Artifact: ``checkpoint``. Resumes exactly from ``workspace/state``.

    Raises MissingInput for an objective that needs labels without them, BadInput for a precision that the device does
    not have, for unusable posts or labels, Diverged where a loss, gradient or weight is not finite, and Stopped if the
    reporter asks to stop.
    """
    amp_dtype(spec.compute.amp, process_device(spec.compute.device))  # Raises before anything is read.
    posts, labels = _read(spec, inputs)
    unmatched = 0
    if "exclude" in inputs:
        names = excluded_keys(inputs["exclude"])
        unmatched = log_exclusions(reporter, len(names), sum(key in names for key in posts.keys()))  # noqa: SIM118
    with process_group(
        spec.compute.device, spec.compute.processes, _train_member, spec, inputs, workspace
    ) as group:
        if group.is_leader:
            usage = "have a label" if "labels" in inputs else "are used, without labels"
            reporter.log(
                f"{len(labels)} of {len(posts)} posts {usage}; "
                f"{len(labels) // spec.batch} iterations an epoch on {group.world} x {group.device.type}"
            )
            if spec.objective == "moco-v2" and group.world == 1:
                reporter.log(
                    "MoCo-v2 on one process: batch-norm is not shuffled, so pairs share batch statistics and the "
                    "features may be worse; set compute.processes to 2 or more for the published method",
                    level="warning",
                )
        trained = _train(
            spec, posts, labels, group, workspace, reporter if group.is_leader else NullReporter()
        )
    network = trained.network
    if group.is_leader:
        folder = workspace / "checkpoint"
        save_checkpoint(
            folder,
            network.backbone,
            {name: cast(nn.Linear, head) for name, head in network.heads.items()},
            image_size=spec.image_size,
            spec=spec.model_dump(mode="json"),
            synthetic=labels.synthetic,
        )
        reporter.artifact("checkpoint", folder)
    return PretrainResult(
        synthetic=labels.synthetic,
        backbone=spec.backbone,
        posts=len(labels),
        iterations=trained.iterations,
        final_loss=sum(trained.losses.values()),
        final_losses=trained.losses,
        final_measures=trained.measures,
        images_per_second=trained.images_per_second,
        excluded=labels.excluded,
        exclude_unmatched=unmatched,
    )


def _read(spec: PretrainSpec, inputs: dict[str, Path]) -> tuple[ShardIndex, LabelTable]:
    """Return the posts, and the labels of those to train on.

    Labels also select the posts: an objective that needs none uses the posts that VisE would use with the same
    labels, signals, limit and seed (Table 5: the same images), or every post where no labels are given. That may
    include the cluster subset, whose engagement cannot leak into an objective without labels.
    """
    posts = ShardIndex.open(inputs["posts"])
    exclude = excluded_keys(inputs.get("exclude"))
    if "labels" in inputs:
        return posts, read_labels(
            inputs["labels"],
            posts,
            spec.signals,
            limit=spec.posts_limit,
            seed=spec.seed,
            exclude=exclude,
        )
    if OBJECTIVES[spec.objective].needs_labels:
        raise MissingInput(f"objective is {spec.objective}: give the input 'labels', made by label")
    return posts, unlabelled(posts, limit=spec.posts_limit, seed=spec.seed, exclude=exclude)


def _train(
    spec: PretrainSpec,
    posts: ShardIndex,
    labels: LabelTable,
    group: Group,
    workspace: Path,
    reporter: Reporter,
) -> Trained:
    network = build_network(spec, labels.clusters, group)
    return train(spec, network, posts, labels, group, workspace, reporter)


def _train_member(group: Group, spec: PretrainSpec, inputs: dict[str, Path], workspace: Path) -> None:
    """Train in a process other than rank 0."""
    _train(spec, *_read(spec, inputs), group, workspace, NullReporter())
