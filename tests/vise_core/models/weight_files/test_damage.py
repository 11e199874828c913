"""A flipped bit, a lost end, a wrong file: found, or the same tensors; never a traceback of another kind."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from vise_core.errors import BadCheckpoint
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import load_backbone, load_heads, save_checkpoint
from vise_core.models.classifier import ImageClassifier, load_classifier, save_classifier
from vise_core.models.heads import linear_head
from vise_core.models.tensors import load_into, write_tensors
from vise_core.models.weight_files.reading import read_weights_file
from vise_core.models.weight_files.safetensor import read_header

Tensors = dict[str, torch.Tensor]


def example() -> Tensors:
    return {
        "a.weight": torch.arange(12, dtype=torch.float32).view(3, 4),
        "a.turned": torch.arange(6, dtype=torch.float64).view(2, 3).t(),
        "a.half": torch.ones(5, dtype=torch.float16),
        "count": torch.tensor(7),
    }


def written(path: Path, kind: str) -> bytes:
    match kind:
        case "zip":
            torch.save({"state_dict": example(), "epoch": 3}, path)
        case "legacy":
            torch.save({"state_dict": example()}, path, _use_new_zipfile_serialization=False)
        case "torchscript":
            torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))), path)
        case "safetensors":
            save_file({name: tensor.contiguous() for name, tensor in example().items()}, path)
    return path.read_bytes()


def tensors_of(path: Path) -> Tensors:
    entries = read_weights_file(path).entries
    wrapped = entries.get("state_dict", entries)
    return {name: tensor.clone() for name, tensor in wrapped.items() if isinstance(tensor, torch.Tensor)}


def read_or_told(path: Path) -> tuple[Tensors | None, str | None]:
    """(tensors, None) or (None, what is wrong); any other error is one of the test's."""
    try:
        return tensors_of(path), None
    except BadCheckpoint as error:
        return None, str(error)


def same(found: Tensors, wanted: Tensors) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
        for name, tensor in wanted.items()
    )


@pytest.fixture(scope="module", params=["zip", "torchscript"])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damage") / "w.pt"
    return path, written(path, request.param)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_of_a_zip_is_found_or_changes_nothing(
    checked: tuple[Path, bytes], data: st.DataObject
) -> None:
    path, whole = checked
    path.write_bytes(whole)
    wanted = tensors_of(path)
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    found, told = read_or_told(path)
    assert told is None or (told.startswith("w.pt: ") and "\n" not in told)
    assert found is None or same(found, wanted), (at, bit)


@pytest.mark.parametrize("kind", ["legacy", "safetensors"])
def test_a_flipped_bit_elsewhere_never_ends_in_a_traceback(tmp_path: Path, kind: str) -> None:
    """Their data has no checksum, which the notes of the file state; every bit of the rest is tried."""
    path = tmp_path / "w.pt"
    whole = written(path, kind)
    assert any("no checksums" in note for note in read_weights_file(path).notes)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        found, told = read_or_told(path)
        assert told is None or "\n" not in told
        assert found is None or all(tensor.numel() <= 12 for tensor in found.values())


@pytest.mark.parametrize("kind", ["zip", "legacy", "torchscript", "safetensors"])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pt"
    whole = written(path, kind)
    for length in {1, 9, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint, match=r"^w.pt: ") as caught:
            read_weights_file(path)
        message = str(caught.value)
        assert "\n" not in message
        assert "weights_only" not in message
        if length > 100:
            assert "download it again" in message


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_whole_file_is_read_as_torch_reads_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pt"
    written(path, kind)
    wanted = torch.load(path, weights_only=True)["state_dict"]
    assert same(tensors_of(path), dict(wanted))


def test_saved_without_checksums_is_said(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        written(tmp_path / "w.pt", "zip")
    finally:
        torch.serialization.set_crc32_options(True)
    assert any("no checksums" in note for note in read_weights_file(tmp_path / "w.pt").notes)
    assert same(tensors_of(tmp_path / "w.pt"), example())


def tarred(path: Path, name: str) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))


def zipped(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"abc")


def packed_again(path: Path, compression: int) -> None:
    torch.save({"a": torch.zeros(1000)}, path.with_name("first.pt"))
    with zipfile.ZipFile(path.with_name("first.pt")) as old, zipfile.ZipFile(path, "w", compression) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "it is empty; download it again"),
    "zeros": (lambda p: p.write_bytes(bytes(5000)), "zero bytes, so its download did not finish"),
    "html": (lambda p: p.write_text("\n<!DOCTYPE html><html><body>404</body>"), "an HTML page"),
    "html in capitals": (lambda p: p.write_text("<HTML><HEAD>Quota exceeded"), "an HTML page"),
    "xml": (lambda p: p.write_text("<?xml version='1.0'?><Error><Code>AccessDenied"), "an XML text"),
    "lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"),
        "a Git LFS pointer.*git lfs pull",
    ),
    "json": (lambda p: p.write_text(json.dumps({"model_type": "resnet"})), "a JSON text"),
    "text": (
        lambda p: p.write_text("\x1b[31mRate limit\x1b[0m\nnext"),
        r"a text file that begins with '\[31mRate",
    ),
    "utf-16": (lambda p: p.write_bytes("hello there".encode("utf-16")), "a text file"),
    "keras": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 file, as Keras"),
    "onnx": (lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x03\xff\xfe\x00"), "an ONNX file"),
    "tflite": (lambda p: p.write_bytes(b"\x1c\0\0\0TFL3\xff\xfe\x80"), "a TensorFlow Lite file"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"abc")), r"compressed \(gzip\); unpack it"),
    "numpy": (lambda p: np.save(p.open("wb"), np.zeros(3)), "a NumPy array"),
    "npz": (lambda p: np.savez(p.open("wb"), a=np.zeros(3)), "a NumPy archive"),
    "old tar": (lambda p: tarred(p, "sys_info"), r"of a PyTorch before 0.1.10 \(a tar archive\)"),
    "tar": (lambda p: tarred(p, "r50.pth"), "a tar archive; unpack it"),
    "zip of a file": (lambda p: zipped(p, "r50.pth"), "a zip archive .* it holds 'r50.pth'"),
    "packed again": (
        lambda p: packed_again(p, zipfile.ZIP_DEFLATED),
        "is compressed, which torch does not do",
    ),
    "packed otherwise": (lambda p: packed_again(p, zipfile.ZIP_BZIP2), "compressed in a way"),
    "pickle": (
        lambda p: p.write_bytes(__import__("pickle").dumps({"a": 1})),
        "that torch.save did not write",
    ),
    "noise": (lambda p: p.write_bytes(b"\xfa\xce" * 500), "no file of tensors that is known here"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_named_in_one_sentence(tmp_path: Path, name: str) -> None:
    make, message = WRONG[name]
    make(tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match=message) as caught:
        read_weights_file(tmp_path / "w.pt")
    told = str(caught.value)
    assert told.startswith("w.pt: ")
    assert "\n" not in told
    assert "\x1b" not in told
    assert "weights_only" not in told


def test_a_zip_that_was_packed_again_without_compression_is_read(tmp_path: Path) -> None:
    packed_again(tmp_path / "w.pt", zipfile.ZIP_STORED)
    assert torch.equal(tensors_of(tmp_path / "w.pt")["a"], torch.zeros(1000))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint and a predictor of our own."""
    backbone = build_backbone("resnet18", seed=0)
    save_checkpoint(tmp_path / "checkpoint", backbone, {"comments": linear_head(512, 4)}, image_size=48)
    classifier = ImageClassifier(backbone, linear_head(512, 2), ("a", "b"), image_size=48)
    save_classifier(tmp_path / "predictor", classifier, {})
    return tmp_path / "checkpoint", tmp_path / "predictor"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layer1.0.bn1.running_var", -1.0, "a variance is never negative"),
        ("layer1.0.bn1.running_var", float("nan"), "holds NaN"),
        ("conv1.weight", float("inf"), "holds NaN or infinity"),
    ],
)
def test_impossible_values_of_our_own_files_are_rejected(
    folders: tuple[Path, Path], key: str, value: float, message: str
) -> None:
    checkpoint, predictor = folders
    for file, prefix, load in (
        (checkpoint / "backbone.safetensors", "", lambda: load_backbone(checkpoint)),
        (predictor / "model.safetensors", "backbone.", lambda: load_classifier(predictor)),
    ):
        tensors = {name: tensor.clone() for name, tensor in read_weights_file(file).entries.items()}
        tensors[f"{prefix}{key}"].view(-1)[3] = value
        save_file(tensors, file)
        with pytest.raises(BadCheckpoint, match=f"{file.name}: {prefix}{key} .*{message}"):
            load()


def test_our_own_files_are_compared_before_their_data_is_read(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, _ = folders
    write_tensors(checkpoint / "heads.safetensors", {"comments.weight": torch.zeros(9, 512)})
    monkeypatch.setattr("vise_core.models.tensors.load_file", lambda _: pytest.fail("its data was read"))
    with pytest.raises(BadCheckpoint, match=r"heads.safetensors: 1 tensors missing .comments.bias"):
        load_heads(checkpoint)


def test_a_cut_or_foreign_safetensors_file_is_named(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "backbone.safetensors"
    whole = path.read_bytes()
    module = build_backbone("resnet18").trunk
    for content, message in (
        (whole[:-5], "truncated"),
        (whole[:5], "not a safetensors file"),
        (b"", "not a safetensors file"),
        (b"PK\x03\x04" + whole, "not a safetensors file"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=f"backbone.safetensors: .*{message}"):
            load_into(module, path)
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadCheckpoint, match="header is longer"):
        read_header(path)
