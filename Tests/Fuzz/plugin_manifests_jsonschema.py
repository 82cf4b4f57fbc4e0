"""Manifests of plugins against their published JSON Schema, by the library jsonschema.

    python plugin_manifests_jsonschema.py [--runs N] [--seed S] [--save FILE] PATH...

First the vectors: docs/plugin-manifest.schema.json must allow what is read, and refuse what is not, but for what the vectors
mark as silent. Then inputs of any bytes: what the reader takes must be allowed by the schema, for it must not be stricter.
"""

from __future__ import annotations

import decimal
import json
import random
import sys
from pathlib import Path

import differential
from schemas_jsonschema import Meta, Peer, load

ROOT = Path(__file__).parents[2]
SCHEMA = Meta(json.loads((ROOT / "docs" / "plugin-manifest.schema.json").read_text()))
VECTORS = json.loads((ROOT / "Tests" / "Vectors" / "plugin_manifests.json").read_text())["cases"]
counts = {"yes": 0, "bad": 0, "unread": 0}
peer = Peer()


def allows(text: str) -> bool | None:
    """Whether the schema allows a manifest; None where it is not JSON."""
    try:
        return not list(SCHEMA.iter_errors(load(text.encode())))
    except ValueError:
        return None


def check_vectors() -> None:
    for case in VECTORS:
        wanted = "field" not in case or case.get("schema") == "silent"
        if allows(case["manifest"]) not in (wanted, None):
            sys.exit(f"the published schema says {not wanted} of the vector: {case['name']}")
        answer = peer.ask("manifest", case["manifest"].encode())
        if (answer == "yes") != ("field" not in case):
            sys.exit(f"the reader says {answer} of the vector: {case['name']}")


def check(data: bytes) -> str | None:
    answer = peer.ask("manifest", data)
    word = answer.split(" ")[0]
    if word not in counts:
        return f"the reader of manifests {answer}"
    counts[word] += 1
    try:
        if word == "yes" and allows(data.decode()) is False:
            return "read a manifest that the published schema refuses"
    except (decimal.DecimalException, RecursionError):
        pass
    return None


WORDS = sorted({word.encode() for case in VECTORS for word in case["manifest"].split()})


def make(source: random.Random) -> bytes:
    return str(source.choice(VECTORS)["manifest"]).encode()


def report() -> None:
    print("manifests:", ", ".join(f"{count} {word}" for word, count in counts.items()))


if __name__ == "__main__":
    check_vectors()
    differential.run(check, make, WORDS, report)
