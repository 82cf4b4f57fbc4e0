"""How much text a value holds, for prices by token and by character."""

from __future__ import annotations

import contextvars
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import threading
import types
import uuid
import weakref
from collections import deque
from collections.abc import Mapping, MappingView, Sequence, Set
from typing import Any, Callable

from . import _statuses as status
from .errors import RequestError

__all__ = ["fields_of", "is_context", "text_size", "utf8_size"]

_VALUES_MAX = 200_000
_DEPTH_MAX = 200

_TEXTLESS: tuple[type, ...] = (
    type(None),
    int,
    float,
    complex,
    decimal.Decimal,
    fractions.Fraction,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    uuid.UUID,
    ipaddress._IPAddressBase,
    range,
    slice,
    type(Ellipsis),
    type(NotImplemented),
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.GenericAlias,
    weakref.ReferenceType,
    contextvars.ContextVar,
    type(threading.Lock()),
    type(threading.RLock()),
)
"""Types that hold no text of a request."""

_FRAMEWORKS = frozenset(
    [
        "agent_framework",
        "agents",
        "autogen_agentchat",
        "autogen_core",
        "crewai",
        "fastapi",
        "fastmcp",
        "google",
        "haystack",
        "langchain",
        "langchain_core",
        "langgraph",
        "livekit",
        "llama_index",
        "mcp",
        "pydantic_ai",
        "semantic_kernel",
        "smolagents",
        "starlette",
        "strands",
        "webagents",
    ]
)
_CONTEXTS = ("Context", "ContextWrapper", "Runtime", "Connection", "HTTPConnection", "Request", "Session")


def utf8_size(text: str) -> int:
    """Returns the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def is_context(kind: type) -> bool:
    """Whether a framework passes objects of this type to tools itself: it is no part of the request."""
    return any(
        base.__name__.endswith(_CONTEXTS) and base.__module__.partition(".")[0] in _FRAMEWORKS for base in kind.__mro__
    )


def fields_of(value: Any) -> dict[str, Any] | None:
    """Returns the fields of a dataclass, model, named tuple or other object, or None where it shows none."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return dict(zip(kind._fields, value))
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "__fields_set__"):
        return {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}
    found: dict[str, Any] = {}
    shown = False
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__")
        if slots is None:
            continue
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in ("__dict__", "__weakref__"):
                continue
            shown = True
            hidden = (
                f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            )
            try:
                found[name] = getattr(value, hidden)
            except AttributeError:
                pass  # a slot that was never set
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        shown = shown or bool(own) or dataclasses.is_dataclass(value) or _is_plain(kind)
        found.update(own)
    if isinstance(value, BaseException):
        found["args"] = value.args
        return found
    return found if shown else None


def text_size(values: Any, size: Callable[[str], int]) -> int:
    """Adds up all text in a value: in mappings with their keys, collections, dataclasses, models and objects.

    Numbers, times, functions and what a framework passes to tools itself hold none.

    Errors: RequestError on units for what may hold text and cannot be read: iterators, files, opaque objects.
    """
    return _Count(size).of(values, 0)


class _Count:
    def __init__(self, size: Callable[[str], int]) -> None:
        self._size = size
        self._sizes: dict[int, int] = {}
        self._kept: list[Any] = []
        self._seen = 0

    def of(self, value: Any, depth: int) -> int:
        if isinstance(value, str):
            return self._size(value)
        if isinstance(value, (bytes, bytearray)):
            return len(value)
        if isinstance(value, memoryview):
            return value.nbytes
        if isinstance(value, enum.Enum):
            return self.of(value.value, depth + 1)
        kind = type(value)
        if isinstance(value, _TEXTLESS) or is_context(kind):
            return 0
        if isinstance(value, pathlib.PurePath):
            return self._size(str(value))
        known = self._sizes.get(id(value))
        if known is not None:
            return known
        self._seen += 1
        if self._seen > _VALUES_MAX or depth > _DEPTH_MAX:
            raise _unreadable(f"A {kind.__name__} in the arguments is too large or too deep to count its text")
        self._sizes[id(value)] = 0  # a value inside itself counts once
        self._kept.append(value)
        total = self._inside(value, kind, depth + 1)
        self._sizes[id(value)] = total
        return total

    def _inside(self, value: Any, kind: type, depth: int) -> int:
        if isinstance(value, Mapping):
            return sum(self.of(key, depth) + self.of(item, depth) for key, item in _listed(value.items(), kind))
        fields = fields_of(value)
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            if isinstance(value, tuple) and fields is not None and hasattr(kind, "_fields"):
                return self._fields(fields, depth)
            return sum(self.of(item, depth) for item in value) + self._fields(fields or {}, depth)
        if isinstance(value, (Sequence, Set, MappingView)):
            return sum(self.of(item, depth) for item in _listed(value, kind))
        if hasattr(kind, "dtype") and hasattr(kind, "tolist"):  # an array: of numbers, text or objects
            return 0 if getattr(value.dtype, "kind", "O") in "biufcmM" else self.of(value.tolist(), depth)
        if kind.__module__ == "array":
            return 0 if value.typecode not in "uw" else self._size(value.tounicode())
        if any(hasattr(kind, name) for name in ("__next__", "__anext__", "__aiter__", "__await__", "read")):
            raise _unreadable(f"The text of a {kind.__name__} cannot be counted without consuming it")
        if kind is object:
            return 0
        if fields is None:
            raise _unreadable(f"The text of a {kind.__module__}.{kind.__qualname__} cannot be counted")
        return self._fields(fields, depth)

    def _fields(self, fields: dict[str, Any], depth: int) -> int:
        return sum(self._size(name) + self.of(item, depth) for name, item in fields.items())


class _Plain:
    pass


def _is_plain(kind: type) -> bool:
    """Whether objects of a type have no room for more than their attributes: a C extension keeps its content elsewhere."""
    return kind.__basicsize__ <= _Plain.__basicsize__


def _listed(values: Any, kind: type) -> list[Any]:
    try:
        return list(values)
    except Exception as error:
        raise _unreadable(f"The text of a {kind.__name__} cannot be counted: {error}") from error


def _unreadable(what: str) -> RequestError:
    return RequestError(
        status.INVALID_ARGUMENT,
        f"{what}. Give units=: the argument that holds the text, or a function of the arguments that gives the usage.",
        field="units",
    )
