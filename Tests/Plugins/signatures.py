"""Calls functions as a foreign plugin's manifest declares them, by ctypes: whether the manifest is true."""

from __future__ import annotations

import base64
import ctypes
import re
from pathlib import Path
from typing import Any

Json = dict[str, Any]

INTEGERS: dict[str, Any] = {
    "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32, "i64": ctypes.c_int64,
    "u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "u64": ctypes.c_uint64,
}  # fmt: skip
PLAIN: dict[str, Any] = {**INTEGERS, "double": ctypes.c_double, "string": ctypes.c_char_p, "void": None}
SAFE = 1 << 53


def bytes_of(value: Any) -> bytes:
    """An argument of bytes: text, or base64."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


class Call:
    """The C arguments of one call."""

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self.out: tuple[str, Any, Any] | None = None

    def add(self, kind: str, name: str, given: Json, capacity: int) -> None:
        base, _, width = kind.partition(":")
        if base == "bytes":
            data = bytes_of(given[name])
            self.arguments += [ctypes.c_char_p(data), INTEGERS[width](len(data))]
        elif base == "out":
            buffer = ctypes.create_string_buffer(capacity)
            length = INTEGERS[width.rstrip("*")](capacity)
            self.out = (name, buffer, length if width.endswith("*") else None)
            self.arguments += [buffer, ctypes.byref(length) if width.endswith("*") else length]
        elif kind == "string":
            self.arguments.append(ctypes.c_char_p(given[name].encode()))
        elif kind == "double":
            self.arguments.append(ctypes.c_double(given[name]))
        else:
            self.arguments.append(INTEGERS[kind](int(given[name])))


class Library:
    def __init__(self, manifest: Json, path: Path | None = None) -> None:
        entry = manifest["files"][0]
        self.library = ctypes.CDLL(str(path or entry["system"]))
        self.tools = {tool["name"]: tool for tool in manifest["tools"]}

    def call(self, name: str, given: Json) -> Json:
        tool = self.tools[name]
        matched = re.fullmatch(r"(\w+)\((.*)\)", tool["signature"])
        assert matched is not None, tool["signature"]
        result_kind, parameters = matched[1], [part.rsplit(" ", 1) for part in matched[2].split(", ") if part]
        call = Call()
        for kind, parameter in parameters:
            call.add(kind, parameter, given, capacity_of(tool, given))
        function = getattr(self.library, tool["symbol"])
        function.restype = PLAIN[result_kind]
        return answer(function(*call.arguments), result_kind, call)


def capacity_of(tool: Json, given: Json) -> int:
    rule = tool.get("capacity", {})
    length = len(bytes_of(given[rule["of"]])) if "of" in rule else 0
    return int(length * rule.get("percent", 100) // 100 + rule.get("plus", 0))


def answer(result: Any, kind: str, call: Call) -> Json:
    if isinstance(result, bytes):
        result = result.decode()
    if kind in ("i64", "u64"):
        shown: Any = result if abs(result) <= SAFE else str(result)
    else:
        shown = result
    output: Json = {"result": shown}
    if call.out is not None:
        name, buffer, length = call.out
        written = length.value if length is not None else result
        output[name] = {"base64": base64.b64encode(buffer.raw[:written]).decode()}
    return output
