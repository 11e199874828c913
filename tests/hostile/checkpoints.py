"""Files of weights that run code, claim more than they hold, or are damaged."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch

from tests.hostile.case import Case, zipped

BIG = 2**40


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@cache
def honest() -> bytes:
    """A small file as ``torch.save`` writes it; no format that is recognised."""
    buffer = io.BytesIO()
    torch.save({"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.zeros(2)}, buffer)
    return buffer.getvalue()


def with_pickle(body: bytes, storage: bytes = bytes(64), method: int = zipfile.ZIP_STORED) -> bytes:
    """A file of torch's format with this pickle."""
    return zipped(
        {"a/data.pkl": body, "a/data/0": storage, "a/version": b"3\n", "a/byteorder": b"little"}, method
    )


def value(body: bytes) -> bytes:
    """A pickle of one dictionary with this value."""
    return b"\x80\x02}X\x01\x00\x00\x00a" + body + b"s."


def long(number: int) -> bytes:
    raw = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tensor(
    shape: bytes,
    stride: bytes,
    *,
    offset: bytes = b"K\x00",
    key: bytes = b"0",
    kind: bytes = b"FloatStorage",
    size: bytes = b"K\x02",
) -> bytes:
    """The pickled call that rebuilds a tensor over the storage ``key``."""
    name = b"(X" + struct.pack("<I", len(key)) + key
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + kind + b"\n" + name[1:]
        + b"X\x03\x00\x00\x00cpu" + size + b"tQ" + offset + shape + stride + b"\x89NtR"
    )  # fmt: skip


def deep(levels: int) -> bytes:
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


def doubling(levels: int) -> bytes:
    """A tuple that holds the last one twice, again and again: 2^levels objects."""
    body = b"\x80\x02)q\x00"
    for level in range(levels):
        body += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
    return body + b"."


def many(n: int) -> bytes:
    """As many tensors, all views of one storage."""
    items = b"".join(
        b"X" + struct.pack("<I", 6) + f"{i:06}".encode() + tensor(b"K\x02\x85", b"K\x01\x85")
        for i in range(n)
    )
    return b"\x80\x02}(" + items + b"u."


def safetensors(header: Any, data: int = 64, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(data)


def entry(shape: list[Any], start: int, end: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def numpy_header(shape: str, kind: str = "<f4") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + bytes(64)


def legacy(*parts: object) -> bytes:
    return b"".join(pickle.dumps(part, 2) for part in parts)


def flipped(data: bytes, seed: int) -> bytes:
    source, changed = random.Random(seed), bytearray(data)
    for _ in range(max(2, len(data) // 60)):
        changed[source.randrange(len(data))] = source.randrange(256)
    return bytes(changed)


TRACE = "touch /tmp/vise-hostile-trace"
PICKLES: dict[str, Callable[[], bytes]] = {
    "os.system": lambda: pickle.dumps(Call(os.system, TRACE), 2),
    "os.system of protocol 0": lambda: pickle.dumps(Call(os.system, TRACE), 0),
    "os.system of protocol 5": lambda: pickle.dumps(Call(os.system, TRACE), 5),
    "eval": lambda: pickle.dumps(Call(eval, f"__import__('os').system('{TRACE}')"), 2),
    "open": lambda: pickle.dumps(Call(open, "/tmp/vise-hostile-trace", "w"), 2),
    "getattr": lambda: (
        pickle.dumps(Call(getattr, os, "system"), 2)
        if False
        else b"\x80\x02c__builtin__\ngetattr\ncos\npath\nX\6\0\0\0system\x86R."
    ),
    "class in a dictionary": lambda: pickle.dumps({"state_dict": {"a": Call(os.system, TRACE)}}, 2),
    "instruction INST": lambda: b"(S'" + TRACE.encode() + b"'\nios\nsystem\n.",
    "instruction OBJ": lambda: b"(cos\nsystem\nX\4\0\0\0trueo.",
    "instruction NEWOBJ_EX": lambda: b"\x80\x04cos\nsystem\n)}\x92.",
    "instruction STACK_GLOBAL": lambda: b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "instruction EXT1": lambda: b"\x80\x02\x82\x01.",
    "instruction PERSID": lambda: b"Pfile:///etc/passwd\n.",
    "instruction BUILD": lambda: b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
    "names of torch": lambda: b"\x80\x02ctorch.hub\nload\nX\1\0\0\0ax\x85R.",
    "200,000 levels": lambda: deep(200_000),
    "2^60 objects": lambda: doubling(60),
    "text of 2^31 bytes": lambda: b"\x80\x02X\xff\xff\xff\x7fa.",
    "bytes of 2^63": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b".",
    "integer of 10^6 digits": lambda: b"L" + b"9" * 10**6 + b"L\n.",
    "memo of 2^32": lambda: b"\x80\x02Nr\xff\xff\xff\xff.",
    "frame of 2^63": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**63 - 1) + b"N.",
    "no stop": lambda: b"\x80\x02N",
    "empty": lambda: b"",
    "stack under-run": lambda: b"\x80\x02R.",
    "a list that holds itself": lambda: b"\x80\x02]q\0h\0a.",
}
TENSORS: dict[str, Callable[[], bytes]] = {
    "a shape of 2^40": lambda: tensor(long(BIG) + b"\x85", b"K\x01\x85"),
    "a shape of 2^40 with stride 0": lambda: tensor(long(BIG) + b"\x85", b"K\x00\x85"),
    "a shape of -1": lambda: tensor(long(-1) + b"\x85", b"K\x01\x85"),
    "a negative stride": lambda: tensor(b"K\x02\x85", long(-1) + b"\x85"),
    "a negative offset": lambda: tensor(b"K\x02\x85", b"K\x01\x85", offset=long(-4)),
    "an offset of 2^40": lambda: tensor(b"K\x02\x85", b"K\x01\x85", offset=long(BIG)),
    "more strides than sizes": lambda: tensor(b"K\x02\x85", b"K\x01K\x01\x86"),
    "1,000 dimensions": lambda: tensor(b"(" + b"K\x02" * 1000 + b"t", b"(" + b"K\x00" * 1000 + b"t"),
    "a storage of 2^40": lambda: tensor(b"K\x02\x85", b"K\x01\x85", size=long(BIG)),
    "no storage": lambda: tensor(b"K\x02\x85", b"K\x01\x85", key=b"7"),
    "a storage outside": lambda: tensor(b"K\x02\x85", b"K\x01\x85", key=b"../../../etc/passwd"),
    "an unknown type": lambda: tensor(b"K\x02\x85", b"K\x01\x85", kind=b"FlockStorage"),
    "a size that is text": lambda: tensor(b"X\1\0\0\0a\x85", b"K\x01\x85"),
}
OTHERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "100,000 views of one storage": ("w.pth", lambda: with_pickle(many(100_000))),
    "pickle of 200 MB of zeros": ("w.pth", lambda: with_pickle(bytes(200 * 2**20), method=zipfile.ZIP_DEFLATED)),
    "storage of 1 GB, compressed": ("w.pth", lambda: with_pickle(value(tensor(b"K\x02\x85", b"K\x01\x85")), bytes(2**30), zipfile.ZIP_DEFLATED)),
    "packed again": ("w.pth", lambda: _again(zipfile.ZIP_DEFLATED)),
    "packed again as LZMA": ("w.pth", lambda: _again(zipfile.ZIP_LZMA)),
    "two pickles": ("w.pth", lambda: zipped({"a/data.pkl": value(b"N"), "b/data.pkl": value(b"N"), "a/data/0": b""})),
    "no pickle": ("w.pth", lambda: zipped({"a/data/0": bytes(64)})),
    "legacy file": ("w.pth", lambda: legacy(0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Call(os.system, TRACE))),
    "legacy file of 2^40 storages": ("w.pth", lambda: legacy(0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, ["0"] * 10) + struct.pack("<Q", BIG)),
    "legacy tar": ("w.tar", lambda: b"storages" + bytes(2000)),
    "TorchScript": ("w.pt", lambda: zipped({"a/data.pkl": value(b"N"), "a/constants.pkl": pickle.dumps(Call(os.system, TRACE), 2), "a/code/__torch__.py": b"import os"})),
    "header of 2^63 bytes": ("w.safetensors", lambda: safetensors({}, length=2**63 - 1)),
    "header of 90 MB": ("w.safetensors", lambda: safetensors(b"{" + b" " * (90 * 2**20) + b"}")),
    "header 200,000 deep": ("w.safetensors", lambda: safetensors(b'{"a":' * 200_000 + b"1" + b"}" * 200_000)),
    "header that is no JSON": ("w.safetensors", lambda: safetensors(b"\xff\xfe{")),
    "header that is a list": ("w.safetensors", lambda: safetensors([1, 2])),
    "header of NaN": ("w.safetensors", lambda: safetensors({"a": entry([float("nan")], 0, 64)})),
    "header with surrogates": ("w.safetensors", lambda: safetensors(b'{"\\ud800": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}')),
    "same name twice": ("w.safetensors", lambda: safetensors(b'{"a": 1, "a": 2}')),
    "overlapping tensors": ("w.safetensors", lambda: safetensors({"a": entry([16], 0, 64), "b": entry([8], 16, 48)})),
    "tensor outside": ("w.safetensors", lambda: safetensors({"a": entry([BIG], 0, 4 * BIG)})),
    "negative sizes": ("w.safetensors", lambda: safetensors({"a": entry([-4, -4], 0, 64)})),
    "sizes that overflow": ("w.safetensors", lambda: safetensors({"a": entry([2**32, 2**32], 0, 64)})),
    "offsets backwards": ("w.safetensors", lambda: safetensors({"a": entry([16], 64, 0)})),
    "unknown type": ("w.safetensors", lambda: safetensors({"a": entry([16], 0, 64, "Q9")})),
    "200,000 tensors": ("w.safetensors", lambda: safetensors({f"t{i}": entry([0], 0, 0) for i in range(200_000)}, 0)),
    "NumPy objects": ("w.npy", lambda: numpy_header("(2,)", "|O")),
    "NumPy of 2^60": ("w.npy", lambda: numpy_header(f"({2**60},)")),
    "a text": ("w.pth", lambda: b"not weights"),
    "an empty file": ("w.pth", lambda: b""),
    "HTML": ("w.pth", lambda: b"<!doctype html><title>404</title>"),
    "a pointer of Git LFS": ("w.pth", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
}  # fmt: skip


def _again(method: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(honest())) as old:
        return zipped({name: old.read(name) for name in old.namelist()}, method)


def checkpoints() -> Iterator[Case]:
    for name, build in PICKLES.items():
        yield Case("checkpoint", f"pickle: {name}", "w.pth", build)
    for name in ("os.system", "200,000 levels", "2^60 objects", "text of 2^31 bytes"):
        yield Case(
            "checkpoint", f"zip with pickle: {name}", "w.pth", lambda b=PICKLES[name]: with_pickle(b())
        )
    for name, build in TENSORS.items():
        yield Case("checkpoint", f"tensor with {name}", "w.pth", lambda b=build: with_pickle(value(b())))
    for cut in (0.1, 0.5, 0.95):
        yield Case(
            "checkpoint", f"cut at {cut:.0%}", "w.pth", lambda c=cut: honest()[: int(len(honest()) * c)]
        )
    for seed in range(4):
        yield Case("checkpoint", f"with noise {seed}", "w.pth", lambda s=seed: flipped(honest(), s))
    for name, (file, build) in OTHERS.items():
        yield Case("checkpoint", name, file, build)
