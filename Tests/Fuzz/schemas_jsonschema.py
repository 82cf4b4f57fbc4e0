"""JSON Schemas of plugins against the library jsonschema: which schemas are read, and which values they allow.

    python schemas_jsonschema.py [--runs N] [--seed S] [--save FILE] PATH...

An input is {"schema": ..., "value": ...}. The program FareboxPeer, whose path is in FAREBOX_PEER, answers for this library.
What is read there must be a schema of draft 2020-12 and of docs/plugin-manifest.schema.json, and then both sides must
agree on the value. Numbers are decimals on both sides.
"""

from __future__ import annotations

import decimal
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import differential
import jsonschema
from jsonschema import validators

decimal.getcontext().prec = 4000
Decimal = decimal.Decimal


def _is_number(_checker: object, value: object) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _is_integer(checker: object, value: object) -> bool:
    return _is_number(checker, value) and value == value // 1  # type: ignore[operator]


def _plain(value: Any) -> Any:
    """A form in which Python's equality is that of JSON: true is not 1, and 1.0 is."""
    if isinstance(value, bool) or value is None:
        return ("word", str(value))
    if isinstance(value, (int, Decimal)):
        return ("number", Decimal(value).normalize())
    if isinstance(value, list):
        return ("array", tuple(map(_plain, value)))
    if isinstance(value, dict):
        return ("object", frozenset((key, _plain(element)) for key, element in value.items()))
    return ("text", value)


# The library compares lists by sorting them, which true and 1 confuse.
def _unique(_validator: object, wanted: bool, value: Any, _schema: object) -> Any:
    if wanted and isinstance(value, list) and len({_plain(element) for element in value}) != len(value):
        yield jsonschema.ValidationError("not unique")


BASE = jsonschema.Draft202012Validator
CHECKER = BASE.TYPE_CHECKER.redefine("number", _is_number).redefine("integer", _is_integer)
Validator = validators.extend(BASE, {"uniqueItems": _unique}, type_checker=CHECKER)
Meta = validators.extend(BASE, {}, type_checker=CHECKER)

_published = json.loads((Path(__file__).parents[2] / "docs" / "plugin-manifest.schema.json").read_text())
SUBSET = Meta({"$ref": "#/$defs/schema", "$defs": _published["$defs"]})
META = Meta(BASE.META_SCHEMA)


class Peer:
    """The program that answers for this library, restarted where it ended."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [os.environ["FAREBOX_PEER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, kind: str, data: bytes) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{kind} {data.hex()}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        return answer or "crashed"


def load(data: bytes) -> Any:
    return json.loads(data.decode(), parse_float=Decimal, parse_int=int)


def native(value: Any) -> Any:
    """With the numbers that the library's own validators know; it takes those for whatever names its `$schema`."""
    if isinstance(value, Decimal):
        return int(value) if value == value // 1 else float(value)
    if isinstance(value, list):
        return [native(element) for element in value]
    if isinstance(value, dict):
        return {key: native(element) for key, element in value.items()}
    return value


counts = {"yes": 0, "no": 0, "bad": 0, "unread": 0, "beyond": 0}
peer = Peer()


def check(data: bytes) -> str | None:
    answer = peer.ask("schema", data)
    word = answer.split(" ")[0]
    if word not in counts:
        return f"the reader of schemas {answer}"
    counts[word] += 1
    if word in ("unread", "beyond"):
        return None
    try:
        given = load(data)
        is_subset = not list(SUBSET.iter_errors(given["schema"]))
        is_schema = not list(META.iter_errors(native(given["schema"])))
    except (decimal.DecimalException, RecursionError, ValueError):
        return None
    if word == "bad":
        # References, loops and lengths are what the published schema cannot say.
        return f"refused: {answer}" if is_subset and "$ref" not in data.decode() and len(data) < 60_000 else None
    if not is_schema or not is_subset:
        return f"read a schema that is none: 2020-12 {is_schema}, published {is_subset}"
    if isinstance(given["schema"], dict):
        given["schema"].pop("$schema", None)
    try:
        valid = not list(Validator(given["schema"]).iter_errors(given["value"]))
    except (decimal.DecimalException, RecursionError):
        return None
    return None if valid == (word == "yes") else f"answered {answer} where jsonschema says {valid}"


WORDS = [
    word.encode()
    for word in (
        '"type":"integer"', '"type":["string","null"]', '"minimum":1', '"multipleOf":3', '"maxLength":2', '"$ref":"#"',
        '"$ref":"#/$defs/a"', '"additionalProperties":false', '"required":["a"]', '"uniqueItems":true', '"const":1.0',
        '"enum":[1,"a",null]', '"anyOf":[', '"not":{', '"pattern":"a"', "true", "false", "null", "1e2", "1.0", "-0", "0.10",
        "1e400", '"a"', '"\\u00e9"', '"e\\u0301"', "[]", "{}", ",", ":", '"secret":true', '"prefixItems":[true]',
    )
]  # fmt: skip

KEYS = ("a", "b", "é", "$ref")
SCALARS = (None, True, False, 0, 1, 2, -3, 6, "", "a", "ab", "é", "e\u0301", "😀")
NUMBERS = ("1.0", "0.1", "0.10", "1e2", "100", "1E-2", "-0", "0.0", "12345678901234567890", "1e40", "3", "0.3", "9.99")


class Raw(str):
    """Text that stands in JSON as it is."""


def dump(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(element)}" for key, element in value.items()) + "}"
    return json.dumps(value, ensure_ascii=bool(random.Random(str(value)).randrange(2)))


def a_value(source: random.Random, depth: int = 3) -> Any:
    match source.randrange(8 if depth else 5):
        case 0 | 1:
            return Raw(source.choice(NUMBERS))
        case 2 | 3 | 4:
            return source.choice(SCALARS)
        case 5 | 6:
            return {source.choice(KEYS): a_value(source, depth - 1) for _ in range(source.randrange(4))}
        case _:
            return [a_value(source, depth - 1) for _ in range(source.randrange(4))]


TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"]


def a_schema(source: random.Random, depth: int = 3) -> Any:
    if source.randrange(12) == 0:
        return source.choice((True, False))
    schema: dict[str, Any] = {}

    def inner() -> Any:
        return a_schema(source, depth - 1)

    for _ in range(source.randrange(4) if depth else 1):
        match source.randrange(22 if depth else 10):
            case 0 | 1:
                schema["type"] = source.choice(TYPES)
            case 2:
                schema["type"] = source.sample(TYPES, source.randint(1, 4))
            case 3:
                schema["enum"] = [a_value(source, 2) for _ in range(source.randrange(5))]
            case 4:
                schema["const"] = a_value(source, 2)
            case 5:
                bound = source.choice(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
                schema[bound] = Raw(source.choice(NUMBERS))
            case 6:
                schema["multipleOf"] = source.choice((1, 2, 3, 7, 10**12, 2**62))
            case 7:
                schema[source.choice(("minLength", "maxLength"))] = source.randrange(3)
            case 8:
                schema[source.choice(("minItems", "maxItems", "minProperties", "maxProperties"))] = source.randrange(4)
            case 9:
                schema["uniqueItems"] = source.choice((True, False))
            case 10 | 11 | 12:
                schema["properties"] = {source.choice(KEYS): inner() for _ in range(source.randint(1, 3))}
            case 13:
                schema["required"] = source.sample(KEYS, source.randint(0, 3))
            case 14:
                schema["additionalProperties"] = inner()
            case 15:
                schema["items"] = inner()
            case 16:
                schema["prefixItems"] = [inner() for _ in range(source.randint(1, 3))]
            case 17 | 18:
                schema[source.choice(("anyOf", "oneOf", "allOf"))] = [inner() for _ in range(source.randint(1, 3))]
            case 19:
                schema["not"] = inner()
            case 20:
                schema["$ref"] = source.choice(("#", "#/$defs/a", "#/$defs/b~1c", "#/$defs/~0"))
            case _:
                schema[source.choice(("title", "description", "format", "$comment"))] = "x"
    return schema


def make(source: random.Random) -> bytes:
    schema = a_schema(source)
    if isinstance(schema, dict) and source.randrange(2):
        schema["$defs"] = {name: a_schema(source, 2) for name in ("a", "b/c", "~")}
    return dump({"schema": schema, "value": a_value(source)}).encode()


def report() -> None:
    print("schemas:", ", ".join(f"{count} {word}" for word, count in counts.items()))


if __name__ == "__main__":
    differential.run(check, make, WORDS, report)
