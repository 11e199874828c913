"""Archives of TorchScript are read as data: the same tensors as its own loader gives, and nothing ever runs."""

import os
import pickle
import pickletools
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vise_core.errors import BadCheckpoint
from vise_core.models.checkpoint_formats import read_published, recognise
from vise_core.models.checkpoint_formats.contents import read_contents
from vise_core.models.weight_files.pickled import External, Made, Name, read_pickle
from vise_core.models.weight_files.torchscript import is_torchscript, read_archive
from vise_core.models.weight_files.zipped import Members


class Small(nn.Module):
    """A bit of everything: nested modules, buffers, types, a transposed and a shared tensor, an empty one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2).half()
        self.register_buffer("turned", torch.arange(6.0, dtype=torch.float64).view(2, 3).t())
        self.register_buffer("window", torch.arange(10)[2:8:2])
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("scalar", torch.tensor(224))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.tied = self.body[0].weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    torch.jit.save(torch.jit.script(Small()), tmp_path / "small.pt")
    return tmp_path / "small.pt"


def test_the_tensors_are_those_of_torchs_own_loader(archive: Path) -> None:
    wanted = torch.jit.load(archive).state_dict()
    tensors = read_archive(archive)
    assert tensors.keys() == wanted.keys()
    assert {"turned", "window", "tied", "body.1.num_batches_tracked"} <= tensors.keys()
    for name, tensor in wanted.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor), name


def test_only_torchscript_is_taken_for_it(archive: Path, tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "state.pth")
    (tmp_path / "text.pt").write_text("hello")
    assert [is_torchscript(Members(p)) for p in (archive, tmp_path / "state.pth")] == [True, False]
    with pytest.raises(BadCheckpoint, match="truncated"):
        Members(tmp_path / "text.pt")


Change = Callable[[bytes], bytes | None]


def rebuilt(archive: Path, changes: dict[str, Change], *, compress: str = "") -> Path:
    """The archive with some entries changed (None: left out), by the end of their name."""
    target = archive.with_name("changed.pt")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data: bytes | None = old.read(info)
            for end, change in changes.items():
                if info.filename.endswith(end):
                    data = change(old.read(info))
            if data is not None:
                packed = compress and info.filename.endswith(compress)
                new.writestr(info.filename, data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return target


class Payload:
    """Leaves a trace when unpickled, through whatever function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def as_root(payload: Payload) -> Change:
    return lambda _: pickle.dumps(payload, protocol=2)


def in_front(payload: Payload) -> Change:
    """Run first and forgotten: put on the stack, then taken off; the honest rest follows."""
    first = pickle.dumps(payload, protocol=2)
    return lambda honest: first[:-1] + pickle.POP + honest[2:]


def as_state(payload: Payload) -> Change:
    """As the state of an object of the archive's own class."""
    inner = pickle.dumps(payload, protocol=2)[2:-1]
    return lambda _: b"\x80\x02c__torch__.small\nSmall\n)\x81}X\x01\x00\x00\x00a" + inner + b"sb."


def instead_of_a_tensor(payload: Payload) -> Change:
    """As an argument of the function that rebuilds tensors."""
    inner = pickle.dumps(payload, protocol=2)[2:-1]
    return lambda _: (
        b"\x80\x02c__torch__.small\nSmall\n)\x81}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
        + inner
        + b"K\x00K\x01\x85K\x01\x85\x89NtRsb."
    )


FORBIDDEN = (
    "pickle.find_class",
    "exec",
    "compile",
    "import",
    "marshal",
    "os.",
    "subprocess",
    "ctypes",
    "socket",
)
_heard: dict[int, list[str]] = {}


def _listen(event: str, _arguments: tuple[Any, ...]) -> None:
    # Events of other threads, such as those that a test before this one left, are not the reader's.
    heard = _heard.get(threading.get_ident())
    if heard is not None:
        heard.append(event)


sys.addaudithook(_listen)


@contextmanager
def audited() -> Iterator[list[str]]:
    """Collect the audit events of this thread; a hook cannot be removed, so it listens only in here."""
    heard = _heard[threading.get_ident()] = []
    try:
        yield heard
    finally:
        del _heard[threading.get_ident()]


def test_events_of_other_threads_are_not_heard() -> None:
    done, told = threading.Event(), threading.Event()

    def talk() -> None:
        while not done.is_set():
            sys.audit("socket.connect")
            told.set()

    thread = threading.Thread(target=talk)
    with audited() as heard:
        thread.start()
        assert told.wait(60)
        sys.audit("test.own")
        done.set()
    thread.join(60)
    assert "test.own" in heard
    assert "socket.connect" not in heard


@pytest.mark.parametrize("place", [as_root, in_front, as_state, instead_of_a_tensor])
@pytest.mark.parametrize("kind", ["touch", "system"])
def test_a_hostile_archive_runs_nothing(archive: Path, tmp_path: Path, place: Any, kind: str) -> None:
    trace = tmp_path / "trace"
    payload = Payload(Path.touch, trace) if kind == "touch" else Payload(os.system, f"touch '{trace}'")
    hostile = rebuilt(archive, {"/data.pkl": place(payload), "constants.pkl": as_root(payload)})
    with pytest.raises(BadCheckpoint):  # once before listening, so that what Python loads lazily is loaded
        read_published(hostile)
    with audited() as heard, pytest.raises(BadCheckpoint):
        read_published(hostile)
    assert not trace.exists()
    assert any(event == "open" for event in heard)
    assert [event for event in heard if event.startswith(FORBIDDEN)] == []
    # The payload is a real one: Python's own unpickler falls for it.
    pickle.loads(pickle.dumps(payload, protocol=2))  # noqa: S301 - to prove that it is harmful
    assert trace.exists()


@pytest.mark.slow
def test_an_honest_archive_is_read_without_its_programs(
    published: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published("clip-rn50").path

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the archive was handed to a loader that runs code")

    for module, name in (
        (torch.jit, "load"),
        (torch._C, "import_ir_module"),
        (torch, "load"),
        (pickle, "loads"),
    ):
        monkeypatch.setattr(module, name, refuse)
    read_contents(path)
    with audited() as heard:
        assert recognise(path).name == "clip-rn50"
    assert [event for event in heard if event.startswith(FORBIDDEN)] == []


def tensor_pickle(*, key: bytes = b"0", shape: bytes = b"K\x02\x85", stride: bytes = b"K\x01\x85") -> bytes:
    """An object with one tensor ``a`` of float32."""
    return (
        b"\x80\x02c__torch__.small\nSmall\n)\x81}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
        + key
        + b"X\x03\x00\x00\x00cpuK\x02tQK\x00"
        + shape
        + stride
        + b"\x89c__builtin__\ndict\n)RtRsb."
    )


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (tensor_pickle(key=b"?"), "no entry .*data/\\?"),
        (tensor_pickle(shape=b"J\xff\xff\xff\x7f\x85", stride=b"K\x00\x85"), "larger than its data"),
        (tensor_pickle(shape=b"K\x02K\x02\x86", stride=b"M\xff\xffK\x01\x86"), "larger than its data"),
        (tensor_pickle(shape=b"J\xff\xff\xff\xff\x85"), "has shape .-1"),
        (tensor_pickle(shape=b"K\x02K\x02\x86"), "described in another way"),
        (tensor_pickle(shape=b"]K\x02a"), "described in another way"),
        (tensor_pickle().replace(b"FloatStorage", b"FlockStorage"), "described in another way"),
        (tensor_pickle()[:-3], "damaged"),
        (b"", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02Nb.", "damaged"),
        (b"\x80\x02}Nb.", "treats a dict as a Made"),
        (b"\x80\x02K\x01K\x02a.", "treats a int as a list"),
        (b"\x80\x02}(K\x01tK\x02s.", "neither a word nor a number"),
        (b"\x80\x02(K\x01t0.", "opcode POP"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "opcode SHORT_BINUNICODE"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"(S'x'\nios\nsystem\n.", "opcode STRING"),
    ],
)
def test_a_damaged_or_boundless_archive_is_refused(archive: Path, pickled: bytes, message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        read_archive(rebuilt(archive, {"/data.pkl": lambda _: pickled}))


def test_the_hand_made_pickle_is_a_good_one(archive: Path) -> None:
    tensors = read_archive(rebuilt(archive, {"/data.pkl": lambda _: tensor_pickle()}))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"a": (2,)}


@pytest.mark.parametrize(
    ("changes", "compress", "message"),
    [
        ({"/data/0": lambda data: data[:-1]}, "", "larger than its data"),
        ({"/data/0": lambda _: None}, "", "no entry"),
        ({"/data.pkl": lambda _: None}, "", "0 entries named data.pkl"),
        ({"/byteorder": lambda _: b"big"}, "", "big-endian"),
        ({}, "/data.pkl", "is compressed"),
        ({}, "/data/0", "is compressed"),
    ],
)
def test_an_archive_must_be_whole(archive: Path, changes: Any, compress: str, message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        read_archive(rebuilt(archive, changes, compress=compress))


def test_a_flipped_bit_is_found(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        info = next(i for i in opened.infolist() if i.filename.endswith("/data/0"))
        raw = opened.read(info)
    content = archive.read_bytes()
    assert content.count(raw) == 1
    archive.write_bytes(content.replace(raw, bytes([raw[0] ^ 1]) + raw[1:]))
    with pytest.raises(BadCheckpoint, match=r"is damaged: .*data/0.*checksum"):
        read_archive(archive)


def test_a_small_file_cannot_name_endless_objects(archive: Path) -> None:
    """Each level holds the next twice: 2^60 names from a few hundred bytes."""
    new = b"c__torch__.small\nSmall\n)\x81}("
    nested = b"N"
    for level in range(60):
        nested = new + b"X\x01\x00\x00\x00a" + nested + b"q" + bytes([level])
        nested += b"X\x01\x00\x00\x00bh" + bytes([level]) + b"ub"
    assert len(nested) < 5_000
    with pytest.raises(BadCheckpoint, match="too many or too deeply nested"):
        read_archive(rebuilt(archive, {"/data.pkl": lambda _: b"\x80\x02" + nested + b"."}))


def test_a_pickle_is_data() -> None:
    data = pickle.dumps({"a": [1, 2.5, None, (True, "x")], "b": Payload(os.system, "true")}, protocol=2)
    value = read_pickle(pickletools.optimize(data))
    assert value["a"] == [1, 2.5, None, (True, "x")]
    assert value["b"] == Made(Name("posix", "system"), ("true",))
    assert External("x") != Name("x", "x")
