"""Puts ``libfarebox.so`` and ``farebox-worker`` into the wheel and tags the wheel for its machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILE_NAME = "libfarebox.so"
WORKER_NAME = "farebox-worker"


class LibraryHook(BuildHookInterface[Any]):
    """Takes both from ``FAREBOX_LIB`` (the library or its directory), else from ``.build/release`` of the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds them beside the package; an editable install uses the source tree's own.

        Errors: FileNotFoundError where one of them is not there.
        """
        if version == "editable":
            return
        named = os.environ.get("FAREBOX_LIB")
        path = Path(named) if named else Path(self.root).parents[1] / ".build" / "release"
        if path.is_dir():
            path = path / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(f"no library at {path}; build it, or set FAREBOX_LIB")
        worker = path.with_name(WORKER_NAME)
        if not worker.is_file():
            raise FileNotFoundError(f"no worker at {worker}; build it beside the library")
        build_data["force_include"][str(path.resolve())] = f"farebox/{FILE_NAME}"
        build_data["force_include"][str(worker.resolve())] = f"farebox/{WORKER_NAME}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"
