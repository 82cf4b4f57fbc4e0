"""What plugins are asked by Tests/Plugins/run, and what they must answer there, where nothing contains them."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Call:
    """A call, and its status, output, error and usage. An output is JSON whose named members count, text, or bytes."""

    tool: str
    input: Any = field(default_factory=dict)
    status: int = 0
    output: Json | str | bytes | None = None
    error: str = ""
    usage: dict[str, str] = field(default_factory=dict)

    def problem(self, answer: Json) -> str | None:
        if self.tool.startswith("@"):
            given = answer.get(self.tool[1:], "nothing")
            return None if given == self.status else f"gives {given}"
        error = answer["error"].encode("latin-1").decode("utf-8", "replace")
        if (answer["status"], error, answer["usage"]) != (self.status, self.error, self.usage):
            return f"answers {answer}"
        if self.output is None:
            return None
        raw = answer["output"].encode("latin-1")
        if isinstance(self.output, bytes):
            return None if raw == self.output else f"gives {raw!r}"
        if isinstance(self.output, str):
            return None if raw == self.output.encode() else f"gives {raw!r}"
        return None if contains(json.loads(raw), self.output) else f"gives {raw.decode()}"


def contains(given: Json, wanted: Json) -> bool:
    return all(name in given and given[name] == value for name, value in wanted.items())


@dataclass
class Case:
    """A life with a configuration and calls in their order."""

    calls: tuple[Call, ...]
    config: Json = field(default_factory=dict)
    options: tuple[str, ...] = ()


GOOD = Case(
    (
        Call("good.echo", {"text": "Grüße"}, output='{"text": "Gr\\u00fc\\u00dfe"}'),
        Call("good.add", {"a": 2, "b": 40}, output={"sum": 42}),
        Call("good.add", {"a": (1 << 63) - 1, "b": 1}, 2, error="the sum does not fit"),
        Call("good.count", {"count": 12, "micro": 500000}, output={"status": 0}, usage={"units": "12.500000"}),
        Call("good.count", {"meter": "images", "count": 3}, output={"status": 0}, usage={"images": "3.000000"}),
        Call("good.count", {"count": -1}, output={"status": 2}),
        Call("good.tally", {"key": "calls"}, output={"value": 1}),
        Call("good.tally", {"key": "calls", "fail": 1}, 1, error="it was asked to fail"),
        Call("good.tally", {"key": "calls"}, output={"value": 2}),
        Call("good.tally", {"key": "k" * 129}, 2),
        Call("good.config", output={"greeting": "hello"}),
        Call("good.sleep", {"ms": 5}, output={"slept": 5}),
        Call("good.text", output="Grüße\n"),
        Call("good.bytes", {"count": 300}, output=bytes(k % 256 for k in range(300))),
        Call("good.bytes", {"count": 2 << 20}, 6),
        Call("good.context", output={"tool": "good.context", "account": "user:ana", "run": "run-1", "call": "call-1"}),
        Call("good.times"),
        Call("good.log", {"level": 2, "message": "look"}, output={}),
        Call("good.version", output={"version": "1.0.0"}),
        Call("good.nothing", status=3),
        Call("@health"),
        Call("@configure", {"greeting": "bye"}),
        Call("good.config", output={"greeting": "bye"}),
        Call("@configure", {"greeting": "refuse"}, 2),
        Call("good.config", output={"greeting": "bye"}),
        Call("good.sleep", {"ms": 60000}, 5),
    ),
    {"greeting": "hello"},
    ("-d", "1000"),
)
UNHEALTHY = Case((Call("@health", status=1), Call("good.version", output={"version": "1.2.0"})))

# ---- The hostile plugin, where nothing stops it ----


@dataclass
class Harm:
    """How a tool ends: by a signal, never, by an exit, in any way, or with an answer of a status, or of any."""

    signal: int | None = None
    never: bool = False
    exits: bool = False
    anyhow: bool = False
    status: int | None = 0
    input: Json | None = None
    seconds: float = 20

    def problem(self, ended: int | None, calls: list[Json], output: Json | None) -> str | None:
        if self.anyhow:
            return None
        if self.signal is not None:
            return None if ended == -self.signal else "is not ended by its signal"
        if self.never:
            return None if ended is None else "ends"
        if self.exits:
            return None if ended == 0 and not calls else "does not exit"
        if ended != 0 or not calls:
            return "does not answer"
        if self.status is not None and calls[0]["status"] != self.status:
            return f"does not answer {self.status}"
        if output is not None and not contains(json.loads(calls[0]["output"].encode("latin-1")), output):
            return "answers otherwise"
        return None


def endless() -> Harm:
    return Harm(never=True, seconds=0.6)


HOSTILE = {
    "segfault": Harm(signal.SIGSEGV),
    "trap": Harm(signal.SIGILL),
    "abort": Harm(signal.SIGABRT),
    "exit": Harm(exits=True),
    "exit_now": Harm(exits=True),
    "raise": Harm(signal.SIGKILL),
    "recurse": Harm(signal.SIGSEGV),
    "allocate": Harm(input={"bytes": 8 << 20}),
    "corrupt_heap": Harm(signal.SIGABRT),
    "jump_out": Harm(anyhow=True, seconds=2),
    "leave_thread": Harm(anyhow=True, seconds=2),
    "catch_segfault": endless(),
    "ignore_signals": endless(),
    "loop": endless(),
    "loop_until_cancelled": Harm(status=5),
    "sleep": endless(),
    "many_threads": Harm(input={"count": 50}),
    "write_everywhere": Harm(anyhow=True, seconds=2),
    "close_descriptors": Harm(anyhow=True, seconds=2),
    "exec": Harm(exits=True),
    "write_file": Harm(input={"path": "hostile.txt"}),
    "flood_forever": endless(),
    "flood_error": Harm(status=1),
    "write_null": Harm(status=1),
    "use_kept_sink": Harm(status=2),
    "meter_huge": Harm(),
    "meter_then_fail": Harm(status=1),
    "meter_declared": Harm(anyhow=True),
    "deep_json": Harm(input={"depth": 100000}),
    "unknown_status": Harm(status=4242),
    "error_invalid": Harm(status=1),
}
LATE = Case(
    (
        Call("hostile.keep_sink", {"thread": 0}, output={"kept": True}),
        Call(
            "hostile.use_kept_sink",
            output=b'stale{"write":0,"add":0,"set":0,"cancelled":0}',
            usage={"units": "1000000.000000"},
        ),
        Call("hostile.start_thread", output={"errno": 0}),
        Call("@wait", 50),
        Call("hostile.thread_ticks"),
    )
)
NO_STORE = Case(
    (
        Call(
            "hostile-bare.store_misuse", output={"long_key": 8, "no_key": 8, "long_value": 8, "most": 8, "missing": 8}
        ),
        Call("hostile-bare.store_flood", output={"taken": 0, "status": 8}),
    ),
    options=("-s",),
)
# What misuses the host and nothing else.
TAME = Case(
    (
        Call("hostile.meter_misuse", output={"overflow": 2, "two": 0}, usage={"units": "2.000000"}),
        Call("hostile.store_misuse", output={"long_key": 2, "most": 0}),
        Call("hostile.store_flood", output={"taken": 16, "status": 6}),
        Call("hostile.service_misuse", output={"unknown": 0, "config": 7}),
        Call("hostile.flood_logs", {"count": 1000}, output={"lines": 1000}),
        Call("hostile.invalid_utf8"),
        Call("hostile.bytes_any", output=b"\xff\x00\xfe"),
    )
)
