"""Functions of plugins' tools, for frameworks that read signatures, type hints and docstrings."""

from __future__ import annotations

import base64
import inspect
import json
import keyword
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, Optional, Union

from .values import ToolResult

if TYPE_CHECKING:
    from .engine import Farebox

__all__ = ["function_of"]

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}
_BYTES = Union[str, bytes]


class _Argument(NamedTuple):
    """An argument of a tool: its own name, that of Python, its type and what is said of it."""

    name: str
    parameter: inspect.Parameter
    says: str


def function_of(
    engine: Farebox, tool: Mapping[str, Any], *, foreign: bool, terms: Mapping[str, Any], coroutine: bool
) -> Callable[..., Any]:
    """Makes the function of a tool, from its entry in the plugin's manifest."""
    name: str = tool["name"]
    schema = tool.get("input_schema")
    arguments = _from_signature(tool["signature"]) if foreign and schema is None else _from_schema(schema or {})
    names = {argument.parameter.name: argument.name for argument in arguments}
    optional = {argument.parameter.name for argument in arguments if argument.parameter.default is None}
    kind = "foreign" if foreign else tool.get("output", "json")
    answer = _ANSWERS[kind]
    signature = inspect.Signature(
        [argument.parameter for argument in arguments]
        or ([] if foreign or schema is not None else [inspect.Parameter("input", inspect.Parameter.VAR_KEYWORD)]),
        return_annotation=_RESULTS.get(kind, Any),
    )

    def input_of(given: dict[str, Any]) -> dict[str, Any]:
        bound = signature.bind(**given).arguments
        bound.update(bound.pop("input", {}) if not arguments else {})
        return {
            names.get(name, name): value for name, value in bound.items() if value is not None or name not in optional
        }

    if coroutine:

        async def call_async(**given: Any) -> Any:
            return answer(await engine.call_tool_async(name, input_of(given), **terms))

        function: Any = call_async
    else:

        def call(**given: Any) -> Any:
            return answer(engine.call_tool(name, input_of(given), **terms))

        function = call
    function.__name__ = function.__qualname__ = re.sub(r"\W", "_", name)
    function.__doc__ = _document(tool.get("description", ""), arguments)
    function.__signature__ = signature
    function.__annotations__ = {
        **{argument.parameter.name: argument.parameter.annotation for argument in arguments},
        "return": signature.return_annotation,
    }
    function.tool = name
    return function  # type: ignore[no-any-return]


# ---- Arguments ----


def _from_schema(schema: Mapping[str, Any]) -> list[_Argument]:
    required = schema.get("required", [])
    arguments: list[_Argument] = []
    for name, property in schema.get("properties", {}).items():
        kind = _type(property)
        default: Any = inspect.Parameter.empty
        if name not in required:
            default = property.get("default") if isinstance(property, dict) else None
            kind = Optional[kind] if default is None else kind
        says = property.get("description", "") if isinstance(property, dict) else ""
        arguments.append(_argument(name, kind, default, says, arguments))
    return _ordered(arguments)


def _from_signature(signature: str) -> list[_Argument]:
    """The arguments of a foreign tool: the parameters of its signature without the out-buffer."""
    arguments: list[_Argument] = []
    for parameter in filter(
        None, re.split(r"\s*,\s*", signature[signature.index("(") + 1 : signature.rindex(")")].strip())
    ):
        kind, name = parameter.split()
        if kind.startswith("out:"):
            continue
        python = _BYTES if kind.startswith("bytes:") else {"double": float, "string": str}.get(kind, int)
        arguments.append(_argument(name, python, inspect.Parameter.empty, "", arguments))
    return arguments


def _argument(name: str, kind: Any, default: Any, says: str, others: list[_Argument]) -> _Argument:
    python = re.sub(r"\W", "_", name)
    if not python.isidentifier() or keyword.iskeyword(python):
        python = f"_{python}" if python[:1].isdigit() or not python else f"{python}_"
    while any(other.parameter.name == python for other in others):
        python += "_"
    parameter = inspect.Parameter(python, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
    return _Argument(name, parameter, says)


def _ordered(arguments: list[_Argument]) -> list[_Argument]:
    """Those that must be given come first."""
    return sorted(arguments, key=lambda argument: argument.parameter.default is not inspect.Parameter.empty)


def _type(schema: Any) -> Any:
    """The type of a schema's values, as far as type hints can say it."""
    if not isinstance(schema, dict):
        return Any
    if "enum" in schema and all(isinstance(value, (str, int, bool)) for value in schema["enum"]):
        return Literal[tuple(schema["enum"])]
    stated = schema.get("type")
    if isinstance(stated, list):
        return Union[tuple(_type({**schema, "type": kind}) for kind in stated)] if stated else Any
    if stated == "array" and isinstance(schema.get("items"), dict):
        return list[_type(schema["items"])]  # type: ignore[misc]
    return _TYPES.get(stated, Any) if isinstance(stated, str) else Any


def _document(description: str, arguments: list[_Argument]) -> str:
    lines = [description] if description else []
    said = [f"    {argument.parameter.name}: {argument.says}" for argument in arguments if argument.says]
    if said:
        lines += ["", "Args:", *said]
    return "\n".join(lines)


# ---- Answers ----


def _decoded(value: dict[str, Any]) -> Any:
    if set(value) == {"base64"}:
        return base64.b64decode(value["base64"])
    return value


_RESULTS: dict[str, Any] = {"text": str, "bytes": bytes, "foreign": dict[str, Any]}
_ANSWERS: dict[str, Callable[[ToolResult], Any]] = {
    "json": ToolResult.json,
    "text": ToolResult.text,
    "bytes": lambda result: result.output,
    # The host writes the answer of a foreign function: {"base64": ...} in it is an out-buffer.
    "foreign": lambda result: json.loads(result.output, object_hook=_decoded),
}
