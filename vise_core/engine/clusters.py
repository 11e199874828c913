"""Dask clusters: one that is started on this host for a stage, and one that the host's settings name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import dask
from distributed import Client, LocalCluster
from distributed.comm.core import FatalCommClosedError
from distributed.security import Security

from vise_core import provenance
from vise_core.errors import BadInput, ClusterLost
from vise_core.settings import CoreSettings

from .dask_engine import DaskEngine, Surroundings

log = logging.getLogger("vise")
CONNECT_SECONDS = 15
WORKERS_SECONDS = 60
DEATHS = 2
"""Processes of this host that may die of a task before it is given up."""


@contextmanager
def local_cluster(processes: int, poll: Callable[[], object]) -> Iterator[DaskEngine]:
    """Start a scheduler here and workers as processes of this host, on loopback, with certificates of their own."""
    limits = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.scheduler.worker-ttl": None,
        # A busy host takes long to start a process again.
        "distributed.deploy.lost-worker-timeout": f"{WORKERS_SECONDS} s",
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(limits))
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=stack.enter_context(
                TemporaryDirectory(prefix="vise-dask-", ignore_cleanup_errors=True)
            ),
            silence_logs=logging.ERROR,
        )
        stack.callback(_close, cluster)
        scheduler = cluster.scheduler
        assert scheduler is not None
        client = Client(cluster)
        stack.callback(_close, client)

        def keep_up() -> None:
            poll()
            # Dask gives up a process that dies while it starts.
            if len(scheduler.workers) < processes:
                cluster.scale(processes)

        yield DaskEngine(client, keep_up)


def _close(part: Client | LocalCluster) -> None:
    """Close a client or cluster. What does not end now, on a busy host or without its scheduler, ends with this process."""
    try:
        part.close()
    # A client that is just connecting again fails in many ways, none of which is why the run ends.
    except Exception as error:
        log.warning("%s was not closed: %s", part, error)


@contextmanager
def host_cluster(
    settings: CoreSettings, workspace: Path, inputs: Collection[Path], poll: Callable[[], object]
) -> Iterator[DaskEngine]:
    """Connect to the scheduler of this host's settings, whose workers must see the workspace and the inputs."""
    security = _security(settings)
    address = settings.dask_scheduler
    try:
        client = Client(address, security=security, timeout=CONNECT_SECONDS, set_as_default=False)
    except FatalCommClosedError as error:
        raise BadInput(
            f"the Dask scheduler {address} cannot be trusted, or does not trust us: {error}"
        ) from error
    except (OSError, TimeoutError) as error:
        raise ClusterLost(f"the Dask scheduler {address} does not answer: {error}") from error
    with ExitStack() as stack:
        stack.callback(_close, client)
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            client.get_versions(check=True)
        except TimeoutError as error:
            raise ClusterLost(f"the Dask scheduler {address} has no workers") from error
        except ValueError as error:
            raise BadInput(
                f"the Dask cluster {address} has other versions than this host: {error}"
            ) from error
        with _seen(workspace) as mark:
            yield DaskEngine(client, poll, Surroundings(**provenance.software(), paths=(mark, *inputs)))


def _security(settings: CoreSettings) -> Security | None:
    """Return the certificates for the scheduler; None where it listens on loopback without TLS.

    Raises BadInput for any other address without TLS: any client that reaches it could run code as this account.
    """
    address = urlsplit(settings.dask_scheduler)
    files = {
        "VISE_DASK_CA": settings.dask_ca,
        "VISE_DASK_CERTIFICATE": settings.dask_certificate,
        "VISE_DASK_KEY": settings.dask_key,
    }
    if address.scheme == "tcp" and _is_loopback(address.hostname or ""):
        return None
    if address.scheme != "tls":
        raise BadInput(
            f"VISE_DASK_SCHEDULER is {settings.dask_scheduler}: give a tls:// address; tcp:// is for loopback only"
        )
    for variable, path in files.items():
        if path is None or not path.is_file():
            raise BadInput(f"VISE_DASK_SCHEDULER is tls://, so that {variable} must name a PEM file")
    return Security(
        tls_ca_file=str(settings.dask_ca),
        tls_client_cert=str(settings.dask_certificate),
        tls_client_key=str(settings.dask_key),
        require_encryption=True,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _seen(folder: Path) -> Iterator[Path]:
    """Yield an empty file in the folder, by which workers tell that they see it."""
    mark = folder / f".engine-{uuid4().hex}"
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)
