"""Encoding of arguments that is the same for every call: texts, numbers, times, JSON."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Optional

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._frames import Frame
from ._library import Library
from .errors import RequestError
from .hold import Hold
from .money import text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def placed(*texts: None | str | bytes) -> tuple[Frame, list[int]]:
    """Takes a frame and puts texts into it; gives the frame, and address and length of each text."""
    frame = frames.take()
    while True:
        raw, at, end = frame.raw, frames.ARENA, frame.size
        address = frame.arena - at
        pointers: list[int] = []
        try:
            for text in texts:
                if text is None:
                    pointers += (0, 0)
                    continue
                data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
                size = len(data)
                if at + size > end:
                    raise frames.Grow(size)
                raw[at : at + size] = data
                pointers += (address + at, size)
                at += size
            return frame, pointers
        except frames.Grow as more:
            grown = 2 * frame.size + more.needed
            frames.give(frame)
            frame = Frame(grown)
        except (AttributeError, TypeError):
            frames.give(frame)
            raise RequestError(
                status.INVALID_ARGUMENT, "A name, id, key or description is a str.", field="text"
            ) from None


def borrowed(data: bytes) -> layout.Str:
    # The bytes object stays alive in the caller's frame for the length of the call.
    return layout.Str(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))


class _Durabilities(dict[Optional[str], int]):
    def __missing__(self, name: Any) -> int:
        raise RequestError(status.INVALID_ARGUMENT, "durability is 'full', 'normal' or 'relaxed'.", field="durability")


DURABILITY = _Durabilities()
DURABILITY[None] = 0
DURABILITY.update(layout.DURABILITY)


def given_flags(amount: Any, max_cost: Any) -> int:
    """The flags of an amount and a maximum that count although they are 0."""
    return (0 if amount is None else layout.AMOUNT_GIVEN) | (0 if max_cost is None else layout.MAX_COST_GIVEN)


def call_flags(charge_afterwards: bool, release_unreported: bool) -> int:
    """The flags of a metered call; those of plugins' tools and C functions are the same."""
    return (layout.CALL_CHARGE_AFTERWARDS if charge_afterwards else 0) | (
        layout.CALL_RELEASE_UNREPORTED if release_unreported else 0
    )


def identifier(value: int, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise RequestError(status.INVALID_ARGUMENT, "An id is a whole number of 64 bits.", field=field)
    return value


def milliseconds_of(seconds: float, field: str) -> int:
    value = _milliseconds(seconds)
    if not 0 <= value < 2**32:
        raise RequestError(status.INVALID_ARGUMENT, "A time span is 0 to 4,294,967 seconds.", field=field)
    return value


def hold_milliseconds(seconds: float, field: str) -> int:
    """Reads how long a hold lasts. The library refuses what is too long, but takes 0 for its default."""
    value = _milliseconds(seconds)
    if not 0 < value < 2**64:
        raise RequestError(status.INVALID_ARGUMENT, "A hold lasts from 0.001 seconds to 366 days.", field=field)
    return value


def _milliseconds(seconds: float) -> int:
    try:
        return -1 if isinstance(seconds, bool) else round(seconds * 1000)
    except (TypeError, ValueError, OverflowError):
        return -1


def microseconds_of(value: int | datetime, field: str) -> int:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise RequestError(status.INVALID_ARGUMENT, "A datetime needs a time zone.", field=field)
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise RequestError(status.INVALID_ARGUMENT, "A time is a datetime or whole microseconds.", field=field)
    return value


def metadata_json(value: Mapping[str, Any]) -> bytes:
    if not isinstance(value, Mapping):
        raise RequestError(status.INVALID_ARGUMENT, "metadata is a mapping.", field="metadata")
    return encode_json(value, "metadata")


def given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def manifest_of(skill: str, owner: str | None, tool: dict[str, Any]) -> dict[str, Any]:
    """Makes the manifest of a skill of one tool; its version follows from its content."""
    content = given(id=skill, owner=owner, tools=[tool])
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"version": f"0.0.0+{digest[:16]}", **content}


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text_of(value, "")
    if isinstance(value, datetime):
        return microseconds_of(value, "")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Hold):
        return value.id
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _policy_form(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else _default(value)


def _input_form(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    return _default(value)


def policy_json(value: Mapping[str, Any]) -> bytes:
    if not isinstance(value, Mapping):
        raise RequestError(status.INVALID_ARGUMENT, "A policy is a mapping.", field="policy")
    return encode_json(value, "policy", _policy_form)


def input_json(value: None | str | bytes | Mapping[str, Any]) -> None | str | bytes:
    """Encodes what a tool is given: a mapping, in which bytes are Base64, or JSON as it is."""
    if value is None or isinstance(value, (str, bytes)):
        return value
    if not isinstance(value, Mapping):
        raise RequestError(status.INVALID_ARGUMENT, "An input is a mapping, or JSON as text.", field="input")
    return encode_json(value, "input", _input_form)


def encode_json(value: Mapping[str, Any], field: str = "", form: Callable[[Any], Any] = _default) -> bytes:
    try:
        text = json.dumps(
            value if isinstance(value, dict) else dict(value),
            default=form,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(status.INVALID_ARGUMENT, f"The value has no JSON form: {error}.", field=field) from error
    return text.encode("utf-8", "surrogatepass")


def take_bytes(lib: Library, text: layout.Text) -> bytes:
    try:
        return ctypes.string_at(text.ptr, text.len) if text.ptr else b""
    finally:
        lib.text_free(ctypes.byref(text))


def take_json(lib: Library, text: layout.Text) -> dict[str, Any]:
    result = json.loads(take_bytes(lib, text) or b"{}", parse_float=Decimal)
    return result if isinstance(result, dict) else {"result": result}
