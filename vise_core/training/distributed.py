"""Several processes that train one model: started by torchrun, or by rank 0 itself."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue

import torch
import torch.distributed as dist
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]

from vise_core.errors import BadInput, Stopped
from vise_core.specs.base import Compute

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Rank 0 alone reports and writes."""
        return self.rank == 0

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over all processes."""
        if self.world == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def least(self, values: torch.Tensor) -> torch.Tensor:
        """The least over all processes."""
        if self.world == 1:
            return values
        found = values.clone()
        dist.all_reduce(found, dist.ReduceOp.MIN)
        return found

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """The values of all processes one after the other, (n, …) → (n * world, …); no gradient goes through.

        Every process must give the same shape.
        """
        if self.world == 1:
            return values
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(self.world)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def agree(self, value: int) -> int:
        """Rank 0's value, in every process. Goes over the CPU, so a GPU need not catch up."""
        if self.world == 1:
            return value
        told = torch.tensor([value])
        dist.broadcast(told, 0)
        return int(told)


def device_of(compute: Compute, local_rank: int = 0) -> torch.device:
    """The device of one process. Raises BadInput where it does not exist."""
    if compute.device == "cpu" or (compute.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise BadInput(
            f"compute: process {local_rank + 1} needs a GPU of its own, and {count} are visible; "
            "lower compute.processes or choose the device cpu"
        )
    return torch.device("cuda", local_rank)


@contextmanager
def process_group(compute: Compute, work: Callable[..., None], *args: object) -> Iterator[Group]:
    """The group that ``compute`` asks for.

    Under torchrun (RANK and WORLD_SIZE are set) this process joins the others. Else, for more than one
    process, this one becomes rank 0 and starts the others, each of which calls ``work(group, *args)``;
    both must be picklable. A process that dies breaks the collectives of the others, which then end too.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        device = device_of(compute, int(os.environ.get("LOCAL_RANK", "0")))
        _join(device, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), None)
        try:
            yield Group(dist.get_rank(), dist.get_world_size(), device)
        finally:
            dist.destroy_process_group()
        return
    world = compute.processes
    if world == 1:
        yield Group(device=device_of(compute))
        return
    device_of(compute, world - 1)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT)
    context = multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    # Not daemons: their loaders may start processes too.
    others = [
        context.Process(target=_member, args=(rank, world, store.port, failures, compute, work, *args))
        for rank in range(1, world)
    ]
    threads = torch.get_num_threads()
    for process in others:
        process.start()
    try:
        device = device_of(compute)
        if device.type == "cpu":
            torch.set_num_threads(max(1, threads // world))
        _wait_for(others, store)
        _join(device, 0, world, store)
        yield Group(0, world, device)
        for process in others:
            process.join()
    except RuntimeError as error:
        # Most often a collective that broke since another process ended: its own reason says more.
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
    compute: Compute,
    work: Callable[..., None],
    *args: object,
) -> None:
    device = device_of(compute, rank)
    if device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // world))
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=TIMEOUT)
    store.set(_ready(rank), "")
    _join(device, rank, world, store)
    try:
        work(Group(rank, world, device), *args)
    except Stopped:
        pass  # rank 0 was asked to, and says so
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
    # Leave no process behind in the set-up: one that ends as soon as it has joined would let the others wait there.
    dist.all_reduce(torch.zeros(1))
