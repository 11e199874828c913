"""Convert descriptions of tensors in a pickle to views of the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint

from .pickled import External, Made, Name

MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = Name("torch._utils", "_rebuild_parameter")
SPECIAL = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_meta_tensor_no_storage": "without data (meta)",
    "torch._utils._rebuild_qtensor": "quantised",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_parameter_with_state": "a parameter with attributes",
    "torch._utils._rebuild_wrapper_subclass": "of a subclass",
    "torch._tensor._rebuild_from_type_v2": "of a subclass",
}

Storage = Callable[[str, torch.dtype], Tensor]
"""(key, type) → all values of a storage, as a view of the file."""


def view(name: str, made: Made, storage: Storage) -> Tensor:
    """Return the tensor that a pickle describes, in its shape and dtype, as a view of the file.

    Raises BadCheckpoint, naming the tensor, if its description is not one of torch, is larger than its data, or
    overlaps itself.
    """
    match made.arguments:
        case (
            External(id=("storage", Name(module="torch", name=kind), str(key), _, _, *_)),
            int(offset),
            tuple(shape),
            tuple(stride),
            *_,
        ) if kind in DTYPES and len(shape) == len(stride) <= MAX_DIMENSIONS:
            pass
        case (External(id=("storage", Name(module="torch", name=kind), *_)), *_) if kind not in DTYPES:
            raise BadCheckpoint(
                f"{name} is described in another way than torch does: it is of type {kind:.60}"
            )
        case _:
            raise BadCheckpoint(f"{name} is described in another way than torch does")
    if not all(type(n) is int and 0 <= n < 2**40 for n in (*shape, *stride, offset)):
        raise BadCheckpoint(f"{name} has shape {_short(shape)} with strides {_short(stride)}")
    values = storage(key, DTYPES[kind])
    elements = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    # Not more elements than there are bytes for, whatever the strides say.
    if elements and (elements > len(values) or last >= len(values)):
        raise BadCheckpoint(f"{name} of shape {_short(shape)} is larger than its data")
    if overlaps(shape, stride):
        raise BadCheckpoint(
            f"{name} of shape {_short(shape)} has strides {_short(stride)}: its elements share memory, as an expanded "
            "tensor's do; save a copy of it (.clone())"
        )
    return values.as_strided(shape, stride, offset if elements else 0)


def overlaps(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Return True if two elements may share memory. Permuted and sliced tensors do not overlap."""
    if 0 in shape:
        return False
    reach = 0
    for step, size in sorted((step, size) for size, step in zip(shape, stride, strict=True) if size > 1):
        if step <= reach:
            return True
        reach += step * (size - 1)
    return False


def tensor_in(value: Any) -> Made | None:
    """Return the description of an ordinary tensor or parameter; None for anything else."""
    if not isinstance(value, Made):
        return None
    if value.function == PARAMETER and isinstance(value.arguments, tuple) and value.arguments:
        return tensor_in(value.arguments[0])
    return value if value.function == REBUILD else None


def special(value: Any) -> str | None:
    """Return in words why a tensor cannot be computed with (such as sparse, quantised); None for other values."""
    if not isinstance(value, Made) or not isinstance(value.function, Name):
        return None
    name = str(value.function)
    if name.startswith("torch._utils._rebuild_") or name in SPECIAL:
        return SPECIAL.get(name, f"made by {name:.80}")
    return None


def _short(numbers: tuple[Any, ...]) -> str:
    # A number may have thousands of digits.
    return "(" + ", ".join(str(n) if type(n) is int and abs(n) < 2**64 else "…" for n in numbers[:8]) + ")"
