"""The wire format: what the API answers and takes. The server writes these, the client reads them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from vise_core.specs.ablation_kinds import Kind as AblationName
from vise_core.specs.data import DataKind, SurveyResult
from vise_core.specs.engagement import LabelAgreement, LabelSpread
from vise_core.specs.estimate import Estimate
from vise_core.specs.explain import COLOUR_MAP, CamMethod, ColourMap
from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.model_card import ModelFacts
from vise_core.specs.recipes import InputRef, RecipeSpec, SweepSpec

T = TypeVar("T")


class Wire(BaseModel):
    """A record on the wire. Unknown fields are ignored when read, so that old clients meet new servers."""

    model_config = ConfigDict(from_attributes=True)


class Request(BaseModel):
    """A record sent by a client. Unknown fields are refused: a typo is never a silent default."""

    model_config = ConfigDict(extra="forbid")


class Role(StrEnum):
    """Who may do what: viewer reads, editor launches and predicts, admin manages users and data."""

    viewer = "viewer"
    editor = "editor"
    admin = "admin"


class RunState(StrEnum):
    """waiting (on other runs), queued → running → succeeded | failed | cancelled; on the way to rest, cancelling
    and pausing; paused, until someone resumes it."""

    waiting = "waiting"
    queued = "queued"
    running = "running"
    cancelling = "cancelling"
    pausing = "pausing"
    paused = "paused"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def final(self) -> bool:
        return self in (RunState.succeeded, RunState.failed, RunState.cancelled)


RunKind = Literal["stage", "recipe", "sweep"]
ClusterKind = Literal["comments", "reactions"]

MetricRule = Literal["final", "last", "max", "min", "best"]
"""How a curve becomes one number. final: the run's result, or the last value where there is none; best: the value
at the step where validation was best."""


class Problem(Wire):
    """RFC 9457 problem details. ``errors`` lists what is wrong with which field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)


class Health(Wire):
    status: Literal["ok", "degraded"]
    version: str
    database: bool
    broker: bool
    workers: int = Field(0, description="Workers whose heartbeat is fresh.")


class Page(Wire, Generic[T]):
    """One page of a list; ask again with ``cursor=next_cursor`` until it is null."""

    items: list[T]
    next_cursor: str | None = None


class UserView(Wire):
    id: UUID
    email: str
    role: Role
    active: bool
    created_at: datetime


class UserCreate(Request):
    email: str = Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=12, max_length=1024)
    role: Role = Role.viewer


class UserUpdate(Request):
    role: Role | None = None
    active: bool | None = None


class Login(Request):
    email: str
    password: str = Field(max_length=1024)


class LoginCode(Request):
    """The one-time code of the link that ``vise up`` prints."""

    code: str = Field(max_length=200)


class PasswordChange(Request):
    current: str = Field("", max_length=1024, description="Empty where there is no password yet.")
    new: str = Field(min_length=12, max_length=1024)


class AuditEntry(Wire):
    """One change, as it was noticed when it was made."""

    id: UUID
    at: datetime
    email: str
    action: str = Field(description="created, changed, deleted, cancelled, retried, signed in, …")
    kind: str
    target_id: UUID | None
    target: str
    detail: dict[str, Any]


class Session(Wire):
    """A bearer token for a browser session or a script; shown once."""

    token: str
    expires_at: datetime | None
    user: UserView


class TokenCreate(Request):
    name: str = Field(min_length=1, max_length=80)
    role: Role | None = Field(None, description="At most the owner's own role; null: the owner's.")
    expires_days: int | None = Field(None, ge=1, le=3650)


class TokenView(Wire):
    id: UUID
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenCreated(TokenView):
    token: str = Field(description="Shown once; only its hash is kept.")


class DatasetCreate(Request):
    """Register a folder below the server's data root."""

    name: str = Field(min_length=1, max_length=120)
    kind: Literal["posts", "images", "weights"] = Field(
        description="posts: to ingest. images: labelled, to evaluate on. weights: of a backbone, or a text encoder."
    )
    folder: str = Field(min_length=1, max_length=1000, description="Relative to the server's data root.")
    description: str = Field("", max_length=2000)


class DatasetFromUrl(Request):
    """Download a data set; a worker does it, and unpacks what it gets."""

    name: str = Field(min_length=1, max_length=120)
    kind: DataKind = "images"
    url: str = Field(max_length=2000)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    description: str = Field("", max_length=2000)


class DatasetUpdate(Request):
    """Rename or describe a data set; what is null stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=120, pattern=r"\S")
    description: str | None = Field(None, max_length=2000)


class DatasetVersionView(Wire):
    """One content of a data set, as a survey found it."""

    number: int
    sha256: str | None = Field(
        description="Digest of the manifest of all files; null: surveyed before digests were kept."
    )
    files: int
    bytes: int
    created_at: datetime
    checked_at: datetime = Field(description="When the newest survey found this content.")
    run_id: UUID | None = Field(description="The run that first found this content; null: deleted.")
    survey_id: UUID | None = Field(description="The newest run that found this content; null: deleted.")
    found: SurveyResult | None = Field(None, description="What the newest survey of this content counted.")
    runs: int = Field(0, description="Runs that read this version; surveys aside.")
    same_as: int | None = Field(None, description="An earlier version with the same content.")


class FolderChanges(Wire):
    """Whether a registered folder still is its newest version: by names, sizes and times; no file is read."""

    state: Literal["same", "changed", "checking", "missing", "unknown", "unsurveyed", "immutable"]
    version: int | None = Field(None, description="The newest version, with which the folder is compared.")
    added: int = 0
    changed: int = 0
    removed: int = 0
    first: tuple[str, ...] = Field((), description="The first few of these files.")
    sentence: str

    @property
    def settled(self) -> bool:
        """Whether a run that starts now reads the newest version, as far as names, sizes and times tell."""
        return self.state in ("same", "immutable")


class DatasetReadView(Wire):
    """What a run read of a data set. ``version`` is given only where the bytes were those of the version."""

    dataset_id: UUID
    name: str = Field(description="Of the data set now; of a removed one, its name when the run was created.")
    removed: bool = False
    sha256: str | None = Field(description="Digest of what the run read; null: it has not read it yet.")
    version: int | None = Field(description="The version with this digest; null: none has it.")
    newest: int | None = Field(description="The newest version when the run read it.")
    latest: int | None = Field(None, description="The newest version now.")

    @property
    def which(self) -> str:
        """``version 2``; says where the version is not known."""
        if self.version is not None:
            return f"version {self.version}"
        if self.sha256 is None:
            return "not read yet"
        if self.newest is None:
            return "version unknown"
        return f"version unknown: the folder changed after version {self.newest}"

    @property
    def label(self) -> str:
        """``emotions, version 2``."""
        name = f"{self.name} (removed)" if self.removed else self.name
        return f"{name}, {self.which}"


class DatasetUse(Wire):
    """A run that reads a data set."""

    run_id: UUID
    name: str
    stage: str | None
    state: RunState
    created_at: datetime
    role: str
    sha256: str | None
    version: int | None
    newest: int | None


class DatasetUsage(Page[DatasetUse]):
    """One page of the runs that read a data set, newest first, and how many there are in each state."""

    states: dict[str, int] = Field(description="State → runs, of all pages.")


class DatasetView(Wire):
    id: UUID
    name: str
    kind: str
    folder: str | None = Field(
        None, description="Below the data root; null for what was uploaded or downloaded."
    )
    source: str = Field("", description="The upload's name, or the address.")
    description: str
    synthetic: bool
    created_at: datetime
    run_id: UUID | None = Field(None, description="The run that brings it in.")
    survey_id: UUID | None = Field(None, description="The newest run that surveys it.")
    survey_state: RunState | None = Field(None, description="Of that run.")
    survey_reason: str | None = Field(None, description="Why that run failed or waits.")
    state: Literal["ready", "arriving", "failed"] = "ready"
    reason: str | None = None
    version: DatasetVersionView | None = Field(None, description="The newest version; null before a survey.")
    found: SurveyResult | None = Field(None, description="What the survey of the newest version counted.")
    thumbnails: UUID | None = Field(None, description="The artifact survey, with survey.json and thumbnails.")
    integrity: IntegrityReport | None = Field(
        None,
        description="Of one data set: what the newest evaluation or integrity run on the newest version found.",
    )


class RunCreate(Request):
    """One stage with its spec and inputs."""

    stage: str
    name: str = Field("", max_length=200)
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list, max_length=50)


class RecipeCreate(Request):
    """A recipe by name (from the catalogue) or given whole."""

    recipe: str | None = None
    spec: RecipeSpec | None = None
    inputs: dict[str, InputRef] = Field(default_factory=dict, description="What the recipe calls given.")
    name: str = Field("", max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)


class SweepCreate(Request):
    spec: SweepSpec
    name: str = Field("", max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)


class StageDraft(Request):
    """A run that is being thought of: what the launch form holds."""

    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="Of a sweep: dotted path in the spec → values."
    )


class FieldProblem(Wire):
    field: str = Field(description="Dotted path: spec.compute.device, inputs.posts, grid.base_lr.")
    message: str
    missing: bool = Field(False, description="Nothing is wrong: it is still to be chosen.")


class LaunchCheck(Wire):
    """What is wrong with a draft; where nothing is, what it would take."""

    problems: list[FieldProblem]
    warnings: list[FieldProblem] = Field(
        default_factory=list, description="What does not prevent the launch: a folder that has changed."
    )
    runs: int = Field(description="Runs that it would start.")
    estimate: Estimate | None = Field(description="Of all of them; null where there are problems.")


class InputCandidate(Wire):
    """Something that fits an input: an artifact of a run, or a data set."""

    ref: InputRef
    name: str
    made_by: str = Field(description="The stage, or data set.")
    state: RunState | None = Field(description="Of the run; one that is not over yet is waited for.")
    synthetic: bool
    created_at: datetime
    version: int | None = Field(None, description="Of a data set: its newest version.")


class RunUpdate(Request):
    """What is null stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=200)
    tags: list[str] | None = Field(None, max_length=50)
    notes: str | None = Field(None, max_length=20_000, description="Markdown.")
    starred: bool | None = None
    archived: bool | None = None


class RunClone(Request):
    """What to change in the copy; what is null stays as it was."""

    name: str | None = Field(None, max_length=200)
    spec: dict[str, Any] | None = None
    inputs: dict[str, InputRef] | None = None


class Progress(Wire):
    done: float
    total: float | None
    unit: str
    phase: str = ""
    seconds_left: float | None = Field(
        None, description="At the pace of this phase so far; null where nothing can be said yet."
    )


class RunRef(Wire):
    """A run by name, for a link."""

    id: UUID
    name: str
    state: RunState


class RunStatus(Wire):
    """What a run's state means just now; made by the server alone, so that all say the same.

    stalled: its worker is silent for longer than its lease. lost: that worker is gone. no worker: none serves its
    queue.
    """

    label: Literal[
        "waiting",
        "queued",
        "no worker",
        "running",
        "stalled",
        "lost",
        "cancelling",
        "pausing",
        "paused",
        "succeeded",
        "failed",
        "cancelled",
    ]
    sentence: str
    heartbeat_seconds: float | None = Field(None, description="Age of its worker's last sign of life.")
    waits_for: list[RunRef] = Field(default_factory=list, description="Runs that must succeed first.")
    traceback: str | None = Field(None, description="Its end, of a failed run.")


class RunSummary(Wire):
    """A row of the list: nothing that needs a join over metric points."""

    id: UUID
    kind: RunKind
    stage: str | None = Field(description="Null for a recipe or a sweep.")
    name: str
    state: RunState
    reason: str | None = Field(description="Why it failed, waits or was cancelled; one sentence.")
    parent_id: UUID | None
    step: str | None = Field(description="Its name within the parent.")
    tags: list[str]
    synthetic: bool
    attempt: int
    queue: str
    created_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    worker: str | None
    progress: Progress | None
    headline: dict[str, float] = Field(description="The few numbers of its result.")
    status: RunStatus
    notes: str
    starred: bool
    archived: bool
    group_key: str | None = Field(description="The same for runs that differ by seeds and splits alone.")
    columns: dict[str, Any] = Field(
        default_factory=dict, description="Values of the columns asked for, such as spec.base_lr."
    )


class RunPage(Page[RunSummary]):
    total: int | None = Field(None, description="Of all pages, where it was asked for.")


class GroupMetric(Wire):
    """One metric over the repetitions of an experiment."""

    mean: float
    std: float | None = Field(description="Sample std (ddof 1); null for one value.")
    n: int = Field(description="Values: one a run, or one a split where a run has several.")


class RunGroup(Wire):
    """Runs that differ by seeds and splits alone, as one row."""

    group_key: str
    name: str = Field(description="Of its newest run.")
    stage: str
    newest: UUID
    created_at: datetime = Field(description="Of its newest run.")
    tags: list[str]
    synthetic: bool
    runs: int
    asked: int = Field(description="Repetitions that were asked for.")
    succeeded: int = Field(description="Different repetitions that succeeded; only these are averaged.")
    states: dict[str, int]
    repeats: int = Field(description="Succeeded runs that repeat another's seed and splits: not averaged.")
    warning: str = Field(description="A sentence where repetitions are missing; else empty.")
    metrics: dict[str, GroupMetric]
    columns: dict[str, Any] = Field(description="Values of the spec, the same in all of them but for seeds.")


class GroupPage(Page[RunGroup]):
    total: int | None = None


class QueryField(Wire):
    """What the query language may ask about."""

    name: str
    kind: str
    help: str
    operators: list[str]
    choices: list[str] = Field(default_factory=list)


class Vocabulary(Wire):
    """All that a query can be completed with."""

    fields: list[QueryField]
    specs: dict[str, str] = Field(description="Dotted path → help.")
    metrics: list[str]
    tags: list[str]
    rules: dict[str, str] = Field(description="How a curve becomes one number: name → help.")


class BulkRequest(Request):
    """The same to each of some runs."""

    ids: list[UUID] = Field(min_length=1, max_length=1000)
    action: Literal[
        "tag",
        "untag",
        "star",
        "unstar",
        "archive",
        "unarchive",
        "delete",
        "cancel",
        "pause",
        "resume",
        "retry",
    ]
    tags: list[str] = Field(default_factory=list, max_length=50, description="For tag and untag.")


class BulkOutcome(Wire):
    id: UUID
    name: str
    done: bool
    message: str = Field(description="Why it was not done; empty where it was.")


class RunLook(Request):
    """A way to look at the runs: what the page's address carries."""

    query: str = Field("", max_length=2000)
    columns: list[str] = Field(default_factory=list, max_length=40)
    sort: str = Field("-created", max_length=200)
    grouped: bool = False
    nested: bool = False


class SavedViewCreate(Request):
    name: str = Field(min_length=1, max_length=80)
    look: RunLook
    shared: bool = Field(False, description="For everybody; needs the role editor.")


class SavedViewUpdate(Request):
    name: str | None = Field(None, min_length=1, max_length=80)
    look: RunLook | None = None
    shared: bool | None = None


class SavedViewView(Wire):
    id: UUID
    name: str
    look: RunLook
    shared: bool
    owner: str = Field(description="E-mail.")
    mine: bool
    created_at: datetime
    updated_at: datetime


class ArtifactView(Wire):
    id: UUID
    run_id: UUID
    name: str
    sha256: str
    size: int
    files: int = Field(description="1 for a file; the number of files of a folder.")
    folder: bool
    created_at: datetime


class ArtifactFile(Wire):
    path: str
    sha256: str
    size: int


NotFinite = Literal["NaN", "inf", "-inf"]
"""How a number that JSON does not have is written."""


class RunView(RunSummary):
    """One run, whole."""

    spec: dict[str, Any]
    inputs: dict[str, InputRef]
    datasets: dict[str, DatasetReadView] = Field(
        default_factory=dict,
        description="Role → what the run read of a data set, and which version that was.",
    )
    result: dict[str, Any] | None
    error: str | None = Field(description="End of the traceback of a failed run.")
    artifacts: list[ArtifactView]
    latest: dict[str, float | NotFinite] = Field(description="Latest value of each metric.")
    children: list[RunSummary] = Field(description="Of a recipe or sweep, in order; at most 1000.")


class EventView(Wire):
    at: datetime
    from_state: str | None
    to_state: str
    detail: str


LogLevel = Literal["debug", "info", "warning", "error"]


class LogLine(Wire):
    id: int
    at: datetime
    level: str
    message: str


class MetricQuery(Request):
    """Curves of several runs at once."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    keys: list[str] | None = Field(
        None, max_length=200, description="Null: every metric but the machine's, which are named system/…"
    )
    prefix: str = Field("", max_length=200, description="Only metrics whose names begin so, such as system/.")
    points: int = Field(500, ge=2, le=5000, description="At most this many points a curve.")


class Mark(Wire):
    """A point of a curve whose value is not finite."""

    step: int
    value: NotFinite
    epoch: float | None
    at: datetime


class Curve(Wire):
    """One metric of one run, down-sampled so that minima and maxima stay; the same call, the same points."""

    run_id: UUID
    key: str
    total: int = Field(description="Points before down-sampling.")
    steps: list[int]
    values: list[float | None] = Field(description="Null where the value was not a finite number.")
    epochs: list[float | None]
    times: list[datetime]
    not_finite: int = Field(0, description="Points before down-sampling whose value is NaN or infinite.")
    marks: list[Mark] = Field(
        default_factory=list,
        description="Points whose value is NaN or infinite: the first, the last, and at most about 100 between them.",
    )


class CompareQuery(Request):
    """Runs to lay side by side."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    metric: str | None = Field(
        None,
        max_length=200,
        description="Say how strongly each parameter that differs goes with this metric.",
    )


class ComparedRun(Wire):
    id: UUID
    name: str
    stage: str | None
    state: RunState
    tags: list[str]
    synthetic: bool
    created_at: datetime
    data: str = Field(
        "", description="Of an evaluation: stands for its images, labels and texts; empty where not recorded."
    )


class Parameter(Wire):
    """A field of the runs' specs, or ``inputs.<role>``; one value a run, null where the run has no such field."""

    path: str
    differs: bool
    values: list[Any]


class ParameterImportance(Wire):
    """How a parameter goes with the metric over these runs; what goes together need not be cause and effect."""

    path: str
    rank_correlation: float | None = Field(description="Spearman's ρ, of numbers.")
    variance_share: float | None = Field(
        description="ε², the share of variance between groups of equal value (numbers of many values: quarters)."
    )
    runs: int = Field(description="Runs that have the metric.")


class Comparison(Wire):
    """Up to 100 runs as columns; every list of values has the order of ``runs``."""

    runs: list[ComparedRun]
    missing: list[UUID] = Field(description="Asked for, but there are no such runs.")
    parameters: list[Parameter]
    metrics: dict[str, list[float | None]] = Field(
        description="What the result says, else the last value of the curve; null where that is not finite."
    )
    not_finite: dict[str, dict[int, NotFinite]] = Field(
        default_factory=dict,
        description="By metric, and by the place of the run: last values that are NaN or infinite.",
    )
    curves: list[str] = Field(description="Metrics of which at least one of the runs has a curve.")
    importance: list[ParameterImportance] = Field(
        description="Of the metric asked for, the strongest first. Over evaluations of one data and splits only: those "
        "of which most are compared, of equally many the newest."
    )
    not_compared: list[str] = Field(
        default_factory=list, description="Why numbers of some evaluations may not be compared with others'."
    )
    importance_over: list[UUID] = Field(
        default_factory=list,
        description="The runs that importance is over; all of them where they are comparable.",
    )


class LineageNode(Wire):
    kind: Literal["dataset", "run", "model"]
    id: UUID
    name: str
    stage: str | None = None
    state: RunState | None = None
    synthetic: bool = False
    removed: bool = Field(False, description="A data set that was removed: it has no page.")


class LineageEdge(Wire):
    """``target`` reads ``artifact`` of ``source``, or was made of it."""

    source: UUID
    target: UUID
    artifact: str


class Lineage(Wire):
    """What a run comes from and what was made of it."""

    run_id: UUID
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = Field(description="There are more than are listed.")


class ModelCreate(Request):
    """Make a predictor out of a succeeded evaluate run."""

    run_id: UUID
    name: str = Field(min_length=1, max_length=120)
    default: bool = False


class ModelUpdate(Request):
    name: str | None = Field(None, min_length=1, max_length=120)
    default: bool | None = None


class ModelView(Wire):
    id: UUID
    name: str
    run_id: UUID
    artifact_id: UUID
    method: str
    task: str
    backbone: str
    classes: list[str]
    headline: dict[str, float]
    synthetic: bool
    default: bool
    created_at: datetime


class ModelCardView(Wire):
    """What a model is and comes from; ``markdown`` is the same for people."""

    facts: ModelFacts
    markdown: str
    size: int = Field(description="Bytes of its files.")


class PredictionView(Wire):
    """Answer for one image; ``state`` is queued until a prediction worker has answered."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    model: ModelView
    method: CamMethod
    strength: float = Field(0.5, description="Opacity of the map in ``overlay_png``.")
    colour_map: ColourMap = COLOUR_MAP
    target_class: str | None = Field(
        None, description="The class that was asked for; null: the most probable."
    )
    batch: UUID | None = None
    position: int = 0
    synthetic: bool = Field(False, description="The image is generated, as whoever asked says.")
    predicted: str | None = None
    target: str | None = Field(None, description="The class whose map is drawn.")
    probabilities: dict[str, float] = Field(default_factory=dict)
    overlay_png: str | None = Field(None, description="Base64 of the PNG picture; null once forgotten.")
    heat_png: str | None = Field(
        None,
        description="Base64 of the map itself as an 8-bit grey PNG, 255 for 1, over ``region``: whoever has the "
        "image can tint it in other colours without asking again. Null once forgotten.",
    )
    region: tuple[float, float, float, float] | None = Field(
        None,
        description="What the network saw: left, top, right, bottom in shares of the upright image's width and height.",
    )
    kept: bool = Field(False, description="A thumbnail and the upload's SHA-256 stay in the history.")
    sha256: str | None = Field(None, description="Of the upload, where kept.")
    pictured_until: datetime | None = Field(
        None, description="When overlay, heat and picture are forgotten; null where they are already."
    )
    feedback: str | None = Field(
        None, description="The label that a person gave; the picture is kept with it."
    )
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime


class PredictionSummary(Wire):
    """A row of the history."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    model_id: UUID
    model: str
    task: str
    method: CamMethod
    target_class: str | None
    batch: UUID | None
    position: int
    synthetic: bool
    predicted: str | None
    probability: float | None = Field(description="Of the predicted class.")
    target: str | None
    kept: bool
    sha256: str | None
    thumbnail_jpg: str | None = Field(description="Base64 of a small JPEG, where kept.")
    pictured: bool = Field(description="Overlay, heat and picture are not forgotten yet.")
    feedback: str | None
    created_by: str | None
    error: str | None
    milliseconds: float | None
    created_at: datetime


class FeedbackCreate(Request):
    """What the image really is."""

    label: str = Field(min_length=1, max_length=200, description="One of the model's classes.")


class FeedbackView(Wire):
    """One image of the labelled set that people made by correcting or confirming models."""

    id: UUID
    prediction_id: UUID | None
    task: str
    label: str
    predicted: str
    model: str
    synthetic: bool
    sha256: str = Field(description="Of the kept picture, an upright JPEG without metadata.")
    created_by: str | None
    created_at: datetime


class FeedbackCount(Wire):
    task: str
    label: str
    images: int
    corrected: int = Field(description="Images of these whose prediction was another class.")


class EngagementModel(Wire):
    """A pretrained model that can say which engagement it expects."""

    checkpoint_id: UUID = Field(description="The artifact.")
    run_id: UUID
    name: str
    backbone: str
    signals: list[str] = Field(description="comments, reactions: its heads.")
    has_terms: bool = Field(description="The clusterer's inspection is there, so that clusters have words.")
    clusterer_run_id: UUID | None = Field(description="Whose clusters its heads speak of.")
    synthetic: bool
    created_at: datetime


class ExpectedCluster(Wire):
    cluster: int
    probability: float
    terms: list[tuple[str, float]] = Field(description="(word, weight) of its centroid, heaviest first.")
    comments: list[str] = Field(description="Those nearest to its centroid.")


class EngagementAnswer(Wire):
    comments: list[ExpectedCluster] | None = Field(
        description="Most probable first; null without such a head."
    )
    comment_mass: float = Field(description="Probability that the clusters told hold together.")
    reaction_clusters: list[float] | None = Field(
        description="Probability of each; null without such a head."
    )
    reactions: dict[str, float] | None = Field(
        description="Expected share of each reaction; null without a head for reactions or without an inspection."
    )


class EngagementView(Wire):
    """Expected engagement of one image; the upload is dropped once it is answered."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    checkpoint_id: UUID
    run_id: UUID
    synthetic: bool
    answer: EngagementAnswer | None = None
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime


class ExplorerView(Wire):
    """What the stage explore found about the clusters of one clusterer."""

    artifact_id: UUID
    run_id: UUID
    name: str
    synthetic: bool
    posts: int
    with_labels: bool = Field(description="Labels of the stage label; else every post was labelled anew.")
    shuffled: bool = Field(description="A control: engagement was permuted over posts.")
    clusterer_run_id: UUID | None
    comments: LabelSpread | None
    reactions: LabelSpread | None
    agreement: LabelAgreement | None
    reaction_names: list[str]
    thumbnail: int = Field(description="Side of a sample picture in a strip, pixels.")
    map_explained: dict[str, tuple[float, float]] = Field(
        description="comments, reactions → share of the centroids' variance on each axis of the map."
    )
    created_at: datetime


class ClusterRow(Wire):
    """A comment or reaction cluster."""

    cluster: int
    size: int = Field(description="Comment labels, or posts of a reaction cluster.")
    share: float = Field(description="Of all labels of this kind.")
    posts: int = Field(description="Posts that have it.")
    terms: list[tuple[str, float]] = Field(
        description="(word, weight), heaviest first; comment clusters only."
    )
    comments: list[str]
    reactions: dict[str, float] = Field(description="Mean share of each reaction among its posts.")
    sample_posts: list[str]
    thumbnails_jpg: str | None = Field(
        None, description="Base64 of a strip of the sample posts' pictures, square, in their order."
    )


class ClusterPage(Wire):
    items: list[ClusterRow]
    total: int = Field(description="Clusters that fit the search.")


class ClusterPair(Wire):
    """A cluster of the other kind that occurs with it."""

    cluster: int
    count: float = Field(description="Pairs of a comment label and a reaction label on the same post.")
    lift: float = Field(description="Times more often than if the labels were independent.")


class ClusterDetail(ClusterRow):
    kind: ClusterKind
    pairs: list[ClusterPair] = Field(description="Strongest pairs with clusters of the other kind.")


class ClusterPoints(Wire):
    """The map: one entry a cluster in each list."""

    clusters: list[int]
    x: list[float]
    y: list[float]
    sizes: list[int]
    titles: list[str] = Field(description="Top words, or the main reaction.")


class RecipeView(Wire):
    name: str
    spec: RecipeSpec


class StageView(Wire):
    """A stage as forms need it: JSON schemas made from the one spec model."""

    name: str
    title: str
    help: str
    queue: str
    spec_schema: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    presets: dict[str, dict[str, Any]] = Field(description="Preset name → spec.")
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="The whole spec as it is when nothing is said."
    )


class WorkerView(Wire):
    name: str
    queues: list[str]
    device: str
    heartbeat_at: datetime
    run_id: UUID | None
    alive: bool
    started_at: datetime | None = None
    run_name: str | None = None


class QueueView(Wire):
    """A line of runs, and who serves it."""

    name: str
    waiting: int = Field(description="Runs in line.")
    oldest_at: datetime | None = Field(description="Since when the first of them waits.")
    running: int
    workers: int = Field(description="Workers that serve it and whose heartbeat is fresh.")


class AblationCreate(Request):
    """A baseline evaluation and what is changed about it, one factor at a time."""

    name: str = Field(min_length=1, max_length=120)
    kind: AblationName
    baseline: UUID = Field(description="A succeeded evaluate run.")
    changes: list[dict[str, Any]] | None = Field(
        None,
        min_length=1,
        max_length=30,
        description="Dotted path → value, of each point; null: the kind's own.",
    )


class AblationUpdate(Request):
    """What to change; what is null stays as it was."""

    name: str | None = Field(None, min_length=1, max_length=120)
    changes: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=30)


class AblationPoint(Wire):
    """One value of the factor, and the evaluation that shows what it does."""

    number: int
    label: str
    position: float | None = Field(description="Place on a logarithmic axis; null on one of names.")
    changes: dict[str, Any]
    baseline: bool = Field(description="Whether it is the baseline itself.")
    state: RunState | Literal["missing"]
    run: UUID | None = Field(description="The evaluate run.")
    parent: UUID | None = Field(description="The recipe that it belongs to.")
    mean: float | None = None
    std: float | None = Field(None, description="Sample std (ddof 1) over splits.")
    n: int = 0
    note: str = Field(
        "", description="Why a run that looks like this point is not shown: other data or splits."
    )


class AblationSummary(Wire):
    id: UUID
    name: str
    kind: AblationName
    baseline: UUID
    created_by: str | None
    created_at: datetime


class AblationView(AblationSummary):
    """An ablation with what was found for each point."""

    title: str
    axis: str
    log: bool
    method: str
    backbone: str
    task: str
    protocol: str
    metric: str
    on: Literal["test", "val"]
    synthetic: bool
    measured: str = Field("", description="Stands for the data and splits of the baseline and every point.")
    recorded: bool = Field(False, description="Whether the baseline's data and splits are known.")
    points: list[AblationPoint]
