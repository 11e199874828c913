"""Parse a pickle as data. Nothing that it names is imported, built or called.

TorchScript archives name their own classes (``__torch__.…``), which torch's safe unpickler rejects and its unsafe one
runs code for. ``torch.save`` writes more opcodes, and names functions, some of which torch calls even in its safe
mode (``bytearray(2**40)``, for example). Each dialect has its own opcodes; all others are rejected.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, TypeVar

from vise_core.errors import BadCheckpoint

T = TypeVar("T")
Dialect = Literal["torchscript", "torch"]
MAX_BYTES = 16 * 2**20
MAX_OPCODES = 2_000_000

HARMLESS = {
    "torch.Size", "torch.device", "torch.Tensor", "torch.serialization._get_layout",
    "torch.nn.parameter.Parameter", "torch.storage.UntypedStorage", "torch._tensor._rebuild_from_type_v2",
    "builtins.set", "builtins.frozenset", "builtins.complex", "builtins.slice", "builtins.bytearray", "builtins.range",
    "__builtin__.set", "__builtin__.frozenset", "__builtin__.complex", "__builtin__.slice", "__builtin__.bytearray",
    "_codecs.encode", "collections.Counter", "argparse.Namespace", "types.SimpleNamespace",
    "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath", "datetime.datetime", "datetime.timedelta", "datetime.date",
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct", "numpy._core.numeric._frombuffer",
}  # fmt: skip
"""What a training checkpoint's pickle may make besides tensors. None of it is made here either."""
DICTIONARIES = {"collections.OrderedDict", "collections.defaultdict"}
REBUILD_PREFIX = "torch._utils._rebuild_"


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the pickle refers to."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Made:
    """An object of a pickle that was not built: the callable, its arguments, and the state to set."""

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(frozen=True, slots=True)
class External:
    """A persistent id, which refers to data beside the pickle: ("storage", Name, key, device, length)."""

    id: Any


class _Mark:
    """The start of a sequence of items on the stack."""


class _Machine:
    """A stack machine for the opcodes of TorchScript's pickles, without side effects."""

    def __init__(self) -> None:
        self.copied = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """Run one opcode that TorchScript's writer uses; reject all others."""
        stack = self.stack
        match opcode:
            case "PROTO":
                pass
            case "MARK":
                stack.append(_Mark())
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "GLOBAL":
                stack.append(Name(*argument.split(" ", 1)))
            case "BINPERSID":
                stack.append(External(stack.pop()))
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE":
                stack.append(tuple(self.since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(opcode[-1])
                items = tuple(stack.pop() for _ in range(length))
                stack.append(items[::-1])
            case "APPEND":
                self.extend([stack.pop()])
            case "APPENDS":
                self.extend(self.since_mark())
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.update([key, value])
            case "SETITEMS":
                self.update(self.since_mark())
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "REDUCE" | "NEWOBJ":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self.made(function, arguments))
            case "BUILD":
                self.build(stack.pop())
            case _:
                raise BadCheckpoint(f"its pickle has the opcode {opcode}, which TorchScript does not write")

    def made(self, function: Any, arguments: Any) -> Any:
        return Made(function, arguments)

    def count(self, copied: Collection[Any]) -> None:
        """Count the items of a copy. A short pickle could copy the same items again and again."""
        self.copied += len(copied)
        if self.copied > MAX_OPCODES:
            raise BadCheckpoint(f"its pickle copies more than {MAX_OPCODES:,} items")

    def build(self, state: Any) -> None:
        self.top(Made).state = state

    def top(self, kind: type[T]) -> T:
        item = self.stack[-1]
        if not isinstance(item, kind):
            raise BadCheckpoint(f"its pickle treats a {type(item).__name__} as a {kind.__name__}")
        return item

    def since_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        if not all(isinstance(key, str | int) for key in items[::2]):
            raise BadCheckpoint("its pickle has a dictionary key that is neither a word nor a number")
        self.top(dict).update(zip(items[::2], items[1::2], strict=True))


class _TorchMachine(_Machine):
    """A stack machine for the pickles of ``torch.save``, protocol 2 or newer, with Python 2's strings."""

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "FRAME":
                pass
            case "SHORT_BINUNICODE" | "BINUNICODE8" | "SHORT_BINSTRING" | "BINSTRING" | "LONG4":
                stack.append(argument)
            case "SHORT_BINBYTES" | "BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(argument)
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                if not isinstance(name, str) or not isinstance(module, str):
                    raise BadCheckpoint("its pickle has a name that is not text")
                stack.append(Name(module, name))
            case "EMPTY_SET":
                stack.append([])
            case "ADDITEMS":
                self.extend(self.since_mark())
            case "FROZENSET":
                stack.append(self.since_mark())
            case "NEWOBJ_EX":
                keywords, arguments, function = stack.pop(), stack.pop(), stack.pop()
                self.count(arguments)
                stack.append(self.made(function, (*arguments, keywords)))
            case (
                "EXT1"
                | "EXT2"
                | "EXT4"
                | "INST"
                | "OBJ"
                | "PERSID"
                | "POP"
                | "POP_MARK"
                | "DUP"
                | "GET"
                | "PUT"
            ):
                raise BadCheckpoint(f"its pickle has the opcode {opcode}, which torch.save does not write")
            case _:
                super().step(opcode, argument)

    def made(self, function: Any, arguments: Any) -> Any:
        name = str(function) if isinstance(function, Name) else f"what is no name ({type(function).__name__})"
        if name in DICTIONARIES:
            # Python 2 hands the items over as a list of pairs; Python 3 sets them afterwards.
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
            self.count(pairs)
            return dict(_checked_keys(pairs))
        if name not in HARMLESS and not name.startswith(REBUILD_PREFIX):
            raise BadCheckpoint(
                f"its pickle needs {name}, which is code and not tensors, and nothing in it was run. Load it with its "
                "authors' code and save the state dict alone"
            )
        return Made(function, arguments)

    def build(self, state: Any) -> None:
        # OrderedDict's attributes, such as a state dict's _metadata, say nothing about tensors.
        if not isinstance(self.stack[-1], dict):
            super().build(state)

    def update(self, items: list[Any]) -> None:
        self.top(dict).update(_checked_keys(zip(items[::2], items[1::2], strict=True)))


def _checked_keys(pairs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    # Hashing a deeply nested tuple overflows the interpreter's own stack, which nothing can catch.
    for key, value in pairs:
        flat = key if type(key) is tuple else (key,)
        if not all(part is None or isinstance(part, str | int | float | bytes) for part in flat):
            raise BadCheckpoint("its pickle has a dictionary key that is neither a word nor a number")
        yield key, value


def read_pickle(source: bytes | IO[bytes], dialect: Dialect = "torchscript") -> Any:
    """Parse the first pickle of a file to Name, Made, External and plain values.

    Raises BadCheckpoint if the pickle is damaged or too long, or has a step that the dialect does not write.
    """
    machine = _Machine() if dialect == "torchscript" else _TorchMachine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):
            if opcode.name == "STOP":
                break
            if count >= MAX_OPCODES:
                raise BadCheckpoint(f"its pickle has more than {MAX_OPCODES:,} steps")
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadCheckpoint(f"its pickle is damaged ({error}); download it again") from error
    return value
