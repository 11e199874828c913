"""Processes that train one network together, started by torchrun or by rank 0."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from vise_core.device import pick_device
from vise_core.errors import BadInput, Stopped
from vise_core.specs.compute import Device

TIMEOUT = timedelta(minutes=10)
"""Time after which a collective fails where other processes have not joined."""


@dataclass(frozen=True)
class Group:
    """This process and its rank among the processes that train together; a single process by default.

    Attributes
    ----------
    rank: number of this process, 0 to world - 1.
    world: number of processes.
    device: the device of this process.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_leader(self) -> bool:
        """Whether this process is the leader, rank 0, the only one that reports and writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the elementwise sum over all processes, of the shape of ``values``."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def min(self, values: Tensor) -> Tensor:
        """Return the elementwise minimum over all processes, of the shape of ``values``."""
        return self._reduce(values, dist.ReduceOp.MIN)

    def _reduce(self, values: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        if self.world == 1:
            return values
        reduced = values.clone()
        dist.all_reduce(reduced, operation)
        return reduced

    def gather(self, values: Tensor) -> Tensor:
        """Concatenate the values of all processes in order of rank, (n, …) → (n * world, …), without a gradient.

        ``values`` must have the same shape in every process.
        """
        if self.world == 1:
            return values
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(self.world)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def broadcast(self, value: int) -> int:
        """Return rank 0's value in every process. Uses the CPU backend, so that no GPU is waited for."""
        if self.world == 1:
            return value
        message = torch.tensor([value])
        dist.broadcast(message, 0)
        return int(message)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return ``network``, wrapped in DistributedDataParallel where there are several processes.

        Buffers are not synchronised: batch statistics are those of each rank, and other buffers must be the same in
        all ranks.
        """
        if self.world == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, forward_sync_buffers=False)

    def reduce_gradients(self, model: nn.Module, now: bool) -> AbstractContextManager[None]:
        """Return a context for a backward pass: with ``now`` its gradients are averaged over all processes.

        Without ``now`` gradients accumulate in this process, and are averaged in the next pass with ``now``.
        """
        return nullcontext() if now or self.world == 1 else cast(DistributedDataParallel, model).no_sync()


def process_device(chosen: Device, local_rank: int = 0) -> torch.device:
    """Return the device of the process ``local_rank`` of this host. Raises BadInput where it has no GPU of its own."""
    kind = pick_device(chosen)
    if kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise BadInput(
            f"compute: process {local_rank + 1} needs a GPU of its own, and {count} are visible; "
            "lower compute.processes or choose the device cpu"
        )
    return torch.device("cuda", local_rank)


@contextmanager
def process_group(
    chosen: Device, processes: int, work: Callable[..., None], *args: object
) -> Iterator[Group]:
    """Yield this process's Group, and start the other processes where it is the first.

    Under torchrun (RANK and WORLD_SIZE are set) this process joins the others. Otherwise, for more than one
    process, this one becomes rank 0 and starts the others, each of which calls ``work(group, *args)``;
    both must be picklable. A process that dies breaks the collectives of the others, which then end too.
    Raises BadInput where a process has no device, or failed with BadInput itself.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        device = process_device(chosen, int(os.environ.get("LOCAL_RANK", "0")))
        _join(device, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), None)
        try:
            yield Group(dist.get_rank(), dist.get_world_size(), device)
        finally:
            dist.destroy_process_group()
        return
    if processes == 1:
        yield Group(device=process_device(chosen))
        return
    process_device(chosen, processes - 1)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT)
    context = multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    # Not daemons: their loaders may start processes too.
    others = [
        context.Process(target=_member, args=(rank, processes, store.port, failures, chosen, work, *args))
        for rank in range(1, processes)
    ]
    threads = torch.get_num_threads()
    for process in others:
        process.start()
    try:
        device = process_device(chosen)
        if device.type == "cpu":
            torch.set_num_threads(max(1, threads // processes))
        _wait_for(others, store)
        _join(device, 0, processes, store)
        yield Group(0, processes, device)
        for process in others:
            process.join()
    except RuntimeError as error:
        # Mostly a collective that broke because another process failed: report that process's error instead.
        for process in others:
            process.join(5)
        if not failures.empty():
            raise BadInput(failures.get()) from error
        raise
    finally:
        for process in others:
            process.terminate()
            process.join()
        if dist.is_initialized():
            dist.destroy_process_group()
        torch.set_num_threads(threads)


def _member(
    rank: int,
    world: int,
    port: int,
    failures: SimpleQueue[str],
    chosen: Device,
    work: Callable[..., None],
    *args: object,
) -> None:
    device = process_device(chosen, rank)
    if device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // world))
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=TIMEOUT)
    store.set(_ready(rank), "")
    _join(device, rank, world, store)
    try:
        work(Group(rank, world, device), *args)
    except Stopped:
        pass  # Rank 0 raises it too, and reports it.
    except BadInput as error:
        failures.put(str(error))
        sys.exit(1)
    dist.destroy_process_group()


def _wait_for(others: Sequence[BaseProcess], store: Store) -> None:
    """Return once every other process has reached the store. Raises RuntimeError where one has ended before that."""
    for rank, process in enumerate(others, 1):
        while not store.check([_ready(rank)]):
            if not process.is_alive() and not store.check([_ready(rank)]):
                raise RuntimeError(f"process {rank} ended with exit code {process.exitcode} before it joined")
            time.sleep(0.05)


def _ready(rank: int) -> str:
    return f"ready/{rank}"


def _join(device: torch.device, rank: int, world: int, store: Store | None) -> None:
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    if store is None:
        dist.init_process_group(backend, timeout=TIMEOUT)
    else:
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    # A barrier: a process that ended early would leave the others waiting in their set-up.
    dist.all_reduce(torch.zeros(1))
