"""Finding and loading ``libfarebox.so``.

The library is loaded once a process, by absolute path, on first use. It starts no thread, so a process that has loaded
it may fork; engines do not survive a fork: in the child each answers FORKED, and the child opens its own.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from . import _layout as layout

__all__ = ["Library", "library", "library_path"]

FILE_NAME = "libfarebox.so"


class Library:
    """The loaded library: its functions, called with integer addresses.

    ``path`` is the file that was loaded, ``version`` its number (major * 10000 + minor * 100 + patch).

    Threads: any; a call releases the interpreter lock while it runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        handle = ctypes.CDLL(str(path))
        version = handle.farebox_version_number
        version.restype = c_uint32
        version.argtypes = []
        self.version: int = version()
        if self.version // 10000 != layout.VERSION_NUMBER // 10000 or self.version < layout.VERSION_NUMBER:
            raise ImportError(
                f"{path} is version {self.version} of Farebox; this package needs {layout.VERSION_NUMBER} or a later "
                "one of the same major version"
            )

        def function(name: str, *arguments: Any) -> Any:
            pointer = getattr(handle, name)
            pointer.restype = c_int32
            pointer.argtypes = list(arguments)
            return pointer

        address = c_void_p
        self.open: Any = function("farebox_open", address, layout.Str, address, address)
        self.close: Any = function("farebox_close", address, address)
        self.tick: Any = function("farebox_tick", address, address, address)
        self.price_tool: Any = function("farebox_price_tool", address, address, address, address)
        self.charge: Any = function("farebox_charge", address, address, address, address)
        self.charge_many: Any = function("farebox_charge_many", address, address, c_size_t, address, address)
        self.reserve: Any = function("farebox_reserve", address, address, address, address)
        self.capture: Any = function("farebox_capture", address, address, address, address)
        self.release: Any = function("farebox_release", address, c_uint64, address, address)
        self.extend: Any = function("farebox_extend", address, c_uint64, c_uint64, address, address)
        self.increase: Any = function("farebox_increase", address, address, address, address)
        self.begin: Any = function("farebox_begin", address, address, address, address)
        self.record: Any = function("farebox_record", address, layout.Str, address)
        self.finish: Any = function("farebox_finish", address, address, address, address, address)
        self.balance: Any = function("farebox_balance", address, layout.Str, layout.Str, address, address)
        self.verify_webhook: Any = function("farebox_verify_webhook", address, address, address)
        self.set_plugin_policy: Any = function("farebox_set_plugin_policy", layout.Str, address)
        self.call_tool: Any = function("farebox_call_tool", address, address, POINTER(layout.Text), address, address)
        self.meter: Any = function("farebox_meter", address, address, address, address)
        self.unmeter: Any = function("farebox_unmeter", address, address)
        self.set_payer_resolver: Any = function("farebox_set_payer_resolver", address, address, address)
        self.metered: Any = function("farebox_metered", address, address)
        self.call: Any = function("farebox_call", address, layout.Str, layout.Str, POINTER(layout.Text), address)
        self.escape_account: Any = function("farebox_escape_account", layout.Str, POINTER(layout.Text), address)
        self.unescape_account: Any = function("farebox_unescape_account", layout.Str, POINTER(layout.Text), address)
        self.describe: Any = function("farebox_describe", POINTER(layout.Text), address)
        self.text_free: Any = handle.farebox_text_free
        self.text_free.restype = None
        self.text_free.argtypes = [POINTER(layout.Text)]
        self.status_name: Any = handle.farebox_status_name
        self.status_name.restype = c_char_p
        self.status_name.argtypes = [c_int32]


_lock = threading.Lock()
_loaded: Library | None = None


def library() -> Library:
    """Returns the library, loading it on the first call.

    Looked for in this order: the file or directory that ``FAREBOX_LIB`` names (and nowhere else if it is set), beside
    this package, and ``.build/release`` of the source tree that this package stands in.

    Threads: any.
    Errors: ImportError where there is no library, or one of another version.
    """
    global _loaded
    found = _loaded
    if found is not None:
        return found
    with _lock:
        if _loaded is None:
            _loaded = Library(_find())
        return _loaded


def library_path() -> str:
    """Returns the absolute path of the library that is loaded, loading it on the first call.

    Errors: ImportError as ``library``.
    """
    return str(library().path)


def _find() -> Path:
    tried: list[Path] = []
    named = os.environ.get("FAREBOX_LIB")
    if named:
        path = Path(named).expanduser().absolute()
        tried.append(path / FILE_NAME if path.is_dir() else path)
    else:
        here = Path(__file__).resolve().parent
        tried.append(here / FILE_NAME)
        if len(here.parents) > 3 and (here.parents[3] / "Include" / "farebox.h").is_file():
            tried.append(here.parents[3] / ".build" / "release" / FILE_NAME)
    for path in tried:
        if path.is_file():
            return path
    raise ImportError(
        f"no {FILE_NAME} at {' or '.join(str(path) for path in tried)}; set FAREBOX_LIB to the file or its directory"
    )


def _forget_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
