"""A typed client of the REST API.

with ViseClient("http://127.0.0.1:8000", token) as vise:
    run = vise.create_recipe(RecipeCreate(recipe="sample"))
    vise.wait_for(run.id)
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, TypeAdapter

from vise_core.specs.explain import COLOUR_MAP
from vise_core.specs.reports.tables import Choices, EvaluationTable, PairedTest, ReportEntry

from .errors import ApiError, ClientError, NotSignedIn, Unreachable
from .schemas.ablations import AblationCreate, AblationSummary, AblationUpdate, AblationView
from .schemas.accounts import (
    AuditEntry,
    PasswordChange,
    Session,
    TokenCreate,
    TokenCreated,
    TokenView,
    UserCreate,
    UserUpdate,
    UserView,
)
from .schemas.artifacts import ArtifactFile, ArtifactView
from .schemas.clusters import ClusterDetail, ClusterKind, ClusterPage, ClusterPoints, ExplorerView
from .schemas.comparison import CompareQuery, Comparison
from .schemas.datasets import (
    DatasetCreate,
    DatasetFromUrl,
    DatasetUpdate,
    DatasetUsage,
    DatasetVersionView,
    DatasetView,
    FolderChanges,
)
from .schemas.engagement import EngagementModel, EngagementView
from .schemas.launch import (
    InputCandidate,
    LaunchCheck,
    RecipeCreate,
    RecipeView,
    RunClone,
    RunCreate,
    StageDraft,
    StageView,
    SweepCreate,
)
from .schemas.lineage import Lineage
from .schemas.metrics import Curve, MetricQuery
from .schemas.models import ModelCardView, ModelCreate, ModelUpdate, ModelView
from .schemas.predictions import (
    FeedbackCount,
    FeedbackCreate,
    FeedbackView,
    PredictionSummary,
    PredictionView,
)
from .schemas.run_lists import GroupPage, SavedViewCreate, SavedViewUpdate, SavedViewView, Vocabulary
from .schemas.runs import (
    BulkOutcome,
    BulkRequest,
    EventView,
    LogLevel,
    LogLine,
    RunPage,
    RunSummary,
    RunUpdate,
    RunView,
)
from .schemas.wire import Health, Page, Problem
from .schemas.workers import QueueView, WorkerView

T = TypeVar("T")
Asked = TypeVar("Asked", PredictionView, EngagementView)


class ViseClient:
    """One method a route. Raises ApiError (with the server's problem) or Unreachable."""

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers=headers,
            timeout=timeout,
            # Connecting anew is always safe: nothing was sent yet.
            transport=httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> ViseClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def health(self) -> Health:
        response = self._send("GET", "/health", problems=False)
        return Health.model_validate_json(response.content)

    def login(self, email: str, password: str) -> Session:
        return self._call(Session, "POST", "/auth/login", json={"email": email, "password": password})

    def redeem_code(self, code: str) -> Session:
        return self._call(Session, "POST", "/auth/code", json={"code": code})

    def logout(self) -> None:
        self._send("POST", "/auth/logout")

    def me(self) -> UserView:
        return self._call(UserView, "GET", "/auth/me")

    def tokens(self) -> list[TokenView]:
        return self._call(list[TokenView], "GET", "/tokens")

    def create_token(self, body: TokenCreate) -> TokenCreated:
        return self._call(TokenCreated, "POST", "/tokens", body)

    def revoke_token(self, token_id: UUID) -> None:
        self._send("DELETE", f"/tokens/{token_id}")

    def change_password(self, body: PasswordChange) -> None:
        self._send("POST", "/auth/password", json=body.model_dump())

    def users(self, *, search: str = "", offset: int = 0, limit: int = 1000) -> list[UserView]:
        params = {"search": search, "offset": offset, "limit": limit}
        return self._call(list[UserView], "GET", "/users", params=params)

    def audit(self, **query: Any) -> Page[AuditEntry]:
        """One page, newest first; kind, who, search, since, until, cursor, limit as the API takes them."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(Page[AuditEntry], "GET", "/audit", params=wanted)

    def create_user(self, body: UserCreate) -> UserView:
        return self._call(UserView, "POST", "/users", body)

    def update_user(self, user_id: UUID, body: UserUpdate) -> UserView:
        return self._call(UserView, "PATCH", f"/users/{user_id}", body)

    def stages(self) -> list[StageView]:
        return self._call(list[StageView], "GET", "/stages")

    def recipes(self) -> list[RecipeView]:
        return self._call(list[RecipeView], "GET", "/recipes")

    def validate(self, stage: str, body: StageDraft) -> LaunchCheck:
        """What is wrong with a draft of a run or sweep, and what it would take."""
        return self._call(LaunchCheck, "POST", f"/stages/{stage}/validate", body)

    def input_candidates(
        self, artifact: Sequence[str], *, search: str = "", limit: int = 50
    ) -> list[InputCandidate]:
        """What fits an input that takes one of these artifacts, newest first."""
        params = {"artifact": list(artifact), "search": search, "limit": limit}
        return self._call(list[InputCandidate], "GET", "/inputs", params=params)

    def workers(self) -> list[WorkerView]:
        return self._call(list[WorkerView], "GET", "/workers")

    def queues(self) -> list[QueueView]:
        return self._call(list[QueueView], "GET", "/queues")

    def datasets(
        self, *, search: str = "", kind: str | None = None, offset: int = 0, limit: int = 1000
    ) -> list[DatasetView]:
        params = {"search": search, "offset": offset, "limit": limit} | ({"kind": kind} if kind else {})
        return self._call(list[DatasetView], "GET", "/datasets", params=params)

    def dataset(self, dataset_id: UUID | str) -> DatasetView:
        return self._call(DatasetView, "GET", f"/datasets/{dataset_id}")

    def upload_dataset(
        self, name: str, filename: str, content: BinaryIO, *, kind: str = "images", description: str = ""
    ) -> DatasetView:
        """Send an archive piece by piece; a worker unpacks it."""
        params = {"name": name, "filename": filename, "kind": kind, "description": description}
        pieces = iter(lambda: content.read(2**20), b"")
        return self._call(DatasetView, "POST", "/datasets/upload", params=params, content=pieces)

    def dataset_from_url(self, body: DatasetFromUrl) -> DatasetView:
        return self._call(DatasetView, "POST", "/datasets/url", body)

    def register_dataset(self, body: DatasetCreate) -> DatasetView:
        return self._call(DatasetView, "POST", "/datasets", body)

    def update_dataset(self, dataset_id: UUID, body: DatasetUpdate) -> DatasetView:
        """Rename or describe a data set."""
        return self._call(DatasetView, "PATCH", f"/datasets/{dataset_id}", body)

    def rescan_dataset(self, dataset_id: UUID) -> RunView:
        """Survey a registered folder again; ``wait_for`` the run, then ``dataset`` shows its newest version."""
        return self._call(RunView, "POST", f"/datasets/{dataset_id}/rescan")

    def dataset_changes(self, dataset_id: UUID) -> FolderChanges:
        """Whether the folder still is the newest version, by names, sizes and times."""
        return self._call(FolderChanges, "GET", f"/datasets/{dataset_id}/changes")

    def dataset_versions(
        self, dataset_id: UUID, *, before: int | None = None, limit: int = 20
    ) -> list[DatasetVersionView]:
        """Newest first; ``before``: only those with a lower number."""
        params = _given({"before": before, "limit": limit})
        return self._call(list[DatasetVersionView], "GET", f"/datasets/{dataset_id}/versions", params=params)

    def dataset_runs(self, dataset_id: UUID, **query: Any) -> DatasetUsage:
        """Which runs read it; version, unknown, state, surveys, cursor, limit as the API takes them."""
        return self._call(DatasetUsage, "GET", f"/datasets/{dataset_id}/runs", params=_given(query))

    def delete_dataset(self, dataset_id: UUID) -> None:
        self._send("DELETE", f"/datasets/{dataset_id}")

    def runs(self, **query: Any) -> RunPage:
        """One page; query, state, stage, kind, parent, tag, search, all, sort, column, cursor, limit, count as the
        API takes them."""
        return self._call(RunPage, "GET", "/runs", params=_given(query))

    def run_groups(self, **query: Any) -> GroupPage:
        """Runs that differ by seeds and splits alone, as one row; query, sort, column, cursor, limit, count."""
        return self._call(GroupPage, "GET", "/runs/groups", params=_given(query))

    def vocabulary(self) -> Vocabulary:
        """What a query can be completed with."""
        return self._call(Vocabulary, "GET", "/runs/vocabulary")

    def bulk(self, body: BulkRequest) -> list[BulkOutcome]:
        """The same to each of some runs; the outcomes say which it could not be done to, and why."""
        return self._call(list[BulkOutcome], "POST", "/runs/bulk", body)

    def views(self) -> list[SavedViewView]:
        return self._call(list[SavedViewView], "GET", "/views")

    def save_view(self, body: SavedViewCreate) -> SavedViewView:
        return self._call(SavedViewView, "POST", "/views", body)

    def update_view(self, view_id: UUID, body: SavedViewUpdate) -> SavedViewView:
        return self._call(SavedViewView, "PATCH", f"/views/{view_id}", body)

    def delete_view(self, view_id: UUID) -> None:
        self._send("DELETE", f"/views/{view_id}")

    def iterate_runs(self, **query: Any) -> Iterator[RunSummary]:
        """Every run, page after page."""
        cursor: str | None = None
        while True:
            page = self.runs(**query, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def run(self, run_id: UUID | str) -> RunView:
        return self._call(RunView, "GET", f"/runs/{run_id}")

    def create_run(self, body: RunCreate) -> RunView:
        return self._call(RunView, "POST", "/runs", body)

    def create_recipe(self, body: RecipeCreate) -> RunView:
        return self._call(RunView, "POST", "/recipes/runs", body)

    def create_sweep(self, body: SweepCreate) -> RunView:
        return self._call(RunView, "POST", "/sweeps", body)

    def update_run(self, run_id: UUID, body: RunUpdate) -> RunView:
        return self._call(RunView, "PATCH", f"/runs/{run_id}", body)

    def delete_run(self, run_id: UUID) -> None:
        self._send("DELETE", f"/runs/{run_id}")

    def cancel(self, run_id: UUID | str) -> RunView:
        return self._call(RunView, "POST", f"/runs/{run_id}/cancel")

    def retry(self, run_id: UUID | str) -> RunView:
        return self._call(RunView, "POST", f"/runs/{run_id}/retry")

    def pause(self, run_id: UUID | str) -> RunView:
        return self._call(RunView, "POST", f"/runs/{run_id}/pause")

    def resume(self, run_id: UUID | str) -> RunView:
        return self._call(RunView, "POST", f"/runs/{run_id}/resume")

    def clone(self, run_id: UUID | str, body: RunClone) -> RunView:
        return self._call(RunView, "POST", f"/runs/{run_id}/clone", body)

    def events(self, run_id: UUID | str) -> list[EventView]:
        return self._call(list[EventView], "GET", f"/runs/{run_id}/events")

    def logs(
        self,
        run_id: UUID | str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 500,
        level: LogLevel | None = None,
        search: str | None = None,
    ) -> list[LogLine]:
        """The lines after an id, or with -1 the last ones; at least of a level, with a text in them."""
        asked = {"after": after, "before": before, "limit": limit, "level": level, "search": search or None}
        params = {key: value for key, value in asked.items() if value is not None}
        return self._call(list[LogLine], "GET", f"/runs/{run_id}/logs", params=params)

    def whole_log(self, run_id: UUID | str) -> bytes:
        """Every line of the log, as text in UTF-8."""
        return self._send("GET", f"/runs/{run_id}/logs/download").content

    def lineage(self, run_id: UUID | str) -> Lineage:
        return self._call(Lineage, "GET", f"/runs/{run_id}/lineage")

    def compare(self, body: CompareQuery) -> Comparison:
        return self._call(Comparison, "POST", "/runs/compare", body)

    def curves(self, body: MetricQuery) -> list[Curve]:
        return self._call(list[Curve], "POST", "/metrics/query", body)

    def wait_for(
        self,
        run_id: UUID | str,
        *,
        timeout: float | None = None,
        tell: Callable[[RunView], None] | None = None,
    ) -> RunView:
        """Ask until the run is over; ``tell`` hears of each look. Raises ClientError after ``timeout`` seconds."""
        until = time.monotonic() + timeout if timeout else None
        while True:
            run = self.run(run_id)
            if tell:
                tell(run)
            if run.state.final:
                return run
            if until and time.monotonic() > until:
                raise ClientError(f"the run {run_id} is still {run.state} after {timeout:g} s")
            time.sleep(1)

    def artifact(self, artifact_id: UUID | str) -> ArtifactView:
        return self._call(ArtifactView, "GET", f"/artifacts/{artifact_id}")

    def artifact_files(self, artifact_id: UUID | str) -> list[ArtifactFile]:
        return self._call(list[ArtifactFile], "GET", f"/artifacts/{artifact_id}/files")

    def artifact_content(self, artifact_id: UUID | str, file: str | None = None) -> bytes:
        """A small artifact, or one file of a folder, as bytes."""
        params = {"file": file} if file is not None else {}
        return self._send("GET", f"/artifacts/{artifact_id}/content", params=params).content

    def artifact_head(self, artifact_id: UUID | str, limit: int, file: str | None = None) -> bytes:
        """The first bytes of an artifact, or of a file of a folder; at most ``limit``, whatever its size."""
        params = {"file": file} if file is not None else {}
        head = b""
        try:
            with self._http.stream("GET", f"/artifacts/{artifact_id}/content", params=params) as response:
                if response.is_error:
                    response.read()
                    raise _error(response)
                for chunk in response.iter_bytes():
                    head += chunk
                    if len(head) >= limit:
                        break
        except httpx.TransportError as error:
            raise Unreachable(f"the download from {self.url} broke off: {error}") from error
        return head[:limit]

    def download(self, artifact_id: UUID | str, target: Path, file: str | None = None) -> None:
        """Stream to a file; a whole folder comes as a tar. A file's SHA-256 is checked before it gets its name."""
        params = {"file": file} if file is not None else {}
        part = target.with_name(target.name + ".part")
        digest = hashlib.sha256()
        try:
            with self._http.stream("GET", f"/artifacts/{artifact_id}/content", params=params) as response:
                if response.is_error:
                    response.read()
                    raise _error(response)
                with part.open("wb") as write:
                    for chunk in response.iter_bytes():
                        digest.update(chunk)
                        write.write(chunk)
                expected = response.headers.get("etag", "").strip('"')
                is_tar = response.headers.get("content-type", "").startswith("application/x-tar")
        except httpx.TransportError as error:
            raise Unreachable(f"the download from {self.url} broke off: {error}") from error
        if not is_tar and digest.hexdigest() != expected:
            part.unlink()
            raise ClientError(f"the download of {artifact_id} is damaged; try again")
        part.replace(target)

    def models(
        self, *, search: str = "", task: str = "", offset: int = 0, limit: int = 1000
    ) -> list[ModelView]:
        """The default one first, then the newest."""
        params = {"search": search, "task": task, "offset": offset, "limit": limit}
        return self._call(list[ModelView], "GET", "/models", params=params)

    def model_card(self, model_id: UUID | str) -> ModelCardView:
        return self._call(ModelCardView, "GET", f"/models/{model_id}/card")

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """An answer that is read piece by piece; its error raises ApiError."""
        try:
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    raise _error(response)
                yield response
        except httpx.TransportError as error:
            raise Unreachable(f"the download from {self.url} broke off: {error}") from error

    def register_model(self, body: ModelCreate) -> ModelView:
        return self._call(ModelView, "POST", "/models", body)

    def update_model(self, model_id: UUID, body: ModelUpdate) -> ModelView:
        return self._call(ModelView, "PATCH", f"/models/{model_id}", body)

    def delete_model(self, model_id: UUID) -> None:
        self._send("DELETE", f"/models/{model_id}")

    def reports(self) -> list[ReportEntry]:
        """Every table and figure that the server can make."""
        return self._call(list[ReportEntry], "GET", "/reports")

    def report(self, name: str, format: str | None = None, **query: Any) -> bytes:
        """A table or figure as a file's content; published, only_run, tag, synthetic, task, protocol, backbone and
        method as the API takes them."""
        wanted = {key: value for key, value in {"format": format, **query}.items() if value not in (None, "")}
        return self._send("GET", f"/reports/{name}", params=wanted).content

    def report_data(self, name: str, **query: Any) -> dict[str, Any]:
        """The numbers of a table or figure; the shapes are ``vise_core.report``'s."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(dict[str, Any], "GET", f"/reports/{name}/data", params=wanted)

    def report_choices(self) -> Choices:
        """Tasks, protocols, backbones, methods and tags that reports can be narrowed down to."""
        return self._call(Choices, "GET", "/reports/choices")

    def evaluation_table(self, **query: Any) -> EvaluationTable:
        """The newest evaluation of each method, backbone, task and protocol; narrowed as ``report``."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(EvaluationTable, "GET", "/reports/results/data", params=wanted)

    def paired_test(self, a: UUID | str, b: UUID | str) -> PairedTest:
        """Two evaluations compared over their splits: a minus b."""
        return self._call(PairedTest, "GET", "/reports/paired", params={"a": str(a), "b": str(b)})

    def ablations(self) -> list[AblationSummary]:
        return self._call(list[AblationSummary], "GET", "/ablations")

    def ablation(self, ablation_id: UUID | str) -> AblationView:
        return self._call(AblationView, "GET", f"/ablations/{ablation_id}")

    def create_ablation(self, body: AblationCreate) -> AblationView:
        return self._call(AblationView, "POST", "/ablations", body)

    def update_ablation(self, ablation_id: UUID | str, body: AblationUpdate) -> AblationView:
        return self._call(AblationView, "PATCH", f"/ablations/{ablation_id}", body)

    def delete_ablation(self, ablation_id: UUID | str) -> None:
        self._send("DELETE", f"/ablations/{ablation_id}")

    def launch_point(self, ablation_id: UUID | str, number: int) -> RunView:
        """Start the runs that fill a missing point of an ablation."""
        return self._call(RunView, "POST", f"/ablations/{ablation_id}/points/{number}/launch")

    def predict(
        self,
        image: bytes,
        *,
        model_id: UUID | str | None = None,
        method: str = "cam",
        target_class: str | None = None,
        strength: float = 0.5,
        colour_map: str = COLOUR_MAP,
        overlay: bool = True,
        batch: UUID | str | None = None,
        position: int = 0,
        keep: bool = False,
        synthetic: bool = False,
        wait: float = 60,
    ) -> PredictionView:
        """Ask a model about an image; ``state`` is still queued where nobody answered within ``wait`` seconds."""
        form = {
            "model_id": model_id,
            "method": method,
            "target_class": target_class,
            "strength": strength,
            "colour_map": colour_map,
            "overlay": overlay,
            "batch": batch,
            "position": position,
            "keep": keep,
            "synthetic": synthetic,
        }
        return self._ask(PredictionView, "/predictions", image, form, wait)

    def prediction(self, prediction_id: UUID | str) -> PredictionView:
        return self._call(PredictionView, "GET", f"/predictions/{prediction_id}")

    def prediction_picture(self, prediction_id: UUID | str) -> bytes:
        """The image as a JPEG for eyes, until it is forgotten."""
        return self._send("GET", f"/predictions/{prediction_id}/picture").content

    def predictions(self, **query: Any) -> Page[PredictionSummary]:
        """One page of the history; model_id, batch, with_feedback, everyone, cursor, limit as the API takes them."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(Page[PredictionSummary], "GET", "/predictions", params=wanted)

    def delete_prediction(self, prediction_id: UUID | str) -> None:
        self._send("DELETE", f"/predictions/{prediction_id}")

    def give_feedback(self, prediction_id: UUID | str, label: str) -> PredictionView:
        """Say what the image is; its picture is then kept for the labelled set."""
        body = FeedbackCreate(label=label)
        return self._call(PredictionView, "PUT", f"/predictions/{prediction_id}/feedback", body)

    def take_feedback_back(self, prediction_id: UUID | str) -> PredictionView:
        return self._call(PredictionView, "DELETE", f"/predictions/{prediction_id}/feedback")

    def feedback(self, **query: Any) -> Page[FeedbackView]:
        """One page of the labelled set; task, cursor, limit."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(Page[FeedbackView], "GET", "/feedback", params=wanted)

    def feedback_counts(self) -> list[FeedbackCount]:
        return self._call(list[FeedbackCount], "GET", "/feedback/counts")

    def export_feedback(self, task: str) -> bytes:
        """The labelled set of a task as a tar: labels.csv and images."""
        return self._send("GET", "/feedback/export", params={"task": task}).content

    def engagement(
        self, image: bytes, *, run_id: UUID | str | None = None, top: int | None = None, wait: float = 60
    ) -> EngagementView:
        """Ask a pretrained model which comments and reactions it expects of an image."""
        return self._ask(EngagementView, "/engagement", image, {"run_id": run_id, "top": top}, wait)

    def engagement_models(self, search: str | None = None) -> list[EngagementModel]:
        params = {"search": search} if search else {}
        return self._call(list[EngagementModel], "GET", "/engagement/models", params=params)

    def explorers(self) -> list[ExplorerView]:
        return self._call(list[ExplorerView], "GET", "/explorers")

    def explorer(self, artifact_id: UUID | str) -> ExplorerView:
        return self._call(ExplorerView, "GET", f"/explorers/{artifact_id}")

    def clusters(self, artifact_id: UUID | str, kind: ClusterKind, **query: Any) -> ClusterPage:
        """Some clusters; search, sort, offset, limit as the API takes them."""
        wanted = {key: value for key, value in query.items() if value not in (None, "")}
        return self._call(ClusterPage, "GET", f"/explorers/{artifact_id}/{kind}", params=wanted)

    def cluster(self, artifact_id: UUID | str, kind: ClusterKind, cluster: int) -> ClusterDetail:
        return self._call(ClusterDetail, "GET", f"/explorers/{artifact_id}/{kind}/{cluster}")

    def cluster_map(self, artifact_id: UUID | str, kind: ClusterKind, search: str = "") -> ClusterPoints:
        params = {"search": search} if search else {}
        return self._call(ClusterPoints, "GET", f"/explorers/{artifact_id}/{kind}/map", params=params)

    def _ask(self, kind: type[Asked], path: str, image: bytes, form: dict[str, Any], wait: float) -> Asked:
        """Upload an image; look again where the server answered 202, until ``wait`` seconds are over."""
        until = time.monotonic() + wait
        given = {
            key: value if isinstance(value, str) else str(value)
            for key, value in {**form, "wait": min(wait, 20)}.items()
            if value is not None
        }
        files = {"image": ("image", image, "application/octet-stream")}
        found = self._call(kind, "POST", path, data=given, files=files)
        while found.state == "queued" and time.monotonic() < until:
            time.sleep(0.5)
            found = self._call(kind, "GET", f"{path}/{found.id}")
        if found.state == "failed":
            raise ApiError(Problem(title="No answer", status=422, detail=found.error or "no answer"))
        return found

    def _call(
        self, kind: type[T], method: str, path: str, body: BaseModel | None = None, **options: Any
    ) -> T:
        if body is not None:
            options["content"] = body.model_dump_json()
            options["headers"] = {"Content-Type": "application/json"}
        return TypeAdapter(kind).validate_json(self._send(method, path, **options).content)

    def _send(self, method: str, path: str, *, problems: bool = True, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(
                f"no server answers at {self.url}: start it with `vise up` ({error})"
            ) from error
        if problems and response.is_error:
            raise _error(response)
        return response


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in query.items() if value not in (None, [], "")}


def _error(response: httpx.Response) -> ApiError:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValueError:
        problem = Problem(
            title=response.reason_phrase, status=response.status_code, detail=response.text[:500]
        )
    return NotSignedIn(problem) if problem.status == 401 else ApiError(problem)
