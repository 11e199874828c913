"""Engines: where a data stage computes, in this process, in several processes of this host or on a Dask cluster.

A stage gives an engine functions and their items, such as shards. Results do not depend on where they are computed: an
item is computed again where a process dies, and results are joined exactly. Items travel as names of files, so that every
process must see the files of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar

from vise_core.errors import BadInput
from vise_core.settings import CoreSettings
from vise_core.specs.compute import EngineCompute

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Applies functions to items. A function is one of a module, or a ``partial`` of one; ``name`` names an item."""

    def finished(
        self, function: Callable[[T], R], items: Sequence[T], name: Callable[[T], str]
    ) -> Iterator[R]:
        """Yield the result of each item as soon as it is there, in any order.

        Raises WorkerKilled for items that kill every process, by name, after the results of all others.
        """

    def ordered(
        self, function: Callable[[T], R], items: Iterable[T], name: Callable[[T], str]
    ) -> Iterator[R]:
        """Yield the results of a stream of items in their order, reading as far ahead as keeps all processes busy.

        An error of ``items`` is raised after the results of the items before it. Raises WorkerKilled as ``finished`` does,
        at the item's place.
        """

    def reduced(
        self,
        function: Callable[[T], R],
        join: Callable[[list[R]], R],
        items: Sequence[T],
        name: Callable[[T], str],
    ) -> R:
        """Return ``join`` of the results of all items, in their order.

        ``join`` must give the same bits if consecutive results are joined first, as a tree of tasks does.
        """


class Inline:
    """Computes in this process."""

    def finished(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        name: Callable[[T], str],  # noqa: ARG002 - part of the protocol
    ) -> Iterator[R]:
        yield from map(function, items)

    def ordered(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        name: Callable[[T], str],  # noqa: ARG002 - part of the protocol
    ) -> Iterator[R]:
        yield from map(function, items)

    def reduced(
        self,
        function: Callable[[T], R],
        join: Callable[[list[R]], R],
        items: Sequence[T],
        name: Callable[[T], str],  # noqa: ARG002 - part of the protocol
    ) -> R:
        return join([function(item) for item in items])


@contextmanager
def engine(
    compute: EngineCompute, workspace: Path, inputs: Collection[Path], poll: Callable[[], object]
) -> Iterator[Engine]:
    """Yield the engine that ``compute`` asks for.

    Parameters
    ----------
    workspace, inputs: what all processes of the engine must see.
    poll: called while results of other processes are awaited; may raise, which ends the work.

    Raises BadInput where the engine cannot be used as it is set up, and ClusterLost where its cluster does not answer.
    """
    settings = CoreSettings()
    if compute.engine == "cluster" and not settings.dask_scheduler:
        raise BadInput(
            "compute.engine is cluster, but this host names none: set VISE_DASK_SCHEDULER, or choose auto or local"
        )
    if settings.dask_scheduler and compute.engine != "local":
        _require_dask()
        from .clusters import host_cluster

        with host_cluster(settings, workspace, inputs, poll) as cluster:
            yield cluster
    elif compute.processes > 1:
        _require_dask()
        from .clusters import local_cluster

        with local_cluster(compute.processes, poll) as cluster:
            yield cluster
    else:
        yield Inline()


def _require_dask() -> None:
    """Raise BadInput if Dask is not installed, which one process on one machine does without."""
    if find_spec("distributed") is None or find_spec("cryptography") is None:
        raise BadInput(
            "several processes and clusters need Dask: pip install 'vise-studio[cluster]', or set compute.processes to 1"
        )
