"""What the plugins of examples/plugins are asked, and what they must answer."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases import Call, Case, Json

EXAMPLES: dict[str, tuple[Case, ...]] = {
    "c": (
        Case(
            (
                Call(
                    "text.count",
                    {"text": "Hello, wörld!\nTwo \U0001f600 lines\n"},
                    output='{"bytes":30,"characters":26,"words":5,"lines":2,"words_ever":5}',
                ),
                Call(
                    "text.count",
                    '{ "x": {"text": [1, "]"]}, "\\u0074ext" : "a\\tb" }',
                    output='{"bytes":3,"characters":3,"words":2,"lines":1,"words_ever":7}',
                ),
                Call("text.count", {"text": ""}, output={"bytes": 0, "words": 0, "lines": 0, "words_ever": 7}),
                Call("text.count", {"text": 1}, 2, error="input.text is not a text"),
                Call("text.slug", {"text": '  Hello, Wörld of "slugs"!'}, output={"slug": "hello_wörld_of_slugs"}),
                Call(
                    "text.distance",
                    {"a": "kitten", "b": "sitting"},
                    output={"distance": 3},
                    usage={"units": "1.000000"},
                ),
                Call(
                    "text.distance",
                    {"a": "ä" * 100, "b": "a" * 31},
                    output={"distance": 100},
                    usage={"units": "4.000000"},
                ),
                Call("text.distance", {"a": "", "b": "abc"}, output={"distance": 3}),
                Call("text.distance", {"a": "x"}, 2, error="input.a and input.b must be texts"),
                Call("text.nothing", status=3),
                Call("@health"),
                Call("@configure", {"slug_bytes": 7}),
                Call("text.slug", {"text": "Hello, Wörld"}, output={"slug": "hello-w"}),
                Call("@configure", {"slug_bytes": 8}),
                Call("text.slug", {"text": "Hello, Wörld"}, output={"slug": "hello-w"}),
            ),
            {"separator": "_"},
        ),
        Case((Call("text.distance", {"a": "a" * 20000, "b": "b" * 20000}, 5),), options=("-d", "1")),
        Case(
            (Call("text.count", {"text": "a b"}, output='{"bytes":3,"characters":3,"words":2,"lines":1}'),),
            options=("-s",),
        ),
        Case((Call("text.count", {"text": "a b"}, 6),), options=("-o", "20")),
    ),
    "swift": (
        Case(
            (
                Call(
                    "table.rows",
                    {"csv": 'a,b\n1,"x ""y"", z"\r\n\n2,ä\n'},
                    output={"columns": ["a", "b"], "rows": [["1", 'x "y", z'], ["2", "ä"]]},
                    usage={"units": "2.000000"},
                ),
                Call(
                    "table.rows",
                    '{"csv": "a\\n\\ud83d\\ude00\\t\\u0001"}',
                    output='{"columns":["a"],"rows":[["😀\\u0009\\u0001"]]}',
                    usage={"units": "1.000000"},
                ),
                Call("table.rows", {"csv": "a"}, output={"columns": ["a"], "rows": []}),
                Call("table.rows", {"csv": ""}, 2, error="input.csv has no line that names the columns"),
                Call("table.rows", {"csv": "a,b\n1"}, 2, error="row 1 has 1 cells for 2 columns"),
                Call("table.rows", {"csv": 1}, 2, error="input.csv is not a text"),
                Call("table.rows", "[" * 100000, 2, error="the input is not a JSON object"),
                Call(
                    "table.summary",
                    {"csv": "a,b\n1,2\n2,x\n-3.5,1e3\n", "column": "b"},
                    output={"count": 2, "skipped": 1, "sum": 1002.0, "mean": 501.0, "least": 2.0, "greatest": 1000.0},
                    usage={"units": "3.000000"},
                ),
                Call(
                    "table.summary",
                    {"csv": "a\nnan\ninf\n", "column": "a"},
                    output='{"count":0,"skipped":2}',
                    usage={"units": "2.000000"},
                ),
                Call(
                    "table.summary",
                    {"csv": "a\n1e308\n1e308\n", "column": "a"},
                    1,
                    error="the sum of the column is beyond a double",
                    usage={"units": "2.000000"},
                ),
                Call(
                    "table.summary",
                    {"csv": "a\n1", "column": "b"},
                    2,
                    error="input.column names no column",
                    usage={"units": "1.000000"},
                ),
                Call("table.nothing", status=3),
                Call("@health"),
                Call("@configure", {"separator": ";"}),
                Call(
                    "table.rows", {"csv": "a;b,c\n1;2"}, output={"columns": ["a", "b,c"]}, usage={"units": "1.000000"}
                ),
            ),
        ),
        Case((Call("table.rows", {"csv": "a\n" * 20000}, 5),), options=("-d", "0")),
        Case((Call("table.rows", {"csv": "a\n1"}, 6, usage={"units": "1.000000"}),), options=("-o", "20")),
    ),
    "rust": (
        Case(
            (
                Call(
                    "redact.find",
                    {
                        "text": "ana@example.org, 4111 1111 1111 1111 and DE89 3704 0044 0532 0130 00 A1, "
                        "4111111111111112"
                    },
                    output={
                        "found": [
                            {"kind": "email", "start": 0, "end": 15},
                            {"kind": "card", "start": 17, "end": 36},
                            {"kind": "iban", "start": 41, "end": 68},
                        ]
                    },
                    usage={"units": "1.000000"},
                ),
                Call(
                    "redact.mask",
                    {"text": 'Grüße "a.b@mail.example.org".\tDE89370400440532013000 '},
                    output={"text": 'Grüße "[redacted]".\t[redacted] ', "masked": 2},
                    usage={"units": "1.000000"},
                ),
                Call(
                    "redact.mask",
                    '{"text":"\\ud83d\\ude00 x@y.de"}',
                    output={"text": "😀 [redacted]"},
                    usage={"units": "1.000000"},
                ),
                Call(
                    "redact.mask",
                    {"text": "x" * 1025 + "@a.b @ a@b a@.bc ä@ex.org a@-b."},
                    output={"masked": 0},
                    usage={"units": "2.000000"},
                ),
                Call("redact.mask", {"text": ""}, output={"text": "", "masked": 0}),
                Call("redact.mask", {"text": "x" * 1024}, usage={"units": "1.000000"}),
                Call("redact.mask", {"text": "x" * 1025}, usage={"units": "2.000000"}),
                Call("redact.mask", {"text": 1}, 2, error="input.text is not a text"),
                Call("redact.mask", "[" * 100000, 2, error="the input is not JSON"),
                Call("redact.nothing", {"text": ""}, 3),
                Call("@health"),
                Call("@configure", {"kinds": ["iban"], "mask": "X"}),
                Call(
                    "redact.mask",
                    {"text": "a@b.org 4111111111111111 DE89370400440532013000"},
                    output={"text": "a@b.org 4111111111111111 X"},
                    usage={"units": "1.000000"},
                ),
            ),
        ),
        Case((Call("redact.find", {"text": "a " * 50000}, 5),), options=("-d", "0")),
        Case((Call("redact.find", {"text": "a@b.org"}, 6, usage={"units": "1.000000"}),), options=("-o", "20")),
    ),
}

# ---- The system's libraries ----


@dataclass
class Use:
    tool: str
    input: Json
    holds: Callable[[Json], bool]


def gives(value: Any) -> Callable[[Json], bool]:
    return lambda answer: bool(answer["result"] == value)


def compressed(data: bytes) -> Callable[[Json], bool]:
    return lambda answer: answer["result"] == 0 and zlib.decompress(base64.b64decode(answer["dest"]["base64"])) == data


DATA = b"farebox " * 500
FOREIGN: dict[str, tuple[Use, ...]] = {
    "zlib": (
        Use("zlib.crc32", {"crc": "0", "data": "farebox"}, gives(zlib.crc32(b"farebox"))),
        Use("zlib.adler32", {"adler": "1", "data": "farebox"}, gives(zlib.adler32(b"farebox"))),
        Use("zlib.compress", {"source": DATA.decode(), "level": 9}, compressed(DATA)),
        Use(
            "zlib.uncompress",
            {"source": {"base64": base64.b64encode(zlib.compress(DATA)).decode()}},
            lambda answer: answer == {"result": 0, "dest": {"base64": base64.b64encode(DATA).decode()}},
        ),
        Use("zlib.version", {}, gives(zlib.ZLIB_RUNTIME_VERSION)),
    ),
    "libm": (
        Use("math.pow", {"x": 2, "y": 0.5}, lambda answer: abs(answer["result"] - 2**0.5) < 1e-15),
        Use("math.hypot", {"x": 3, "y": 4}, gives(5.0)),
        Use("math.cbrt", {"x": 27}, lambda answer: abs(answer["result"] - 3) < 1e-15),
    ),
    "sqlite": (
        Use("sqlite.version", {}, lambda answer: answer["result"].startswith("3.")),
        Use("sqlite.version_number", {}, lambda answer: 3000000 < answer["result"] < 4000000),
        Use("sqlite.complete", {"sql": "SELECT 1;"}, gives(1)),
        Use("sqlite.complete", {"sql": "SELECT 'a;"}, gives(0)),
        Use("sqlite.matches", {"glob": "user:*", "text": "user:ana"}, gives(0)),
        Use("sqlite.compares", {"left": "Ana", "right": "aNA"}, gives(0)),
    ),
}
