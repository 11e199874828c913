"""Files that claim more than they hold are rejected by name, in bounded memory; measured in another process."""

import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

MB = 2**20
BOUND = 220 * MB
"""Above what importing the reader takes, for all files together: a ResNet-50 has 94 MB."""

READ = """
import json, resource, sys
from pathlib import Path
from vise_core.errors import BadInput
from vise_core.models.checkpoint_formats import read_published
for path in sorted(Path(sys.argv[1]).iterdir()):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(path.name, file=sys.stderr)
    try:
        read_published(path, row="mine")
        told = "read"
    except BadInput as error:
        told = str(error)
    print(json.dumps([path.name, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, told]))
"""


def resnet(**changes: object) -> dict[str, object]:
    return dict(torchvision.models.resnet18().state_dict()) | changes


def pickled(body: bytes) -> bytes:
    """A data.pkl that is one dictionary with this value under ``a``."""
    return b"\x80\x02}X\x01\x00\x00\x00a" + body + b"s."


def tensor(shape: bytes, stride: bytes, offset: bytes = b"K\x00", key: bytes = b"0") -> bytes:
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
        + key
        + b"X\x03\x00\x00\x00cpuK\x02tQ"
        + offset
        + shape
        + stride
        + b"\x89NtR"
    )


def long(number: int) -> bytes:
    raw = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def archive(path: Path, data: bytes, *more: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as new:
        for name, content in (("a/data.pkl", data), ("a/data/0", bytes(64)), *more):
            new.writestr(name, content)


def made(make: str) -> bytes:
    return pickled(make.encode("latin-1"))


def safetensors(path: Path, header: dict[str, object], data: int = 64) -> None:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(data))


def legacy(path: Path, body: bytes, keys: list[str]) -> None:
    parts = [pickle.dumps(item, 2) for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(
        b"".join(parts) + pickled(body) + pickle.dumps(keys, 2) + struct.pack("<Q", 2) + bytes(8)
    )


def directory_bomb(path: Path) -> None:
    """A table of contents of 30 MB."""
    with zipfile.ZipFile(path, "w") as new:
        for number in range(1000):
            new.writestr(f"{number}" + "x" * 30_000, b"")


def compressed(path: Path) -> None:
    """300 MB of zeros in members that are compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        new.writestr("a/data.pkl", pickled(b"N"))
        for number in range(10):
            new.writestr(f"a/code/{number}", bytes(30 * MB))


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "expanded, large": (
        lambda p: torch.save(resnet(**{"conv1.weight": torch.zeros(1).expand(2**38)}), p),
        "conv1.weight of shape .274877906944. is larger than its data",
    ),
    "expanded, of the right shape": (
        lambda p: torch.save(resnet(**{"bn1.weight": torch.zeros(1).expand(64)}), p),
        "bn1.weight of shape .64. is larger than its data",
    ),
    "expanded beside its storage": (
        lambda p: torch.save(resnet(**{"bn1.weight": torch.zeros(64).as_strided((8, 8), (0, 1))}), p),
        "bn1.weight .* its elements share memory",
    ),
    "overlapping": (
        lambda p: torch.save({"a": torch.zeros(64).as_strided((5, 5), (1, 1))}, p),
        "a of shape .5, 5. has strides .1, 1.: its elements share memory",
    ),
    "a large head": (
        lambda p: torch.save(resnet(**{"fc.weight": torch.zeros(1).expand(2**28)}), p),
        "fc.weight .* is larger than its data",
    ),
    "another shape": (
        lambda p: torch.save(resnet(**{"layer1.0.conv1.weight": torch.zeros(64, 64, 5, 5)}), p),
        "layer1.0.conv1.weight has shape .64, 64, 5, 5., expected .64, 64, 3, 3.",
    ),
    "sparse": (
        lambda p: torch.save({"a": torch.zeros(9).to_sparse()}, p),
        "a is not an ordinary tensor: it is sparse",
    ),
    "meta": (
        lambda p: torch.save({"a": torch.zeros(2**45, device="meta")}, p),
        "a is not an ordinary tensor: it is without data",
    ),
    "complex": (
        lambda p: torch.save({"a": torch.zeros(9, dtype=torch.complex64)}, p),
        "it is of type ComplexFloat",
    ),
    "subclass": (
        lambda p: torch.save({"a": torch.zeros(9).as_subclass(torch.nn.parameter.Buffer)}, p),
        "a is not an ordinary tensor|needs torch",
    ),
    "negative size": (
        lambda p: archive(p, pickled(tensor(long(-3) + b"\x85", b"K\x01\x85"))),
        "a has shape .-3.",
    ),
    "overflowing size": (
        lambda p: archive(p, pickled(tensor(long(2**63) + b"\x85", b"K\x01\x85"))),
        "a has shape .9223372036854775808.",
    ),
    "product overflows": (
        lambda p: archive(p, pickled(tensor(2 * long(2**32) + b"\x86", b"K\x00K\x00\x86"))),
        "a of shape .4294967296, 4294967296. is larger than its data",
    ),
    "a size of 10,000 digits": (
        lambda p: archive(
            p, pickled(tensor(b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000 + b"\x85", b"K\x01\x85"))
        ),
        "a has shape",
    ),
    "offset": (
        lambda p: archive(p, pickled(tensor(b"K\x02\x85", b"K\x01\x85", long(2**39)))),
        "a of shape .2. is larger than its data",
    ),
    "a hundred dimensions": (
        lambda p: archive(p, pickled(tensor(b"(" + b"K\x01" * 100 + b"t", b"(" + b"K\x01" * 100 + b"t"))),
        "described in another way",
    ),
    "bytearray": (
        lambda p: archive(p, made("cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R")),
        "of no format that is known here|keys",
    ),
    "code": (
        lambda p: archive(p, made("cos\nsystem\nX\x04\x00\x00\x00true\x85R")),
        "needs os.system, which is code",
    ),
    "endless lists": (
        lambda p: archive(p, b"\x80\x02]" + b"]0"[:1] * 8_000_000 + b"."),
        "more than 2,000,000 steps",
    ),
    "copies of copies": (
        lambda p: archive(
            p,
            b"\x80\x02ccollections\nOrderedDict\nq\x02K\x01K\x01\x86q\x01]("
            + b"h\x01" * 300_000
            + b"eq\x00"
            + b"]("
            + b"h\x02h\x00\x85R" * 300_000
            + b"e.",
        ),
        "its pickle copies more than 2,000,000 items",
    ),
    "compressed members": (compressed, "its compressed members are larger than 67,108,864 bytes"),
    "deep tuples": (
        lambda p: archive(p, b"\x80\x02}K\x01" + b"\x85" * 1_000_000 + b"K\x01s."),
        "a dictionary key that is neither",
    ),
    "large pickle": (
        lambda p: archive(p, b"\x80\x02X" + struct.pack("<I", 40 * MB) + b"a" * 40 * MB + b"."),
        "larger than",
    ),
    "table of contents": (directory_bomb, "table of contents is larger"),
    "safetensors, large shape": (
        lambda p: safetensors(p, {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 64]}}),
        "not a safetensors file",
    ),
    "safetensors, overflowing": (
        lambda p: safetensors(p, {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 64]}}),
        "not a safetensors file",
    ),
    "safetensors, shared": (
        lambda p: safetensors(
            p, {n: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]} for n in ("a", "b")}
        ),
        "not a safetensors file",
    ),
    "safetensors, other type": (
        lambda p: safetensors(p, {"a": {"dtype": "F8_E4M3", "shape": [64], "data_offsets": [0, 64]}}),
        "is of type F8_E4M3",
    ),
    "legacy, large": (
        lambda p: legacy(p, tensor(long(2**38) + b"\x85", b"K\x00\x85"), ["0"]),
        "a of shape .274877906944. is larger than its data",
    ),
    "legacy, other data": (
        lambda p: legacy(p, tensor(b"K\x02\x85", b"K\x01\x85"), ["7"]),
        "list of data is not that",
    ),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """(bytes by which the highest use of memory grew, message), of every file in turn in one process."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, (make, _) in HOSTILE.items():
        make(folder / f"{name}.pt")
    shown = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    return {name.removesuffix(".pt"): (1024 * grown, message) for name, grown, message in rows}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_rejected_by_name(told: dict[str, tuple[int, str]], name: str) -> None:
    _, message = told[name]
    assert message.startswith(f"{name}.pt: ")
    assert "\n" not in message
    assert re.search(HOSTILE[name][1], message), message


def test_memory_is_bounded(told: dict[str, tuple[int, str]]) -> None:
    assert told.keys() == HOSTILE.keys()
    assert sum(grown for grown, _ in told.values()) < BOUND
