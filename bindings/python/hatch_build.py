"""Puts ``libfarebox.so`` into the wheel and tags the wheel for its machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILE_NAME = "libfarebox.so"


class LibraryHook(BuildHookInterface[Any]):
    """Takes the library from ``FAREBOX_LIB`` (file or directory), else from ``.build/release`` of the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the library beside the package; an editable install uses the source tree's own.

        Errors: FileNotFoundError where there is no library.
        """
        if version == "editable":
            return
        named = os.environ.get("FAREBOX_LIB")
        path = Path(named) if named else Path(self.root).parents[1] / ".build" / "release"
        if path.is_dir():
            path = path / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(f"no library at {path}; build it, or set FAREBOX_LIB")
        build_data["force_include"][str(path.resolve())] = f"farebox/{FILE_NAME}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"
