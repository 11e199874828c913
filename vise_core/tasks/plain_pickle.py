"""Read pickles of text, lists and dictionaries without executing them.

A pickle is a program. This reader knows the opcodes that build str, list and dict, in the protocols of Python 2 and
3, and rejects all others: no class is looked up, nothing is called, and memory is bounded by the file's size (the
memo is a dictionary, so that an index of two billion takes one entry).
"""

from __future__ import annotations

import io
import pickletools
from typing import Any, cast

from vise_core.errors import BadInput

PlainPickle = str | list["PlainPickle"] | dict[str, "PlainPickle"]

_MARK = object()
_TEXT = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_BYTES = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
"""Python 2's str; pickletools gives each byte as a character of Latin-1."""

_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})


def read_plain_pickle(data: bytes, name: str) -> PlainPickle:
    """Return the value of a pickle. Raises BadInput, beginning with ``name``, for anything but str, list and dict."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, value, position in pickletools.genops(io.BytesIO(data)):
            code, argument = opcode.name, cast(Any, value)
            if code in _TEXT:
                stack.append(argument)
            elif code in _BYTES:
                stack.append(argument.encode("latin-1").decode("utf-8", "surrogateescape"))
            elif code in _PUT:
                memo[argument] = stack[-1]
            elif code in _GET:
                stack.append(memo[argument])
            elif code == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif code == "MARK":
                stack.append(_MARK)
            elif code in ("EMPTY_LIST", "EMPTY_DICT"):
                stack.append([] if code == "EMPTY_LIST" else {})
            elif code in ("APPEND", "SETITEM"):
                items = [stack.pop() for _ in range(1 if code == "APPEND" else 2)][::-1]
                _extend(stack[-1], items)
            elif code in ("APPENDS", "SETITEMS", "LIST", "DICT"):
                items = _since_mark(stack)
                if code in ("LIST", "DICT"):
                    stack.append([] if code == "LIST" else {})
                _extend(stack[-1], items)
            elif code == "STOP":
                (whole,) = stack
                return whole  # type: ignore[no-any-return]
            elif code not in ("PROTO", "FRAME"):
                raise BadInput(
                    f"{name}: byte {position} is the pickle instruction {code}; only text, lists and dictionaries are "
                    "read, so that opening the file cannot run a program"
                )
    except (ValueError, KeyError, IndexError, TypeError, UnicodeError) as error:
        raise BadInput(f"{name}: a damaged pickle, or not one ({error})") from error
    raise BadInput(f"{name}: the pickle ends early")


def _since_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _extend(target: Any, items: list[Any]) -> None:
    """Add items to a list or dictionary. Raises TypeError for a key that is not text, or any other target."""
    if isinstance(target, list):
        target.extend(items)
        return
    if not isinstance(target, dict) or any(not isinstance(key, str) for key in items[::2]):
        raise TypeError("a list, or a dictionary with keys of text, is expected")
    target.update(zip(items[::2], items[1::2], strict=True))
