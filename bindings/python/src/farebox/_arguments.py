"""What a tool is given, as one text for equal arguments: it tells a retry from another call with the same id."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import inspect
import ipaddress
import json
import pathlib
import re
import types
import uuid
from collections import deque
from collections.abc import Mapping, MappingView, Sequence, Set
from typing import Any, Callable

from ._text import fields_of, is_context

__all__ = ["canonical"]

_TEXT_MAX = 1024
_DEPTH_MAX = 64
_VALUES_MAX = 200_000

_WRITTEN = (
    decimal.Decimal,
    fractions.Fraction,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    uuid.UUID,
    ipaddress._IPAddressBase,
    pathlib.PurePath,
    complex,
    range,
    slice,
)
"""Types whose ``str`` is the same in every process."""


def canonical(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Writes the arguments of a call as JSON, or the hash of it where it is long.

    Arguments that are equal give the same text in every process and for every way to pass them. An object that shows no
    fields counts by its type; so does what a framework passes to tools itself, and ``self``.
    """
    named: Any = None
    if signature is not None:
        try:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            named = bound.arguments
        except TypeError:
            pass  # the tool will say so itself
    if named is None:
        named = {"args": args, "kwargs": kwargs}
    form = _Forms()
    members = {
        name: _type_name(type(value)) if name in ("self", "cls") else form.of(value, 0) for name, value in named.items()
    }
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return text if len(text) <= _TEXT_MAX else b"sha256:%s" % hashlib.sha256(text).hexdigest().encode("ascii")


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _Forms:
    def __init__(self) -> None:
        self._path: set[int] = set()
        self._seen = 0

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if isinstance(value, enum.Enum):
            return {"$enum": [_type_name(kind), value.name]}
        if isinstance(value, (bool, int)):
            return int(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, float):
            return float(value) if value - value == 0 else {"$float": repr(float(value))}
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"$bytes": base64.b64encode(bytes(value)).decode("ascii")}
        if isinstance(value, _WRITTEN):
            return {"$value": [_type_name(kind), str(value)]}
        if isinstance(value, re.Pattern):
            return {"$value": ["re.Pattern", value.flags, self.of(value.pattern, depth)]}
        if isinstance(value, type):
            return {"$class": _type_name(value)}
        if isinstance(value, functools.partial):
            return {"$partial": [self.of(part, depth + 1) for part in (value.func, value.args, value.keywords)]}
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)):
            return {"$name": f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"}
        self._seen += 1
        if is_context(kind) or id(value) in self._path or depth > _DEPTH_MAX or self._seen > _VALUES_MAX:
            return {"$type": _type_name(kind)}
        self._path.add(id(value))
        try:
            return self._inside(value, kind, depth + 1)
        finally:
            self._path.discard(id(value))

    def _inside(self, value: Any, kind: type, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value.items(), depth)
        if isinstance(value, (Set, set, frozenset)):
            return {"$set": sorted((self.of(item, depth) for item in value), key=_sorted_text)}
        if isinstance(value, (list, tuple, deque, Sequence, MappingView)) and not hasattr(kind, "_fields"):
            items: Any = value
            return [self.of(item, depth) for item in items]
        if hasattr(kind, "dtype") and hasattr(kind, "tobytes"):
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            return {"$array": [str(value.dtype), list(getattr(value, "shape", ())), digest]}
        fields = None if any(hasattr(kind, name) for name in ("__next__", "__anext__")) else fields_of(value)
        if not fields:
            return {"$type": _type_name(kind)}
        return {"$type": _type_name(kind), "$fields": self._mapping(fields.items(), depth)}

    def _mapping(self, items: Any, depth: int) -> Any:
        members: dict[str, Any] = {}
        pairs: list[Any] = []
        for key, item in items:
            if isinstance(key, str):
                members[str.__str__(key)] = self.of(item, depth)
            else:
                pairs.append([self.of(key, depth), self.of(item, depth)])
        return {"$items": sorted(pairs, key=_sorted_text), "$members": members} if pairs else members


_sorted_text: Callable[[Any], str] = functools.partial(json.dumps, sort_keys=True)
