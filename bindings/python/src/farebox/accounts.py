"""Names of accounts from ids of other systems."""

from __future__ import annotations

import ctypes
from typing import Any

from . import _frames as frames
from . import _layout as layout
from ._encoding import borrowed, take_bytes
from ._frames import text_bytes
from ._library import library

__all__ = ["escape_account", "unescape_account"]


def escape_account(id: str) -> str:
    """Writes an id of another system so that it can be a segment of an account's name: ``/`` as ``%2F``, for example.

    Slashes, percent signs and control characters are escaped. An id without them needs no escaping, whatever else it
    holds: ``auth0|5f7c``, an e-mail address, spaces, any letters. ``unescape_account`` gives the id back.

    Threads: any.
    Errors: RequestError for an empty id, or one that is too long.
    """
    return _converted(library().escape_account, text_bytes(id, "id"))


def unescape_account(name: str) -> str:
    """Gives back the id that ``escape_account`` wrote.

    Threads: any.
    Errors: RequestError for a text that ``escape_account`` does not write.
    """
    return _converted(library().unescape_account, text_bytes(name, "name"))


def _converted(function: Any, text: bytes) -> str:
    out = layout.Text()
    frame = frames.take()
    try:
        code = function(borrowed(text), ctypes.byref(out), frame.error)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)
    return take_bytes(library(), out).decode()
