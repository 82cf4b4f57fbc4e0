"""Which skill a decorated function is: the same for one file, however it is run, imported or moved."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import PurePath
from typing import Any, Callable

__all__ = ["skill_of"]

_ID_MAX = 128
_OTHER = re.compile(r"[^A-Za-z0-9._-]")


def skill_of(function: Callable[..., Any], tool: str) -> str:
    """Names the skill of a function: its file and its place in it, ``tools.Shop.search``.

    Functions that a factory makes have one name; their prices make them versions of one skill.
    """
    place = getattr(function, "__qualname__", None) or tool
    if not isinstance(place, str):
        place = tool
    name = f"{_file(getattr(function, '__module__', None))}.{place}".replace("<locals>.", "")
    plain = _OTHER.sub(_escaped, name.replace("<lambda>", "lambda"))
    if len(plain) <= _ID_MAX:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{plain[: _ID_MAX - 17]}-{digest}"


def _file(module: Any) -> str:
    """The name of a module's file without folders: the last part of its name."""
    if not isinstance(module, str) or not module:
        return "python"
    if module in ("__main__", "__mp_main__"):
        main = sys.modules.get(module)
        spec = getattr(main, "__spec__", None)
        if spec is not None and spec.name not in ("__main__", "__mp_main__"):
            module = str(spec.name)
        else:
            file = getattr(main, "__file__", None)  # absent or <stdin> in an interactive session
            path = PurePath(file if isinstance(file, str) and not file.startswith("<") else "python")
            stem = path.parent.name if path.stem in ("__init__", "__main__") else path.stem
            return stem or "python"
    parts: list[str] = module.split(".")
    if parts[-1] == "__main__" and len(parts) > 1:  # a package that is run
        parts.pop()
    return parts[-1]


def _escaped(match: re.Match[str]) -> str:
    return f"-{ord(match.group()):x}-"
