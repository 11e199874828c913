"""Recognise the kind of a file by its first bytes, so that a message can name a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from vise_core.errors import BadCheckpoint

FileKind = Literal["zip", "legacy", "safetensors"]
HEAD_BYTES = 1024
AGAIN = "download it again"

BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file that it points to; run git lfs pull, and give that",
    ),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write; weights of PyTorch are read here"),
    (b"\x93NUMPY", "a NumPy array, not weights of PyTorch"),
    (b"GGUF", "a GGUF file, not weights of PyTorch"),
    (b"\x1f\x8b", "compressed (gzip); unpack it and give the file inside"),
    (b"BZh", "compressed (bzip2); unpack it and give the file inside"),
    (b"\xfd7zXZ", "compressed (xz); unpack it and give the file inside"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); unpack it and give the file inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the file inside"),
    (b"Rar!", "a RAR archive; unpack it and give the file inside"),
    (b"%PDF", "a PDF document, not weights"),
    (b"\x89PNG", "a picture, not weights"),
    (b"\xff\xd8\xff", "a picture, not weights"),
    (b"\x7fELF", "a program, not weights"),
)
SUFFIXES: dict[str, str] = {
    ".onnx": "an ONNX file; weights of PyTorch are read here",
    ".pb": "a TensorFlow graph; weights of PyTorch are read here",
    ".tflite": "a TensorFlow Lite file; weights of PyTorch are read here",
    ".index": "a part of a TensorFlow checkpoint; weights of PyTorch are read here",
    ".meta": "a part of a TensorFlow checkpoint; weights of PyTorch are read here",
    ".msgpack": "a Flax file; weights of PyTorch are read here",
}


def kind_of(path: Path) -> FileKind:
    """Return the kind of a weights file.

    Raises BadCheckpoint, which says what the file is, if it does not hold PyTorch weights.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise BadCheckpoint("there is no such file") from error
    except OSError as error:
        raise BadCheckpoint(f"it cannot be read ({error.strerror})") from error
    if size == 0:
        raise BadCheckpoint(f"it is empty; {AGAIN}")
    if not any(head):
        raise BadCheckpoint(
            f"it begins with {len(head):,} zero bytes, so its download did not finish; {AGAIN}"
        )
    for beginning, kind in BEGINNINGS:
        if head.startswith(beginning):
            raise BadCheckpoint(f"it is {kind}")
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "zip"
    if (head[8:9] == b"{" and path.suffix == ".safetensors") or _safetensors_header(head, size):
        return "safetensors"
    if head[4:8] == b"TFL3":
        raise BadCheckpoint(f"it is {SUFFIXES['.tflite']}")
    if head[257:262] == b"ustar":
        raise BadCheckpoint(_tar(head))
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "legacy"
    if (text := _text(head)) is not None:
        raise BadCheckpoint(text)
    if _onnx(head):
        raise BadCheckpoint(f"it is {SUFFIXES['.onnx']}")
    if ".data-" in path.name:
        raise BadCheckpoint(f"it is {SUFFIXES['.index']}")
    if path.suffix.lower() in SUFFIXES:
        raise BadCheckpoint(f"it is {SUFFIXES[path.suffix.lower()]}")
    raise BadCheckpoint(
        "it is no file of tensors that is known here: neither torch.save, TorchScript nor safetensors wrote it, or its "
        f"beginning is damaged; {AGAIN}"
    )


def _safetensors_header(head: bytes, size: int) -> bool:
    return head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32 and size > 10


def _tar(head: bytes) -> str:
    first = head[:100].rstrip(b"\0").decode(errors="replace")
    if first.removeprefix("./") in ("sys_info", "pickle", "storages", "tensors"):
        return (
            "it is of a PyTorch before 0.1.10 (a tar archive); open it there or with torch.load, and save the state "
            "dict again"
        )
    return "it is a tar archive; unpack it and give the file inside"


def _text(head: bytes) -> str | None:
    """Return the kind of a text file; None for a binary file."""
    text = _decoded(head)
    if text is None or not all(c.isprintable() or c in "\t\r\n\f\x1b" for c in text):
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith("<!doctype html") or start.startswith("<html") or "<html" in start[:300]:
        return f"it is an HTML page, so an error or login page was saved in place of the file; {AGAIN}"
    if start.startswith(("<?xml", "<")):
        return f"it is an XML text, so an error message was saved in place of the file; {AGAIN}"
    if start.startswith(("{", "[")):
        return f"it is a JSON text, not weights; {AGAIN}, or give the file of weights beside it"
    line = next((line for line in text.splitlines() if line.strip()), "")
    shown = "".join(c for c in line[:60] if c.isprintable())
    return f"it is a text file that begins with {shown!r}, not weights; {AGAIN}"


def _decoded(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
    # The head may end in the midst of a character.
    for cut in range(min(4, len(head))):
        try:
            return head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return None


def _onnx(head: bytes) -> bool:
    """Recognise ONNX: a ModelProto begins with ir_version (field 1, small), then a producer name (2) or graph (7)."""
    return len(head) > 3 and head[0] == 0x08 and head[1] < 0x20 and head[2] in (0x12, 0x3A, 0x42, 0x1A)
