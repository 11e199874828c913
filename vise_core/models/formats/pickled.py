"""A pickle read as data. Nothing that it names is imported, made or called: names stay names.

TorchScript archives name classes of their own (``__torch__.…``), which torch's safe unpickler refuses and its
unsafe one runs code for. This reads the dozen opcodes that TorchScript writes and refuses all others.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, TypeVar

from vise_core.errors import BadCheckpoint

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the pickle refers to."""

    module: str
    name: str


@dataclass(slots=True)
class Made:
    """What unpickling would have made by calling ``what(*arguments)``, and the state it would have set."""

    what: Any
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(frozen=True, slots=True)
class External:
    """A persistent id: what lies beside the pickle, such as ("storage", Name, key, device, length)."""

    id: Any


class _Mark:
    """Where a run of items on the stack begins."""


class _Machine:
    """The stack machine that a pickle is a program for, with nothing in it that could act."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """One opcode of those that TorchScript's writer uses; the rest is refused."""
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
                arguments, what = stack.pop(), stack.pop()
                stack.append(Made(what, arguments))
            case "BUILD":
                state = stack.pop()
                self.top(Made).state = state
            case _:
                raise BadCheckpoint(f"its pickle has the opcode {opcode}, which TorchScript does not write")

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


def read_pickle(data: bytes) -> Any:
    """What the pickle describes, out of Name, Made, External and plain values. Raises BadCheckpoint."""
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                break
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise BadCheckpoint(f"its pickle is damaged ({error})") from error
    return value
