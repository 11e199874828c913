"""Send hostile files through the real routes, and judge what comes of each."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.case import Case
from tests.hostile.stack import Site
from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.runs import RunView
from vise_core.data.archives import most_of_archive
from vise_core.posts.images.helper import MEMORY_BYTES, SECONDS
from vise_core.specs.fetch import UnpackLimits
from vise_core.specs.recipes.inputs import InputRef

PATIENCE = 240.0
"""Seconds that one run may take on a busy machine."""
HELPER_BYTES = MEMORY_BYTES + 200 * 2**20
"""A helper's interpreter and libraries, and the limit of what an image adds to them."""
RUN_BYTES = 2 * 2**30
"""A run's process with torch, which takes half of it."""

FILE_SECONDS = 240.0
"""Processor time of unpacking and reading one small file, and of all else that the stack does meanwhile."""
SLACK_BYTES = 256 * 2**20
"""What the stack writes besides: logs, compiled code, the model of an evaluation, other users' images."""


@dataclass
class Outcome:
    """What came of a file.

    ``said``: why it was rejected, or empty. ``faults``: bounds that it broke. ``seconds`` of processor time, ``peak`` memory
    of a run's process in bytes, ``helper`` of a decoding helper, ``written`` bytes.
    """

    case: Case
    state: str
    said: str
    seconds: float
    peak: int
    helper: int
    written: int
    faults: list[str] = field(default_factory=list)


def drive(site: Site, case: Case) -> Outcome:
    """Send one file, wait for what comes of it, and measure."""
    data = case.build()
    site.watch.forget()
    before, responses = site.watch.seconds(), len(site.statuses)
    decoded_before = site.watch.seconds(helpers=True)
    written_before = site.watch.written()
    faults: list[str] = []
    try:
        state, said = SEND[case.kind](site.vise, case, data, faults)
    except ApiError as error:
        state, said = f"HTTP {error.status}", error.problem.detail or error.problem.title
    except ClientError as error:
        state, said = "no end", str(error)
        faults.append(said)
    site.watch.look()
    outcome = Outcome(
        case,
        state,
        said,
        site.watch.seconds() - before,
        site.watch.peak(helpers=False),
        site.watch.peak(helpers=True),
        site.watch.written() - written_before,
        faults,
    )
    faults += [f"status {status}" for status in site.statuses[responses:] if status >= 500]
    if outcome.helper > HELPER_BYTES:
        faults.append(f"a helper took {outcome.helper / 2**20:.0f} MB")
    if outcome.peak > RUN_BYTES:
        faults.append(f"a process took {outcome.peak / 2**20:.0f} MB")
    # What all processes took has what they do for others meanwhile, which on busy cores is a long time.
    decoding = site.watch.seconds(helpers=True) - decoded_before
    if case.kind == "picture" and decoding > SECONDS + 1:
        faults.append(f"took {decoding:.1f} s of processor time")
    if case.kind != "picture" and outcome.seconds > FILE_SECONDS:
        faults.append(f"took {outcome.seconds:.0f} s of processor time")
    if outcome.written > most_written(case, len(data)):
        faults.append(f"{outcome.written / 2**20:,.0f} MB were written")
    return outcome


def most_written(case: Case, size: int) -> int:
    """Bytes that may be written for a file: a few copies of it, and two of what an archive may unpack to."""
    unpacked = 0 if case.kind in ("picture", "checkpoint") else most_of_archive(size, UnpackLimits())
    return 6 * size + 2 * unpacked + SLACK_BYTES


def _picture(vise: ViseClient, case: Case, data: bytes, faults: list[str]) -> tuple[str, str]:
    view = vise.predict(data, overlay=False, wait=PATIENCE)
    if view.state == "queued":
        faults.append("no answer")
    return view.state, view.error or ""


def _archive(
    vise: ViseClient, case: Case, data: bytes, faults: list[str], kind: Any = "images"
) -> tuple[str, str]:
    run, _ = _uploaded(vise, case, data, faults, kind)
    return run.state.value, run.reason or ""


def _checkpoint(vise: ViseClient, case: Case, data: bytes, faults: list[str]) -> tuple[str, str]:
    run, dataset = _uploaded(vise, case, data, faults, "weights")
    if run.state.value == "succeeded":
        run = _run(vise, faults, "import", {}, "file", dataset)
    return run.state.value, run.reason or ""


def _posts(vise: ViseClient, case: Case, data: bytes, faults: list[str]) -> tuple[str, str]:
    run, dataset = _uploaded(vise, case, data, faults, "posts")
    if run.state.value == "succeeded":
        found = vise.dataset(dataset).survey
        source = found.source if found is not None else None
        run = _run(vise, faults, "ingest", {"source": source} if source else {}, "source", dataset)
    return run.state.value, run.reason or _rejected(run)


def _table(vise: ViseClient, case: Case, data: bytes, faults: list[str]) -> tuple[str, str]:
    run, dataset = _uploaded(vise, case, data, faults, "images")
    found = vise.dataset(dataset).survey
    if run.state.value == "succeeded" and found is not None and found.task is not None:
        spec = {
            "task": found.task.model_dump(mode="json"),
            "weights": {"kind": "random", "backbone": "resnet18"},
        }
        run = _run(vise, faults, "evaluate", spec, "dataset", dataset)
    return run.state.value, run.reason or _rejected(run)


SEND = {"picture": _picture, "archive": _archive, "checkpoint": _checkpoint, "posts": _posts, "table": _table}


def _uploaded(vise: ViseClient, case: Case, data: bytes, faults: list[str], kind: Any) -> tuple[RunView, Any]:
    view = vise.upload_dataset(f"{case.kind}: {case.name}"[:120], case.file, io.BytesIO(data), kind=kind)
    assert view.run_id is not None
    return _ended(vise, view.run_id, faults), view.id


def _run(
    vise: ViseClient, faults: list[str], stage: str, spec: dict[str, Any], role: str, dataset: Any
) -> RunView:
    body = RunCreate(stage=stage, spec=spec, inputs={role: InputRef(dataset=dataset)})
    return _ended(vise, vise.create_run(body).id, faults)


def _ended(vise: ViseClient, run_id: Any, faults: list[str]) -> RunView:
    try:
        run = vise.wait_for(run_id, timeout=PATIENCE)
    except ClientError:
        vise.cancel(run_id)
        raise
    if run.error:
        faults.append(f"{run.stage} crashed: {run.error.strip().splitlines()[-1][:200]}")
    if run.attempt > 1:
        faults.append(f"{run.stage} took {run.attempt} attempts")
    return run


def _rejected(run: RunView) -> str:
    rejected = (run.result or {}).get("rejected") or {}
    return ", ".join(f"{reason} {count}" for reason, count in rejected.items())
