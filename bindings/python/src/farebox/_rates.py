"""Price lists of other projects: found in the installed package, without importing it, and handed to the engine."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

from . import _statuses as status
from ._encoding import encode_json
from .errors import RequestError

Rates = Union[None, str, bytes, "os.PathLike[str]", Mapping[str, Any], Sequence[Any]]
"""A price list: None for that of the installed package, a path, the JSON text as bytes, or its decoded value."""

_PACKAGES = {
    "genai-prices": ("genai_prices", ("data.json", "data.py")),
    "litellm": ("litellm", ("model_prices_and_context_window_backup.json",)),
}


def rates_json(format: str, data: Rates) -> tuple[bytes, str]:
    """The price list as JSON, and where it comes from.

    Errors: RequestError for a format that is not known, a package that is not installed, data that cannot be read.
    """
    if format not in _PACKAGES:
        raise RequestError(status.INVALID_ARGUMENT, "The format is 'genai-prices' or 'litellm'.", field="format")
    if data is None:
        return _installed(format)
    if isinstance(data, (bytes, bytearray)):
        return _checked(bytes(data)), ""
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        try:
            with open(path, "rb") as file:
                return _checked(file.read()), os.path.basename(path)
        except OSError as error:
            message = f"The price list cannot be read: {error.strerror}."
            raise RequestError(status.INVALID_ARGUMENT, message, field="data") from error
    return encode_json({"data": data}, "data")[len(b'{"data":') : -1], ""


def _installed(format: str) -> tuple[bytes, str]:
    package, names = _PACKAGES[format]
    spec = importlib.util.find_spec(package)
    loader: Any = getattr(spec, "loader", None)
    for place in getattr(spec, "submodule_search_locations", None) or ():
        for name in names:
            try:
                text = loader.get_data(os.path.join(place, name))
            except (AttributeError, OSError):
                continue
            return (_literal(text) if name.endswith(".py") else _checked(text)), _source(format)
    raise RequestError(
        status.INVALID_ARGUMENT,
        f"The package '{format}' is not installed, or has no price list. Install it, or pass the list as data.",
        field="data",
    )


def _source(format: str) -> str:
    try:
        return f"{format} {importlib.metadata.version(format)}"
    except importlib.metadata.PackageNotFoundError:
        return format


def _checked(text: bytes) -> bytes:
    """The text itself, so that its numbers stay as written and the engine sees a name that is there twice."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(status.INVALID_JSON, f"The price list is not JSON: {error}.", field="data") from error
    return text


def _literal(text: bytes) -> bytes:
    """The `providers` of a module that holds nothing but constructors of plain values, as the JSON of the same list."""
    try:
        for statement in ast.parse(text).body:
            target: Any = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                (target,) = statement.targets
            if isinstance(target, ast.Name) and target.id == "providers":
                found = _value(statement.value)  # type: ignore[attr-defined]
                if isinstance(found, list):
                    return json.dumps(found).encode()
        raise ValueError("it has no list of providers")
    except (SyntaxError, TypeError, ValueError, RecursionError) as error:
        raise RequestError(
            status.INVALID_ARGUMENT,
            f"This version of genai-prices keeps its list in an unknown form ({error}). Pass the list as data.",
            field="data",
        ) from error


def _value(node: ast.expr) -> Any:
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values) if key is not None}
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "Decimal" and len(node.args) == 1:
        return str(_value(node.args[0]))
    if name == "date" and len(node.args) == 3:
        year, month, day = (_value(argument) for argument in node.args)
        return f"{year:04d}-{month:02d}-{day:02d}"
    if name in ("time", "timezone", "timedelta"):
        return ast.unparse(node)
    if node.args:
        raise ValueError(f"{name} has a value without a name")
    # A name that is a word of Python has an underscore behind it there.
    fields = {keyword.arg.rstrip("_"): _value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    return {field: value for field, value in fields.items() if value is not None}
