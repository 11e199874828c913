"""The registry of stages."""

from __future__ import annotations

import importlib
import os
from typing import Any

from .base import Spec
from .cluster import ClusterResult, ClusterSpec
from .evaluate import EvaluateResult, EvaluateSpec
from .explain import ExplainResult, ExplainSpec
from .explore import ExploreResult, ExploreSpec
from .fetch import FetchSpec
from .import_weights import ImportResult, ImportSpec
from .ingest import IngestResult, IngestSpec
from .integrity import IntegrityResult, IntegritySpec
from .label import LabelResult, LabelSpec
from .pretrain import PretrainResult, PretrainSpec
from .qualitative import COMPARED, QualitativeResult, QualitativeSpec
from .sample_tasks import SampleTasksResult, SampleTasksSpec
from .stage import EXCLUDE, InputRole, StageEntry
from .survey import SurveyResult, SurveySpec
from .tasks.catalogue import TASKS

STAGES: dict[str, StageEntry] = {
    "ingest": StageEntry(
        title="Ingest",
        help="Read posts, check each, write shards.",
        runner="vise_core.posts.ingest:run",
        spec=IngestSpec,
        result=IngestResult,
        queue="cpu",
        inputs={
            "source": InputRole(
                help="Folder in the source's layout; none for sample data.", artifact="source", required=False
            )
        },
        outputs={
            "posts": "Tar shards of checked posts.",
            "report": "What was refused or repaired, and why.",
            "evaluation_set": "Sample data only: six-emotion images, with masks.",
        },
    ),
    "fetch": StageEntry(
        title="Bring in data",
        help="Unpack an uploaded archive, or download one, check every file, and look through it.",
        runner="vise_core.data.fetch:run",
        spec=FetchSpec,
        result=SurveyResult,
        queue="cpu",
        inputs={
            "archive": InputRole(
                help="An uploaded zip or tar; none where a url is given.", artifact="upload", required=False
            )
        },
        outputs={"data": "The files, unpacked.", "survey": "Counts, what cannot be read, thumbnails."},
    ),
    "survey": StageEntry(
        title="Look through data",
        help="Count a data set, tell what cannot be read and how even its labels are, make thumbnails.",
        runner="vise_core.data.survey:run",
        spec=SurveySpec,
        result=SurveyResult,
        queue="cpu",
        inputs={
            "dataset": InputRole(
                help="Labelled images, posts, or shards made by ingest.",
                artifact="evaluation_set",
                also=(*TASKS, "posts", "data"),
            )
        },
        outputs={"survey": "Counts, what cannot be read, thumbnails."},
    ),
    "sample_tasks": StageEntry(
        title="Sample tasks",
        help="Write synthetic stand-ins for the paper's downstream tasks, in their published layouts.",
        runner="vise_core.tasks.sample:run",
        spec=SampleTasksSpec,
        result=SampleTasksResult,
        queue="cpu",
        outputs={kind: f"{entry.title}: {entry.layout}." for kind, entry in TASKS.items()},
    ),
    "cluster": StageEntry(
        title="Cluster",
        help="Fit the comment and reaction clusterers on the cluster subset.",
        runner="vise_core.engagement.cluster:run",
        spec=ClusterSpec,
        result=ClusterResult,
        queue="cpu",
        inputs={
            "posts": InputRole(help="Shards made by ingest.", artifact="posts"),
            "text_encoder": InputRole(
                help="For comments.extractor.kind sentence: a folder with a sentence encoder as transformers saves "
                "it. Without: the packaged all-MiniLM-L6-v2.",
                artifact="text_encoder",
                required=False,
            ),
        },
        outputs={
            "clusterer": "Frozen comment features and centroids.",
            "inspection": "Terms, sizes and examples.",
        },
    ),
    "label": StageEntry(
        title="Label",
        help="Give each post of the pretrain subset its pseudo-labels.",
        runner="vise_core.engagement.label:run",
        spec=LabelSpec,
        result=LabelResult,
        queue="cpu",
        inputs={
            "posts": InputRole(help="Shards made by ingest.", artifact="posts"),
            "clusterer": InputRole(help="Made by cluster.", artifact="clusterer"),
            "exclude": EXCLUDE,
        },
        outputs={"labels": "One Parquet file a shard."},
        speed_only=("compute.processes", "compute.loader_workers"),
    ),
    "explore": StageEntry(
        title="Explore clusters",
        help="Gather what each cluster is about, and how comment and reaction labels agree.",
        runner="vise_core.engagement.explore.stage:run",
        spec=ExploreSpec,
        result=ExploreResult,
        queue="cpu",
        inputs={
            "posts": InputRole(help="Shards made by ingest.", artifact="posts"),
            "clusterer": InputRole(help="Made by cluster.", artifact="clusterer"),
            "labels": InputRole(
                help="Made by label; without, every post is labelled anew.", artifact="labels", required=False
            ),
        },
        outputs={"explorer": "Clusters with terms, samples and a map; entropy and agreement of labels."},
    ),
    "pretrain": StageEntry(
        title="Pretrain",
        help="Train a backbone to predict the pseudo-labels.",
        runner="vise_core.pretrain.stage:run",
        spec=PretrainSpec,
        result=PretrainResult,
        queue="gpu",
        inputs={
            "posts": InputRole(help="Shards made by ingest.", artifact="posts"),
            "labels": InputRole(
                help="Made by label; MoCo-v2 needs none, and with them takes the same posts as VisE.",
                artifact="labels",
                required=False,
            ),
            "exclude": EXCLUDE,
        },
        outputs={"checkpoint": "Backbone and heads."},
        # Not compute.processes: batch statistics are those of each process's own images.
        speed_only=("compute.loader_workers", "checkpoint_seconds"),
    ),
    "import": StageEntry(
        title="Import weights",
        help="Take weights that somebody published into the system, every key accounted for.",
        runner="vise_core.models.import_stage:run",
        spec=ImportSpec,
        result=ImportResult,
        queue="cpu",
        inputs={
            "file": InputRole(
                help="The published file, the folder it lies in, or a checkpoint folder of another system like this.",
                artifact="weights",
            )
        },
        outputs={"checkpoint": "The backbone with its source."},
    ),
    "evaluate": StageEntry(
        title="Evaluate",
        help="Judge a backbone on a downstream task.",
        runner="vise_core.evaluate.stage:run",
        spec=EvaluateSpec,
        result=EvaluateResult,
        queue="gpu",
        inputs={
            "dataset": InputRole(
                help="Folder of labelled images.", artifact="evaluation_set", also=(*TASKS, "data")
            ),
            "checkpoint": InputRole(
                help="Made by pretrain; needed when weights.kind is pretrained.",
                artifact="checkpoint",
                required=False,
            ),
            "text_encoder": InputRole(
                help="For setups that read texts: a folder with a sentence encoder as transformers saves it, such as "
                "RoBERTa-base. Without: the packaged all-MiniLM-L6-v2.",
                artifact="text_encoder",
                required=False,
            ),
        },
        outputs={
            "result": "The full result.",
            "predictions": "Scores of every test image.",
            "predictor": "A classifier ready to answer; only of evaluations that read images alone.",
        },
        speed_only=("compute.loader_workers",),
    ),
    "integrity": StageEntry(
        title="Integrity checks",
        help="Look for copies, leaks and imbalance that make a result look better than it is.",
        runner="vise_core.integrity.stage:run",
        spec=IntegritySpec,
        result=IntegrityResult,
        queue="cpu",
        inputs={
            "dataset": InputRole(
                help="Folder of labelled images.", artifact="evaluation_set", also=(*TASKS, "data")
            ),
            "posts": InputRole(
                help="Shards made by ingest; are any of the data set's images among them?",
                artifact="posts",
                required=False,
            ),
            "labels": InputRole(
                help="Made by label; only posts with a label count as pretrained on.",
                artifact="labels",
                required=False,
            ),
            "clusterer": InputRole(
                help="Made by cluster; says which posts must have no label.",
                artifact="clusterer",
                required=False,
            ),
        },
        outputs={"integrity": "What each check found.", "pairs": "Pictures of the pairs that were found."},
    ),
    "explain": StageEntry(
        title="Explain",
        help="Draw and score class activation maps.",
        runner="vise_core.explain.stage:run",
        spec=ExplainSpec,
        result=ExplainResult,
        queue="gpu",
        inputs={
            "predictor": InputRole(help="Made by evaluate.", artifact="predictor"),
            "dataset": InputRole(
                help="Folder of labelled images.", artifact="evaluation_set", also=(*TASKS, "data")
            ),
        },
        outputs={"overlays": "PNG pictures.", "explanations": "What each picture shows."},
    ),
    "qualitative": StageEntry(
        title="Compare predictions",
        help="Show what several predictors say of the same images, and where they look (Figs. 7, 8).",
        runner="vise_core.report.qualitative_stage:run",
        spec=QualitativeSpec,
        result=QualitativeResult,
        queue="gpu",
        inputs={
            "dataset": InputRole(
                help="Folder of labelled images.", artifact="evaluation_set", also=tuple(TASKS)
            ),
            **{
                role: InputRole(
                    help=f"Column {number} of the figure.", artifact="predictor", required=number <= 2
                )
                for number, role in enumerate(COMPARED, 1)
            },
        },
        outputs={
            "comparison": "Pictures, overlays and what each predictor says.",
            "figure": "The same drawn as the paper does: PNG, SVG and PDF.",
        },
    ),
}


def validate_spec(stage: str, spec: dict[str, Any]) -> Spec:
    """The stage's spec from plain data, every default filled in.

    Raises pydantic.ValidationError, which names the field; KeyError for an unknown stage.
    """
    return STAGES[stage].spec.model_validate(spec)


def load_plugins() -> None:
    """Import the modules that ``VISE_STAGE_MODULES`` names (comma-separated): each may add entries to STAGES."""
    for module in filter(None, os.environ.get("VISE_STAGE_MODULES", "").split(",")):
        importlib.import_module(module)


load_plugins()
