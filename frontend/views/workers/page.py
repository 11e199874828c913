"""Workers: the queues, and the workers that serve them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from frontend.components.layout import empty, page_title, problem
from frontend.components.run_rows import run_link
from frontend.components.table import show_rows
from frontend.formatting import age, code_span, count, plain
from frontend.session import client, show_errors
from vise_client.schemas.workers import QueueView, WorkerView

SHOWN = 100


@st.fragment(run_every=5)
def queues_and_workers() -> None:
    """Draw the queues and the workers."""
    with show_errors():
        queues, workers, now = client().queues(), client().workers(), datetime.now(UTC)
        for queue in queues:
            if queue.waiting and not queue.workers:
                _queue_without_worker(queue, now)
        st.header("Queues", anchor=False)
        _queue_table(queues, now)
        st.header("Workers", anchor=False)
        if not workers:
            empty(
                "No workers yet",
                "Start one with `vise worker --queues cpu,gpu` on a host that reaches the database and the broker. "
                "It appears here with its first heartbeat.",
                icon=":material/dns:",
            )
        for worker in sorted(workers, key=lambda worker: (not worker.alive, worker.name))[:SHOWN]:
            _worker(worker, now)
        if len(workers) > SHOWN:
            st.caption(f"{len(workers) - SHOWN} more workers are not shown.")


def _queue_without_worker(queue: QueueView, now: datetime) -> None:
    since = f", the first for {age(now, queue.oldest_at)}" if queue.oldest_at else ""
    problem(
        f"No worker serves the queue {plain(queue.name)}: {count(queue.waiting, 'run')} queued{since}.",
        f"Start one{' on a host with a GPU' if queue.name == 'gpu' else ''}: {code_span(f'vise worker --queues {queue.name}')}.",
    )


def _queue_table(queues: Sequence[QueueView], now: datetime) -> None:
    rows = [
        {
            "queue": queue.name,
            "queued": queue.waiting,
            "longest wait": age(now, queue.oldest_at) if queue.oldest_at else "–",
            "running": queue.running,
            "workers": queue.workers,
        }
        for queue in queues
    ]
    show_rows(rows, hide_index=True, key="workers.queues")


def _worker(worker: WorkerView, now: datetime) -> None:
    with st.container(border=True, key=f"row-{worker.name}"):
        heartbeat = age(now, worker.heartbeat_at)
        state = ":green-badge[:material/check: alive]"
        if not worker.alive:
            state = f":red-badge[:material/heart_broken: no heartbeat for {heartbeat}]"
        elif not worker.hears:
            state = (
                ":red-badge[:material/hearing_disabled: deaf: messages through the broker do not reach it]"
            )
        if worker.alive and worker.differs:
            state += " :orange-badge[:material/sync_problem: another version]"
        st.markdown(f"**{code_span(worker.name)}** {state}")
        icon = ":material/developer_board:" if worker.device.startswith("cpu") else ":material/memory:"
        uptime = f", up for {age(now, worker.started_at)}" if worker.started_at and worker.alive else ""
        st.caption(
            f"{icon} {plain(worker.device)} · serves {plain(', '.join(worker.queues))} · last heartbeat {heartbeat} ago{uptime}{_program(worker)}"
        )
        if worker.alive and worker.differs:
            st.caption(plain(worker.differs[0].upper() + worker.differs[1:] + "."))
        if worker.run_id is not None and worker.alive:
            run_link(
                worker.run_id,
                f"Run: {plain(worker.run_name or str(worker.run_id))}",
                icon=":material/play_arrow:",
            )
        elif worker.alive:
            st.caption("Idle.")


def _program(worker: WorkerView) -> str:
    """Return the version of a worker and of the tables that it knows, for its caption."""
    return f" · version {plain(worker.version)}, tables {plain(worker.revision)}" if worker.version else ""


page_title("Workers", "The queues, the workers that serve them, and what each worker is doing.")
queues_and_workers()
