"""What the two differential fuzzers share: inputs from the corpus, seeded changes to them, and the closing line.

    python TARGET.py [--runs N] [--seed S] [--save FILE] PATH...

An input is bytes in the form of the C target of the same corpus. One on which the two sides differ is written to FILE.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def _inputs(paths: Sequence[str]) -> list[bytes]:
    found: list[bytes] = []
    for path in map(Path, paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file.read_bytes() for file in files if file.is_file() and not file.name.startswith(".")]
    return found


def changed(source: random.Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """The input with a byte or a word put in, taken out or replaced, once or a few times."""
    for _ in range(source.randint(1, 3)):
        at = source.randint(0, len(data))
        match source.randrange(5):
            case 0:
                data = data[:at] + data[at + 1 :]
            case 1:
                data = data[:at] + bytes([source.randrange(256)]) + data[at + source.randint(0, 1) :]
            case 2:
                data = data[:at] + source.choice(words) + data[at:]
            case 3:
                end = min(len(data), at + source.randint(1, 12))
                data = data[:at] + source.choice(words) + data[end:]
            case _:
                end = min(len(data), at + source.randint(1, 8))
                data = data[:at] + data[at:end] + data[at:]
    return data


def run(
    check: Callable[[bytes], str | None],
    make: Callable[[random.Random], bytes],
    words: Sequence[bytes],
    report: Callable[[], None] = lambda: None,
) -> None:
    """Runs ``check`` on the corpus and on inputs that are made or changed; it says what differs, or None."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    corpus = _inputs(options.paths)

    def one(data: bytes) -> None:
        difference = check(data)
        if difference is not None:
            print(f"{difference}\non {data!r}", file=sys.stderr)
            if options.save:
                Path(options.save).write_bytes(data)
            sys.exit(1)

    for data in corpus:
        one(data)
    source = random.Random(options.seed)
    for _ in range(options.runs):
        data = source.choice(corpus) if corpus and source.random() < 0.5 else make(source)
        one(changed(source, data, words) if source.random() < 0.7 else data)
    report()
    print(f"{len(corpus)} replayed, {options.runs} mutated")
