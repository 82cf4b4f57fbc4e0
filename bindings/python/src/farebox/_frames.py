"""Reused call frames: one buffer that holds the arguments, result, error and texts of a call.

A frame is taken from a free list for one call and given back after it, so two threads never share one, and neither do a
call and a signal handler or finalizer that interrupts it on the same thread. Taking and giving are single list
operations, which are atomic.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any, Final

from . import _layout as layout
from . import _statuses as status
from .errors import FareboxError, RequestError, error_of

__all__ = ["Frame", "Grow", "give", "take", "take_for", "text_bytes"]

ARGS: Final = 0
CAPTURE: Final = 512
RECEIPT: Final = 768
QUOTE: Final = 912
ERROR: Final = 1024
FIRST: Final = 5272
SECOND: Final = 5288
LINES: Final = 5376
LINE_CAPACITY: Final = 64
CALL: Final = LINES + LINE_CAPACITY * 32
FINISH: Final = CALL + 320
TALLY: Final = FINISH + 128
ARENA: Final = TALLY + 320

_ERROR_SIZE: Final = ctypes.sizeof(layout.Error)
_RECEIPT_SIZE: Final = ctypes.sizeof(layout.Receipt)
_CALL_SIZE: Final = ctypes.sizeof(layout.MeteredCall)
_FRAME_SIZE: Final = 16384
_KEPT: Final = 64

assert ERROR + _ERROR_SIZE <= FIRST
assert CALL + _CALL_SIZE <= FINISH


class Grow(Exception):
    """The texts of a call do not fit into its frame; ``needed`` bytes would."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class Frame:
    """A buffer at a fixed address.

    ``raw`` is the buffer itself; ``args``, ``capture``, ``receipt``, ``quote``, ``error``, ``call``, ``finish``,
    ``tally`` and ``arena`` are addresses inside it; ``first`` and ``second`` are views of two ``farebox_str`` in it, for
    functions that take them by value.

    Ownership: whoever took it from ``take`` until ``give``.
    Threads: one at a time.
    """

    __slots__ = (
        "raw",
        "size",
        "base",
        "args",
        "capture",
        "receipt",
        "quote",
        "error",
        "call",
        "finish",
        "tally",
        "arena",
        "first",
        "second",
        "_anchor",
    )

    def __init__(self, size: int = _FRAME_SIZE) -> None:
        self.raw = bytearray(size)
        self.size = size
        self._anchor = (ctypes.c_char * size).from_buffer(self.raw)
        self.base = ctypes.addressof(self._anchor)
        self.args = self.base + ARGS
        self.capture = self.base + CAPTURE
        self.receipt = self.base + RECEIPT
        self.quote = self.base + QUOTE
        self.error = self.base + ERROR
        self.call = self.base + CALL
        self.finish = self.base + FINISH
        self.tally = self.base + TALLY
        self.arena = self.base + ARENA
        self.first = layout.Str.from_buffer(self.raw, FIRST)
        self.second = layout.Str.from_buffer(self.raw, SECOND)
        self.raw[RECEIPT : RECEIPT + 4] = _RECEIPT_SIZE.to_bytes(4, "little")
        self.raw[ERROR : ERROR + 4] = _ERROR_SIZE.to_bytes(4, "little")
        self.raw[CALL : CALL + 4] = _CALL_SIZE.to_bytes(4, "little")

    def failure(self, code: int) -> FareboxError:
        """Reads the exception of a call that answered ``code``."""
        return read_error(self._anchor, ERROR, code)


free_list: list[Frame] = []


def take() -> Frame:
    """Takes a frame from the free list, or makes one.

    Ownership: the caller's until ``give``.
    Threads: any.
    """
    try:
        return free_list.pop()
    except IndexError:
        return Frame()


def take_for(size: int) -> Frame:
    """Takes a frame whose arena has room for ``size`` bytes, as ``take``."""
    frame = take()
    if ARENA + size > frame.size:
        give(frame)
        frame = Frame(ARENA + size)
    return frame


def give(frame: Frame) -> None:
    """Gives a frame back; one of unusual size, or one too many, is dropped.

    Threads: any.
    """
    if frame.size == _FRAME_SIZE and len(free_list) < _KEPT:
        free_list.append(frame)


def read_error(buffer: Any, offset: int, code: int) -> FareboxError:
    """Makes the exception that the ``farebox_error`` at ``offset`` of a ctypes buffer describes."""
    error = layout.Error.from_buffer(buffer, offset)
    if error.status != code:  # the call had nothing to add
        return error_of(code)
    details: dict[str, Any] = {}
    if error.details:
        try:
            parsed = json.loads(error.details)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            details = parsed
    return error_of(
        code,
        error.message.decode("utf-8", "replace"),
        field=error.field.decode("utf-8", "replace"),
        retryable=bool(error.retryable),
        details=details,
        refusal=bool(error.refusal),
        user_message=error.user_message.decode("utf-8", "replace"),
    )


def text_bytes(value: str, field: str) -> bytes:
    """Encodes a text for the library, which refuses what is not valid UTF-8.

    Errors: RequestError INVALID_ARGUMENT for what is not a str.
    """
    if not isinstance(value, str):
        raise RequestError(status.INVALID_ARGUMENT, f"A text is a str, not {type(value).__name__}.", field=field)
    return value.encode("utf-8", "surrogatepass")
