"""A clock of the caller's, made safe to be called from the library."""

from __future__ import annotations

import ctypes
import sys
import time
from datetime import datetime
from typing import Any, Callable, Union

from ._encoding import microseconds_of

__all__ = ["Clock", "callback_of"]

Clock = Callable[[], Union[int, datetime]]
"""Gives the time: microseconds since 1970, or an aware datetime."""

_CLOCK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


def callback_of(clock: Clock) -> Any:
    """Makes the C callback of a clock.

    Ownership: it must be kept alive until the engine is closed.
    Threads: it runs on the thread of the call that asks for the time.
    Errors: what the clock raises is reported to ``sys.excepthook``, and the time before it is given again.
    """
    return _CLOCK(_guarded(clock))


def _guarded(clock: Clock) -> Callable[[int | None], int]:
    last = 0

    def now(context: int | None) -> int:
        nonlocal last
        try:
            value = microseconds_of(clock(), "clock")
        except BaseException:  # a callback must not unwind through the library; report it and go on
            kind, error, trace = sys.exc_info()
            assert kind is not None
            sys.excepthook(kind, error, trace)  # type: ignore[arg-type]
            return last or time.time_ns() // 1000
        last = value
        return value

    return now
