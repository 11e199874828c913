"""How a stage uses the machine: the field ``compute`` of a spec holds what its stage reads, and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record

Device = Literal["auto", "cpu", "cuda"]
Amp = Literal["auto", "off", "bf16", "fp16"]


class DeviceCompute(Record):
    """Device of stages that run on one."""

    device: Device = Field("auto", description="Where tensors live; auto takes the GPU when there is one.")


class ProcessesCompute(Record):
    """Processes of stages that spread their work over the cores of this host."""

    processes: int = Field(1, ge=1, le=64, description="Processes on this host; one per core is fastest.")


class EngineCompute(ProcessesCompute):
    """Where a data stage computes: ``vise_core.engine``."""

    engine: Literal["auto", "local", "cluster"] = Field(
        "auto",
        description="local: processes on this host; cluster: the Dask cluster of the host's settings "
        "(VISE_DASK_SCHEDULER); auto: the cluster where there is one.",
    )


class DataCompute(DeviceCompute, EngineCompute):
    """Engine of ``cluster`` and ``label``, each process of which computes on a device."""


class NetworkCompute(DeviceCompute):
    """Device, precision and loader of stages that run or train a network on images."""

    amp: Amp = Field(
        "auto",
        description="Mixed precision; auto is fp16 with loss scaling on a GPU, off on a CPU. fp16 needs a GPU.",
    )
    channels_last: bool = Field(
        True,
        description="NHWC memory format, on a GPU and on a CPU: faster for most ResNets, slower for "
        "ResNeXt-101 32x16d on some cards; measure.",
    )
    loader_workers: int = Field(
        0, ge=0, le=128, description="Extra processes that decode images; 0 decodes in the run's own process."
    )


class PretrainCompute(NetworkCompute):
    """Device, precision and processes of ``pretrain``, which may train one network in several processes."""

    compile: bool = Field(False, description="Run the network through torch.compile.")
    processes: int = Field(
        1, ge=1, le=64, description="Processes on this host that train together: one per GPU."
    )
