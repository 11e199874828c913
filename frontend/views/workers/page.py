"""Workers: who is there to run what, and who waits for somebody."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from frontend.components.layout import empty, page_title, problem
from frontend.formatting import age
from frontend.session import client, show_errors
from vise_client.schemas.workers import QueueView, WorkerView

SHOWN = 100


@st.fragment(run_every=5)
def live() -> None:
    """Queues and workers, asked anew every few seconds."""
    with show_errors():
        queues, workers = client().queues(), client().workers()
        now = datetime.now(UTC)
        for queue in queues:
            _warning(queue, now)
        st.header("Queues", anchor=False)
        st.dataframe(
            [
                {
                    "queue": queue.name,
                    "in line": queue.waiting,
                    "first waits for": age(now, queue.oldest_at) if queue.oldest_at else "–",
                    "running": queue.running,
                    "workers": queue.workers,
                }
                for queue in queues
            ],
            hide_index=True,
            key="workers.queues",
        )
        st.header("Workers", anchor=False)
        if not workers:
            empty(
                "No worker has ever reported here.",
                "Start one with `vise worker --queues cpu,gpu` on a machine that reaches the database and the broker.",
                icon=":material/dns:",
            )
        for worker in sorted(workers, key=lambda one: (not one.alive, one.name))[:SHOWN]:
            _worker(worker, now)
        if len(workers) > SHOWN:
            st.caption(f"{len(workers) - SHOWN} more, which are silent, are not shown.")


def _warning(queue: QueueView, now: datetime) -> None:
    if queue.waiting and not queue.workers:
        runs = "run waits" if queue.waiting == 1 else "runs wait"
        since = f", the first since {age(now, queue.oldest_at)}" if queue.oldest_at else ""
        problem(
            f"No worker for queue {queue.name}: {queue.waiting} {runs}{since}.",
            f"Start one where there is {'a GPU' if queue.name == 'gpu' else 'room'}: "
            f"`vise worker --queues {queue.name}`.",
        )


def _worker(worker: WorkerView, now: datetime) -> None:
    with st.container(border=True, key=f"row-{worker.name}"):
        state = (
            ":green-badge[:material/check: alive]"
            if worker.alive
            else f":red-badge[:material/heart_broken: silent for {age(now, worker.heartbeat_at)}]"
        )
        gpu = ":material/memory:" if not worker.device.startswith("cpu") else ":material/developer_board:"
        st.markdown(f"**`{worker.name}`** {state}")
        heard = f"heartbeat {age(now, worker.heartbeat_at)} ago"
        since = f", up for {age(now, worker.started_at)}" if worker.started_at and worker.alive else ""
        st.caption(f"{gpu} {worker.device} · serves {', '.join(worker.queues)} · {heard}{since}")
        if worker.run_id is not None and worker.alive:
            st.page_link(
                "views/run/page.py",
                label=f"Runs: {worker.run_name or worker.run_id}",
                icon=":material/play_arrow:",
                query_params={"run": str(worker.run_id)},
            )
        elif worker.alive:
            st.caption("Waits for work.")


page_title(
    "Workers", "Machines that run what is in line: what each does, when it was last heard of, who waits."
)
live()
