"""Operations on runs: list, read, control, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import ClientError
from ..operation import Id, conversation, delete, get, patch, post
from ..schemas.artifacts import ArtifactView
from ..schemas.comparison import CompareQuery, Comparison
from ..schemas.derived import Derived
from ..schemas.lineage import Lineage
from ..schemas.metrics import Curve, MetricQuery
from ..schemas.run_states import RunKind, RunState
from ..schemas.runs import (
    BulkOutcome,
    BulkRequest,
    EventView,
    LogLevel,
    LogLine,
    RunPage,
    RunUpdate,
    RunView,
)
from ..sender import Pause, Steps

POLL_SECONDS = 1.0


class RunOperations:
    """List, follow, control and compare runs."""

    @get("/runs")
    def runs(
        self,
        *,
        state: Sequence[RunState | str] | None = None,
        stage: str | None = None,
        kind: RunKind | None = None,
        parent: Id | None = None,
        tag: str | None = None,
        search: str | None = None,
        all: bool = False,
        query: str = "",
        sort: str = "-created",
        column: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
    ) -> RunPage:
        """Return one page of runs, by default the newest first.

        Args:
            state: runs in any of these states.
            search: a part of the name, or a tag.
            all: include the child runs of recipes and sweeps.
            query: an expression, such as ``stage = pretrain and spec.base_lr < 0.01 and not archived``.
            sort: created, name, state, stage, duration, started, finished, ``spec.…`` or ``metric.…``; with ``-`` in
                front descending.
            column: values to add to each row: ``spec.…``, ``metric.…`` or ``metric.…:max``.
            count: also return the number of runs on all pages.
        """

    @get("/runs/{run_id}")
    def run(self, run_id: Id) -> RunView:
        """Return a run with its spec, inputs, result, artifacts, latest metrics and children."""

    @patch("/runs/{run_id}")
    def update_run(self, run_id: Id, body: RunUpdate) -> RunView:
        """Change a run's name, tags or notes; star or archive it."""

    @get("/runs/{run_id}/derived")
    def run_derived(self, run_id: Id, *, offset: int = 0, limit: int = 100) -> Derived:
        """Return what depends on a run, and what becomes of each when it is deleted."""

    @delete("/runs/{run_id}")
    def delete_run(self, run_id: Id) -> None:
        """Delete a finished run with its metrics and logs."""

    @post("/runs/{run_id}/cancel")
    def cancel(self, run_id: Id) -> RunView:
        """Cancel a run: a running one first saves its state, a queued one ends at once."""

    @post("/runs/{run_id}/pause")
    def pause(self, run_id: Id) -> RunView:
        """Pause a run, or the children of a recipe or sweep, after its state is saved."""

    @post("/runs/{run_id}/resume")
    def resume(self, run_id: Id) -> RunView:
        """Queue a paused run again; it continues from its last checkpoint."""

    @post("/runs/{run_id}/retry")
    def retry(self, run_id: Id) -> RunView:
        """Queue a failed or cancelled run again; it continues from its last checkpoint."""

    @post("/runs/bulk")
    def bulk(self, body: BulkRequest) -> list[BulkOutcome]:
        """Apply one action to many runs. Each outcome says whether the action was applied, and why not."""

    @get("/runs/{run_id}/events")
    def events(self, run_id: Id) -> list[EventView]:
        """Return the changes of a run's state, oldest first."""

    @get("/runs/{run_id}/logs")
    def logs(
        self,
        run_id: Id,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 500,
        level: LogLevel | None = None,
        search: str | None = None,
    ) -> list[LogLine]:
        """Return log lines of a run, oldest first.

        Args:
            after: lines after the line with this id; -1 for the last lines.
            before: the last lines before the line with this id.
            level: lines of at least this level.
            search: a part of the line.
        """

    @get("/runs/{run_id}/logs/download")
    def download_log(self, run_id: Id) -> bytes:
        """Return the whole log of a run as UTF-8 text."""

    @get("/runs/{run_id}/lineage")
    def lineage(self, run_id: Id) -> Lineage:
        """Return the data sets and runs that a run was made from, and the runs and models made from it."""

    @get("/runs/{run_id}/artifacts")
    def run_artifacts(self, run_id: Id) -> list[ArtifactView]:
        """Return the artifacts of a run."""

    @post("/runs/compare")
    def compare(self, body: CompareQuery) -> Comparison:
        """Compare up to 100 runs: their parameters, metrics, and which parameters go with a metric."""

    @post("/metrics/query")
    def curves(self, body: MetricQuery) -> list[Curve]:
        """Return metric curves of up to 100 runs, down-sampled so that minima and maxima stay."""

    @conversation
    def wait_for(
        self,
        run_id: Id,
        *,
        timeout: float | None = None,
        on_update: Callable[[RunView], None] | None = None,
    ) -> Steps[RunView]:
        """Wait until a run has succeeded, failed or been cancelled, and return it.

        Args:
            timeout: seconds after which ClientError is raised; None waits without limit.
            on_update: called with the run each time it was read, about once a second.
        """
        deadline = time.monotonic() + timeout if timeout else None
        while True:
            run = RunOperations.run.result((yield RunOperations.run.request(run_id)))
            if on_update:
                on_update(run)
            if run.state.final:
                return run
            if deadline and time.monotonic() > deadline:
                raise ClientError(f"the run {run_id} is still {run.state} after {timeout:g} s")
            yield Pause(POLL_SECONDS)
