"""Integrity: check data for copies, leaks and imbalance that inflate results (Method 7, trap 12)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record, Result, Spec
from .compute import EngineCompute
from .estimate import Cost, InputFacts, Work
from .posts.subset import SubsetSpec
from .stage import LABELLED_IMAGES, InputRole, Stage
from .tasks.kinds import FolderTask, Task
from .tasks.splits import SplitSpec

IntegrityVerdict = Literal["ok", "warning", "failed", "not_run"]

CheckName = Literal[
    "label_balance",
    "split_overlap",
    "split_near_duplicates",
    "pretraining_overlap",
    "cluster_leak",
    "pretraining_balance",
]

CHECKS: dict[CheckName, str] = {
    "label_balance": "Balance of the task's labels",
    "split_overlap": "Same file in two splits",
    "split_near_duplicates": "Copies across splits",
    "pretraining_overlap": "Test images among the pretraining posts",
    "cluster_leak": "Cluster subset in the pretraining labels",
    "pretraining_balance": "Balance of the pretraining labels",
}
"""Every check and its title, in the order in which they are shown."""

_WORST: tuple[IntegrityVerdict, ...] = ("failed", "warning", "ok")


class IntegrityExample(Record):
    """An example of what a check found, usually a pair of images."""

    first: str = Field(description="Path of an image in the task, or id of a post.")
    second: str | None = Field(None, description="Its copy: a path in the task, or id of a post.")
    kind: str = Field(description="identical, copy, mirrored copy, or what else is the matter.")
    where: str = Field("", description="The splits of the two, such as split 0: train / test.")
    difference: float | None = Field(
        None, description="Grey levels that differ once laid upon each other; None where not compared."
    )
    picture: str | None = Field(None, description="File in the artifact pairs that shows them side by side.")


class IntegrityCheck(Record):
    """The outcome of one check: its verdict, numbers and examples."""

    name: CheckName
    verdict: IntegrityVerdict
    sentence: str = Field(description="The finding in a sentence; for not_run the reason, and what to do.")
    counts: dict[str, float] = Field(default_factory=dict)
    examples: tuple[IntegrityExample, ...] = ()

    @property
    def title(self) -> str:
        """Title of the check."""
        return CHECKS[self.name]


class IntegrityReport(Record):
    """The outcomes of all checks, one for each, whether it ran or not."""

    checks: tuple[IntegrityCheck, ...]

    @property
    def verdict(self) -> IntegrityVerdict:
        """The worst verdict of the checks that ran; not_run if none did."""
        verdicts = {check.verdict for check in self.checks}
        return next((verdict for verdict in _WORST if verdict in verdicts), "not_run")

    def check(self, name: CheckName) -> IntegrityCheck | None:
        """Return the check of that name; None where the report lacks it."""
        return next((check for check in self.checks if check.name == name), None)


class IntegrityLimits(Record):
    """Thresholds from which a check warns or fails. All are ours: the paper has no such checks."""

    overlap: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of test images that are in train too, from which a check fails; any at all is a warning.",
    )
    imbalance: float = Field(
        10.0,
        ge=1,
        description="Warn where the largest class has more than this times the images of the smallest.",
    )
    shift: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Warn where the shares of classes in train and test differ by more (total variation), and by "
        "more than chance explains.",
    )
    largest_cluster: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Warn where one cluster holds more than this share of the pretraining labels.",
    )


class IntegritySpec(Spec):
    """Check a task, and pretraining posts and labels if they are given, for what inflates results."""

    task: Task = Field(default_factory=FolderTask)
    splits: SplitSpec = Field(default_factory=SplitSpec)
    subset: SubsetSpec | None = Field(
        None,
        description="Rule of the cluster subset; null: the clusterer's own, where that is given as input.",
    )
    perceptual: bool = Field(
        True,
        description="Find copies that were resized, recompressed, cut or mirrored, not only equal files.",
    )
    limits: IntegrityLimits = Field(default_factory=IntegrityLimits)
    examples: int = Field(
        20, ge=0, le=1000, description="Examples shown of each check, with pictures of pairs."
    )
    compute: EngineCompute = Field(default_factory=EngineCompute)


class IntegrityResult(Result):
    """Result of ``integrity``. Artifacts: ``integrity`` (JSON), ``pairs`` (folder).

    ``integrity`` is the report and the ids of the posts to leave out; ``pairs`` holds PNG pictures of the examples, and
    ``copies.csv`` with every post that is a copy of an image.
    """

    task: str
    images: int
    posts: int = Field(description="Posts whose images were compared with the task's.")
    copied_posts: int = Field(
        0,
        description="Posts that are copies of images that a result is reported on; integrity.json lists all their ids.",
    )
    report: IntegrityReport

    def headline(self) -> dict[str, float]:
        counted = [check.verdict for check in self.report.checks]
        return {name: float(counted.count(name)) for name in ("failed", "warning", "not_run")}


def _work(spec: IntegritySpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    return Work(facts.items, f"{facts.items:,} images", (spec.perceptual,))


STAGE = Stage(
    name="integrity",
    title="Integrity checks",
    help="Find copies, leaks and imbalance that inflate a result.",
    runner="vise_core.integrity.stage:run",
    spec=IntegritySpec,
    result=IntegrityResult,
    queue="cpu",
    inputs={
        "dataset": LABELLED_IMAGES,
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
    speed_only=("compute.engine", "compute.processes"),
    outputs={"integrity": "What each check found.", "pairs": "Pictures of the pairs that were found."},
    names=("task.name",),
    replicates=("seed", "splits.seed"),
    repeats=("splits.count",),
    cost=Cost(work=_work, done=lambda result: result.get("images")),
)
