"""Plugins: loading, metered calls, errors, containment, and their tools as functions of Python."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
import subprocess
import sys
import threading
import time
import typing
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import Farebox, PaymentRefused, PluginError, Receipt, RequestError, StateError, ToolResult
from farebox import _statuses as status

from .conftest import PluginFolder

GOOD = "org.farebox.test.good"
ZLIB = "org.farebox.example.zlib"
NANO = Decimal("1e-9")


@pytest.fixture
def rich(engine: Farebox, plugins: PluginFolder) -> Farebox:
    """The engine with the good plugin active, for user:ana who has 10 USD."""
    engine.open_account("user:author")
    engine.plugins.load(plugins.manifests["good-1.0.0"])
    return engine


@pytest.fixture
def squeezing(engine: Farebox, plugins: PluginFolder) -> Farebox:
    """The engine with zlib active."""
    engine.open_account("user:author")
    engine.plugins.load(plugins.zlib)
    return engine


def exact(count: int, rate: str, maximum: str) -> Decimal:
    """What so many bytes cost at a rate for a million, by decimals alone."""
    price = (Decimal(count) * Decimal(rate) / 1_000_000).quantize(NANO, ROUND_HALF_EVEN)
    return min(price, Decimal(maximum))


def nothing_is_held(engine: Farebox, account: str = "user:ana") -> bool:
    return engine.balance(account).held == 0 and not engine.call("hold.list")["holds"]


# ---- zlib, priced by byte ----


def test_zlib_is_charged_by_byte_to_the_last_unit(squeezing: Farebox) -> None:
    pick = random.Random(1950)
    paid = Decimal(0)
    earned = 0
    for size in (0, 1, 2, 999, 1000, 4096, 65_537, 300_000):
        data = pick.randbytes(size // 2) + b"fare" * ((size - size // 2) // 4 + 1)
        data = data[:size]
        checksum = squeezing.call_tool("zlib.crc32", {"crc": "0", "data": data}, payer="user:ana")
        assert checksum.json() == {"result": zlib.crc32(data)}
        squeezed = squeezing.call_tool("zlib.compress", {"source": data, "level": 9}, payer="user:ana")
        assert squeezed.json()["result"] == 0
        for result, rate, maximum in ((checksum, "0.001", "0.01"), (squeezed, "0.01", "0.10")):
            assert result.receipt is not None
            price = exact(size, rate, maximum)
            assert result.receipt.amount == price and result.receipt.asset == "USD"
            paid += price
            units = int(price / NANO)
            earned += units - units * 3 // 10  # the platform's share is rounded down, the rest is the author's
        function = squeezing.plugins.tool("zlib.compress", payer="user:ana")
        assert zlib.decompress(function(source=data, level=1)["dest"]) == data
        price = exact(size, "0.01", "0.10")
        paid += price
        earned += int(price / NANO) - int(price / NANO) * 3 // 10
    assert squeezing.balance("user:ana").balance == 10 - paid
    assert squeezing.balance("user:author").units == earned
    assert nothing_is_held(squeezing)
    assert squeezing.call("ledger.reconcile")["balanced"] is True


def test_a_receipt_names_the_plugin_that_ran(squeezing: Farebox) -> None:
    result = squeezing.call_tool("zlib.version", payer="user:ana")
    assert result.json() == {"result": zlib.ZLIB_RUNTIME_VERSION}
    assert result.receipt is not None and result.receipt.amount == 0
    entry = squeezing.call("transfer.get", id=result.receipt.id)
    assert entry["tool"] == "zlib.version"
    assert entry["metadata"]["plugin"] == ZLIB and entry["metadata"]["version"] == "1.0.0"


def test_a_quote_needs_no_plugin_and_no_policy(engine: Farebox, root: Path) -> None:
    manifest = root / "examples" / "plugins" / "zlib" / "org.farebox.example.zlib.farebox.json"
    for quote in (
        engine.plugins.quote("zlib.crc32", {"units": 123_456}, path=manifest),
        engine.plugins.quote("zlib.crc32", {"units": 123_456}, manifest=manifest.read_text()),
    ):
        assert Decimal(quote["total"]) == exact(123_456, "0.001", "0.01") and quote["asset"] == "USD"
    with pytest.raises(StateError) as missing:
        engine.plugins.quote("zlib.absent", path=manifest)
    assert missing.value.code == status.TOOL_NOT_FOUND


# ---- Calls ----


def test_outputs_are_bytes_text_and_json(rich: Farebox) -> None:
    echo = rich.call_tool("good.echo", {"text": "Grüße"}, payer="user:ana")
    assert isinstance(echo, ToolResult) and echo.json() == {"text": "Grüße"}
    assert echo.receipt is not None and echo.receipt.amount == Decimal("0.01")
    assert rich.call_tool("good.echo", '{"text": "as it is"}', payer="user:ana").output == b'{"text": "as it is"}'
    assert rich.call_tool("good.echo", b'{"n":1}', payer="user:ana").text() == '{"n":1}'
    assert rich.call_tool("good.echo", payer="user:ana").output == b"{}"
    sent = rich.call_tool("good.echo", {"b": b"\xff\0", "d": Decimal("0.10"), "f": 0.5}, payer="user:ana")
    assert sent.json() == {"b": {"base64": "/wA="}, "d": "0.10", "f": 0.5}
    assert rich.call_tool("good.text", payer="user:ana").text() == "Grüße\n"
    assert rich.call_tool("good.bytes", {"count": 300}, payer="user:ana").output == bytes(n % 256 for n in range(300))
    large = "x" * 1_000_000
    assert rich.call_tool("good.echo", {"text": large}, payer="user:ana", deadline=10).json() == {"text": large}


def test_the_context_pays_and_names_run_and_call(rich: Farebox) -> None:
    told: list[Receipt] = []
    with rich.paying("user:ana", run="run-1", on_receipt=told.append), farebox.call_id("call-7"):
        first = rich.call_tool("good.context").json()
        second = rich.call_tool("good.context").json()
    assert first == {"tool": "good.context", "account": "user:ana", "run": "run-1", "call": "call-7"}
    assert second == first
    assert [receipt.amount for receipt in told] == [Decimal("0.01")] * 2
    with rich.paying("user:bob", run="run-1"):
        given = rich.call_tool("good.context", payer="user:ana", run="run-2", call="mine").json()
    assert given == {"tool": "good.context", "account": "user:ana", "run": "run-2", "call": "mine"}
    with pytest.raises(RequestError) as nobody:
        rich.call_tool("good.echo")
    assert nobody.value.field == "payer"
    with Farebox.open("memory:") as other, other.paying("user:ana"), pytest.raises(RequestError) as elsewhere:
        rich.call_tool("good.echo")
    assert elsewhere.value.field == "payer"


def test_a_repeat_runs_again_and_is_charged_once(rich: Farebox) -> None:
    def call(**more: Any) -> ToolResult:
        with rich.paying("user:ana", run="run-1"), farebox.call_id("call-1"):
            return rich.call_tool("good.tally", {"key": "n"}, **more)

    first, again = call(), call()
    assert (first.json(), again.json()) == ({"value": 1}, {"value": 2})
    assert first.receipt is not None and again.receipt is not None
    assert again.receipt.replayed and not first.receipt.replayed
    assert (again.receipt.id, again.receipt.amount) == (first.receipt.id, first.receipt.amount)
    assert rich.balance("user:ana").balance == Decimal("9.99")
    held = [rich.call_tool("good.count", {"count": 2}, payer="user:ana", key="k", max_cost="0.5") for _ in range(2)]
    assert [result.receipt.amount for result in held if result.receipt] == [Decimal("0.002")] * 2
    assert rich.balance("user:ana").balance == Decimal("9.988") and nothing_is_held(rich)


def test_a_failed_try_leaves_its_key_free(rich: Farebox) -> None:
    with pytest.raises(PluginError):
        rich.call_tool("good.tally", {"key": "n", "fail": 1}, payer="user:ana", key="k")
    assert rich.balance("user:ana").balance == 10
    done = rich.call_tool("good.tally", {"key": "n"}, payer="user:ana", key="k")
    assert done.receipt is not None and not done.receipt.replayed
    assert rich.balance("user:ana").balance == Decimal("9.99")


def test_max_cost_bounds_and_money_refuses(rich: Farebox) -> None:
    bounded = rich.call_tool("good.count", {"count": 100}, payer="user:ana", max_cost="0.05")
    assert bounded.receipt is not None and bounded.receipt.amount == Decimal("0.05") and bounded.receipt.capped
    with pytest.raises(PaymentRefused) as refused:
        rich.call_tool("good.tally", {"key": "n"}, payer="dev:eve")
    assert refused.value.code == status.INSUFFICIENT_FUNDS
    assert rich.call_tool("good.tally", {"key": "n"}, payer="user:ana").json() == {"value": 1}, "it must not have run"
    assert nothing_is_held(rich)


def test_an_uncharged_call_leaves_no_trace_in_the_ledger(rich: Farebox) -> None:
    before = rich.call("ledger.info")["records"]
    result = rich.call_tool("good.echo", {"a": 1}, uncharged=True)
    assert result.json() == {"a": 1} and result.receipt is None
    assert rich.call("ledger.info")["records"] == before


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"input": 7}, "input"),
        ({"input": [1]}, "input"),
        ({"input": "[]"}, "input"),
        ({"input": "{"}, "input"),
        ({"input": {"a": {1, 2}, "b": object()}}, "input"),
        ({"input": {"a": float("nan")}}, "input"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": "soon"}, "deadline"),
        ({"max_cost": "-1"}, "args.max_cost"),
        ({"max_cost": "x"}, "max_cost"),
        ({"durability": "soon"}, "durability"),
        ({"payer": 7}, "text"),
        ({"payer": "user:nobody"}, "payer"),
        ({"tool": "good.absent"}, "tool"),
        ({"tool": ""}, "tool"),
    ],
)
def test_bad_arguments_name_their_field(rich: Farebox, arguments: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"tool": "good.echo", "payer": "user:ana", **arguments}
    with pytest.raises(farebox.FareboxError) as caught:
        rich.call_tool(given.pop("tool"), given.pop("input", None), **given)
    assert caught.value.field == field, caught.value
    assert caught.value.code < status.INTERNAL or isinstance(caught.value, PluginError)
    assert rich.balance("user:ana").balance == 10 and nothing_is_held(rich)


# ---- Errors and containment ----


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("init-crash", "PLUGIN_CRASHED"),
        ("init-fail", "PLUGIN_BROKEN"),
        ("other-version", "PLUGIN_BROKEN"),
        ("major-other", "PLUGIN_ABI"),
        ("changed", "PLUGIN_UNTRUSTED"),
        ("manifest-unknown", "PLUGIN_MANIFEST"),
        ("missing-file", "PLUGIN_NOT_FOUND"),
    ],
)
def test_what_cannot_be_loaded_says_why(engine: Farebox, plugins: PluginFolder, fixture: str, name: str) -> None:
    with pytest.raises(PluginError) as caught:
        engine.plugins.load(plugins.manifests[fixture])
    error = caught.value
    assert error.message and str(error).startswith(error.name)
    assert error.name in (name, "PLUGIN_FAILED", "PLUGIN_QUARANTINED"), error
    if name in ("PLUGIN_MANIFEST", "PLUGIN_ABI", "PLUGIN_UNTRUSTED"):
        assert error.name == name and error.field, error


@pytest.mark.parametrize(
    ("tool", "input", "code"),
    [
        ("segfault", {}, status.PLUGIN_CRASHED),
        ("trap", {}, status.PLUGIN_CRASHED),
        ("exit", {}, status.PLUGIN_CRASHED),
        ("sleep", {}, status.PLUGIN_DEADLINE),
        ("ignore_signals", {}, status.PLUGIN_DEADLINE),
        ("flood_output", {}, status.PLUGIN_OUTPUT_LIMIT),
        ("flood_error", {}, status.PLUGIN_FAILED),
        ("wrong_output", {}, status.PLUGIN_OUTPUT),
        ("invalid_json", {}, status.PLUGIN_OUTPUT),
        ("meter_then_fail", {}, status.PLUGIN_FAILED),
    ],
)
def test_what_goes_wrong_costs_nothing_and_the_interpreter_lives(
    engine: Farebox, plugins: PluginFolder, tool: str, input: dict[str, Any], code: int
) -> None:
    engine.open_account("user:author")
    engine.plugins.load(plugins.manifests["hostile"])
    with pytest.raises(PluginError) as caught:
        engine.call_tool(f"hostile.{tool}", input, payer="user:ana", deadline=0.5, max_cost=1)
    error = caught.value
    assert error.code == code and error.message
    assert error.retryable == status.STATUSES[code].retryable
    assert engine.balance("user:ana").balance == 10 and nothing_is_held(engine)
    again = engine.call_tool("hostile.bytes_any", payer="user:ana")
    assert again.output == b"\xff\x00\xfe", "one failure costs nothing"
    (counted,) = engine.plugins.metrics(plugins.ids["hostile"])["plugins"]
    assert (counted["calls"], counted["succeeded"]) == (2, 1)


def test_a_plugin_that_keeps_crashing_is_left_alone(engine: Farebox, plugins: PluginFolder) -> None:
    engine.open_account("user:author")
    engine.plugins.load(plugins.manifests["hostile"])
    names = set()
    deadline = time.monotonic() + 20
    for _ in range(1000):
        with pytest.raises(PluginError) as caught:
            engine.call_tool("hostile.segfault", payer="user:ana")
        names.add(caught.value.name)
        if caught.value.name == "PLUGIN_UNAVAILABLE":
            assert caught.value.retryable and caught.value.details["retry_after_ms"] >= 0
            break
        assert time.monotonic() < deadline
    assert names == {"PLUGIN_CRASHED", "PLUGIN_UNAVAILABLE"}
    assert engine.plugins.health(plugins.ids["hostile"])["healthy"] is False
    assert engine.balance("user:ana").balance == 10 and nothing_is_held(engine)


def test_the_input_is_checked_before_anything_is_held(rich: Farebox) -> None:
    before = rich.call("ledger.info")["records"]
    with pytest.raises(PluginError) as caught:
        rich.call_tool("good.add", {"a": 1, "b": "two"}, payer="user:ana")
    assert (caught.value.name, caught.value.field) == ("PLUGIN_INPUT", "input.b")
    assert rich.call("ledger.info")["records"] == before


# ---- Threads and tasks ----


def test_the_interpreter_goes_on_while_a_tool_runs(rich: Farebox) -> None:
    counted = [0]
    may_end = threading.Event()

    def count() -> None:
        while not may_end.is_set():
            counted[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    try:
        before = counted[0]
        rich.call_tool("good.sleep", {"ms": 300}, payer="user:ana")
        assert counted[0] - before > 1000
    finally:
        may_end.set()
        counter.join()


def test_many_threads_call_and_every_call_is_paid_once(rich: Farebox) -> None:
    def call(number: int) -> int:
        result = rich.call_tool("good.add", {"a": number, "b": 1}, payer="user:ana", key=f"k{number}", deadline=5)
        return int(result.json()["sum"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(200))) == list(range(1, 201))
    assert rich.balance("user:ana").balance == 10 - 200 * Decimal("0.02") and nothing_is_held(rich)


def test_a_call_is_cancelled_from_another_thread(rich: Farebox) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rich.call_tool, "good.sleep", {"ms": 5000}, payer="user:ana", run="r", call="mine")
        deadline = time.monotonic() + 4
        while not rich.call("tool.cancel", call="mine", payer="user:ana", run="r")["cancelled"]:
            assert time.monotonic() < deadline
        with pytest.raises(PluginError) as caught:
            running.result()
    assert caught.value.code == status.PLUGIN_CANCELLED
    assert rich.balance("user:ana").balance == 10 and nothing_is_held(rich)


def test_a_cancel_is_for_one_payer_and_run(rich: Farebox) -> None:
    rich.deposit("user:bob", 1)
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(rich.call_tool, "good.sleep", {"ms": 5000}, payer="user:ana", run="r1", call="call_1")
        theirs = pool.submit(rich.call_tool, "good.sleep", {"ms": 400}, payer="user:bob", run="r2", call="call_1")
        time.sleep(0.1)
        assert rich.call("tool.cancel", call="call_1", run="r2", payer="user:ana")["cancelled"] == 0
        assert rich.call("tool.cancel", call="call_1", run="r1")["cancelled"] == 1
        with pytest.raises(PluginError):
            ours.result()
        assert theirs.result().json() == {"slept": 400}


def test_a_coroutine_calls_off_the_event_loop(rich: Farebox) -> None:
    async def run() -> list[ToolResult]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with rich.paying("user:ana", run="r", on_receipt=told.append), farebox.call_id("c"):
            calls = [rich.call_tool_async("good.sleep", {"ms": 200}, deadline=5) for _ in range(2)]
            results = list(await asyncio.gather(*calls))
        ticking.cancel()
        assert ticks > 5
        return results

    told: list[Receipt] = []
    results = asyncio.run(run())
    assert [result.json() for result in results] == [{"slept": 200}] * 2
    assert sorted(told) == sorted(result.receipt for result in results if result.receipt)
    assert rich.balance("user:ana").balance == Decimal("9.98")


@pytest.mark.parametrize("named", [{}, {"key": "k"}, {"call": "c"}, {"call": "c", "key": "k"}])
def test_cancelling_a_task_cancels_its_call_and_no_other(rich: Farebox, named: dict[str, Any]) -> None:
    async def run() -> None:
        with rich.paying("user:ana", run="r"):
            ours = asyncio.create_task(rich.call_tool_async("good.sleep", {"ms": 5000}, **named))
            other = asyncio.create_task(rich.call_tool_async("good.sleep", {"ms": 500}))
        await asyncio.sleep(0.15)
        started = time.monotonic()
        ours.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ours
        assert time.monotonic() - started < 2
        assert (await other).json() == {"slept": 500}

    asyncio.run(run())
    assert rich.balance("user:ana").balance == Decimal("9.99") and nothing_is_held(rich)


def test_a_repeat_may_be_a_coroutine_or_not(rich: Farebox) -> None:
    async def run() -> ToolResult:
        return await rich.call_tool_async("good.tally", {"key": "n"}, payer="user:ana", key="k")

    first, again = asyncio.run(run()), asyncio.run(run())
    third = rich.call_tool("good.tally", {"key": "n"}, payer="user:ana", key="k")
    receipts = [result.receipt for result in (first, again, third) if result.receipt is not None]
    assert [receipt.replayed for receipt in receipts] == [False, True, True]
    assert len({receipt.id for receipt in receipts}) == 1
    assert rich.balance("user:ana").balance == Decimal("9.99")


def test_a_task_that_is_cancelled_early_or_times_out_costs_nothing(rich: Farebox) -> None:
    async def run() -> None:
        for moment in (0.0, 0.001, 0.003, 0.01, 0.03):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(rich.call_tool_async("good.sleep", {"ms": 5000}, payer="user:ana"), moment)

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 10
    assert rich.balance("user:ana").balance == 10 and nothing_is_held(rich)


def test_a_call_that_waits_for_a_thread_is_never_made(rich: Farebox) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        blocked = loop.run_in_executor(None, time.sleep, 0.3)
        waiting = asyncio.create_task(rich.call_tool_async("good.tally", {"key": "n"}, payer="user:ana"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not blocked.done()
        await blocked

    asyncio.run(run())
    assert rich.call_tool("good.tally", {"key": "n"}, payer="user:ana").json() == {"value": 1}
    assert rich.balance("user:ana").balance == Decimal("9.99")


def test_an_error_of_a_coroutine_is_raised_in_it(rich: Farebox) -> None:
    async def run() -> None:
        with pytest.raises(PluginError) as caught:
            await rich.call_tool_async("good.fail", {"status": 1}, payer="user:ana")
        assert caught.value.code == status.PLUGIN_FAILED

    asyncio.run(run())
    assert rich.balance("user:ana").balance == 10


# ---- Tools as functions ----


def test_a_tool_becomes_a_function_with_its_signature(rich: Farebox, squeezing: Farebox) -> None:
    add = rich.plugins.tool("good.add", payer="user:ana")
    assert inspect.isfunction(add) and add.__name__ == "good_add"
    assert str(inspect.signature(add)) == "(*, a: int, b: int) -> Any"
    assert typing.get_type_hints(add) == {"a": int, "b": int, "return": Any}
    assert add(a=2, b=40) == {"sum": 42}
    for wrong in ({"a": 1}, {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(TypeError):
            add(**wrong)
    with pytest.raises(TypeError):
        add(1, 2)
    with pytest.raises(PluginError) as caught:
        add(a="one", b=2)
    assert caught.value.field == "input.a"
    assert rich.plugins.tool("good.text", payer="user:ana")() == "Grüße\n"
    assert rich.plugins.tool("good.bytes", payer="user:ana")(count=3) == b"\0\1\2"
    crc = squeezing.plugins.tool("zlib.crc32", payer="user:ana")
    assert crc.__doc__ == "Goes on with a CRC-32, which begins at 0, over data."
    assert crc(crc=0, data="fare") == {"result": zlib.crc32(b"fare")}
    assert inspect.signature(crc).parameters["data"].annotation == typing.Union[str, bytes]
    with pytest.raises(StateError):
        rich.plugins.tool("good.absent")


def test_a_function_of_a_tool_is_metered_by_the_context(rich: Farebox) -> None:
    add: Callable[..., Any] = rich.plugins.tool("good.add")
    add_async = rich.plugins.tool("good.add", coroutine=True)
    assert inspect.iscoroutinefunction(add_async)
    told: list[Receipt] = []

    async def run() -> None:
        with rich.paying("user:ana", run="r", on_receipt=told.append):
            assert await add_async(a=1, b=2) == {"sum": 3}

    with rich.paying("user:ana", run="r", on_receipt=told.append):
        assert add(a=1, b=1) == {"sum": 2}
    asyncio.run(run())
    assert [receipt.amount for receipt in told] == [Decimal("0.02")] * 2
    with pytest.raises(RequestError):
        add(a=1, b=1)


def test_a_schema_becomes_parameters() -> None:
    from farebox._tool_functions import function_of

    schema = {
        "type": "object",
        "required": ["query", "from", "2nd", "mode"],
        "properties": {
            "limit": {"type": "integer", "default": 10, "description": "How many."},
            "query": {"type": "string", "description": "What to look for."},
            "from": {"type": "string"},
            "2nd": {"type": "number"},
            "mode": {"enum": ["fast", "slow"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "either": {"type": ["integer", "null"]},
            "no-name": {"type": "boolean"},
            "no_name": {},
        },
    }
    sent: list[Any] = []

    class Engine:
        def call_tool(self, name: str, input: Any, **terms: Any) -> ToolResult:
            sent.append((name, input, terms))
            return ToolResult(b"[1]", None)

    engine: Any = Engine()
    tool = {"name": "a.look-up", "description": "Looks up.", "input_schema": schema}
    function = function_of(engine, tool, foreign=False, terms={"payer": "user:ana"}, coroutine=False)
    assert function.__name__ == "a_look_up"
    assert function.__doc__ == "Looks up.\n\nArgs:\n    query: What to look for.\n    limit: How many."
    parameters = inspect.signature(function).parameters
    assert list(parameters) == ["query", "from_", "_2nd", "mode", "limit", "tags", "either", "no_name", "no_name_"]
    hints = typing.get_type_hints(function)
    assert hints["mode"] == typing.Literal["fast", "slow"] and hints["tags"] == typing.Optional[list[str]]
    assert hints["limit"] is int and parameters["limit"].default == 10 and hints["no_name_"] == typing.Optional[Any]
    given = {"query": "q", "from_": "x", "_2nd": 1.5, "mode": "fast"}
    assert function(**given, no_name=True, tags=None) == [1]
    expected = {"query": "q", "from": "x", "2nd": 1.5, "mode": "fast", "no-name": True}
    assert sent == [("a.look-up", expected, {"payer": "user:ana"})]
    anything = function_of(engine, {"name": "b"}, foreign=False, terms={}, coroutine=False)
    assert str(inspect.signature(anything)) == "(**input) -> Any" and anything.__doc__ == ""
    anything(a=1, input=2)
    assert sent[-1] == ("b", {"a": 1, "input": 2}, {})


# ---- Life ----


def test_a_plugin_is_listed_inspected_watched_and_unloaded(rich: Farebox, plugins: PluginFolder) -> None:
    (row,) = [row for row in rich.plugins.list()["plugins"] if row["plugin"] == GOOD]
    assert (row["version"], row["state"], row["mode"], row["trust"]) == ("1.0.0", "active", "worker", "unsigned")
    assert rich.plugins.list("failed")["plugins"] == []
    told = rich.plugins.inspect(GOOD)
    assert told["manifest"]["id"] == GOOD and told["permissions"]["store"] is True and told["sandbox"]["seccomp"]
    assert rich.plugins.inspect(path=plugins.zlib)["plugin"] == ZLIB
    assert rich.plugins.inspect(manifest=plugins.zlib.read_text())["plugin"] == ZLIB
    assert rich.plugins.load(plugins.manifests["good-1.0.0"])["changed"] is False
    assert rich.plugins.health(GOOD)["healthy"] is True
    rich.call_tool("good.log", {"level": 2, "message": "look"}, payer="user:ana")
    lines = rich.plugins.logs(GOOD)["lines"]
    assert any("look" in line["text"] for line in lines)
    assert not rich.plugins.logs(GOOD, after=lines[-1]["number"], limit=5)["lines"]
    (metrics,) = rich.plugins.metrics(GOOD)["plugins"]
    assert metrics["calls"] == metrics["succeeded"] == 1
    assert rich.plugins.metrics()["plugins"] == [metrics]
    assert rich.plugins.unload(GOOD)["state"] == "stopped"
    with pytest.raises(PluginError) as caught:
        rich.call_tool("good.echo", payer="user:ana")
    assert caught.value.code == status.PLUGIN_INACTIVE
    with pytest.raises(PluginError) as missing:
        rich.plugins.unload("org.nobody")
    assert missing.value.code == status.PLUGIN_NOT_FOUND


def test_another_version_takes_its_place_unless_it_is_ill(rich: Farebox, plugins: PluginFolder) -> None:
    stop = threading.Event()
    prices: list[Decimal] = []

    def keep_calling() -> None:
        while not stop.is_set():
            receipt = rich.call_tool("good.echo", payer="user:ana").receipt
            assert receipt is not None
            prices.append(receipt.amount)

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(keep_calling)
        try:
            assert rich.plugins.replace(plugins.manifests["good-1.1.0"])["replaced"] == "1.0.0"
            assert rich.call_tool("good.version", payer="user:ana").json()["version"] == "1.1.0"
            with pytest.raises(PluginError) as ill:
                rich.plugins.replace(plugins.manifests["good-1.2.0"])
        finally:
            stop.set()
        calling.result()
    assert ill.value.code in (status.PLUGIN_UNAVAILABLE, status.PLUGIN_FAILED)
    assert rich.call_tool("good.version", payer="user:ana").json()["version"] == "1.1.0"
    assert set(prices) <= {Decimal("0.01"), Decimal("0.03")} and sorted(prices) == prices
    receipt = rich.call_tool("good.echo", payer="user:ana").receipt
    assert receipt is not None and receipt.amount == Decimal("0.03") and nothing_is_held(rich)


def test_a_secret_comes_from_the_environment_and_is_shown_nowhere(
    engine: Farebox, plugins: PluginFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAREBOX_TEST_TOKEN", "hunter2-hunter2")
    engine.open_account("user:author")
    config = {"greeting": "hi", "token": {"env": "FAREBOX_TEST_TOKEN"}}
    answers = [engine.plugins.load(plugins.manifests["good-1.0.0"], config)]
    assert engine.call_tool("good.config", payer="user:ana").json() == {"greeting": "hi", "token": "hunter2-hunter2"}
    answers += [engine.plugins.inspect(GOOD), engine.plugins.list(), engine.plugins.logs(GOOD)]
    answers += [engine.call("event.list"), engine.plugins.configure(GOOD, {**config, "greeting": "bye"})]
    assert engine.call_tool("good.config", payer="user:ana").json()["greeting"] == "bye"
    with pytest.raises(RequestError) as absent:
        engine.plugins.configure(GOOD, {"token": {"env": "FAREBOX_TEST_ABSENT"}})
    assert absent.value.field == "config.token"
    with pytest.raises(RequestError) as unknown:
        engine.plugins.configure(GOOD, {"token": "hunter2-hunter2", "other": 1})
    with pytest.raises(PluginError) as refused:
        engine.plugins.configure(GOOD, {"greeting": "refuse"})
    assert engine.call_tool("good.config", payer="user:ana").json()["greeting"] == "bye"
    shown = repr([*answers, *(str(each.value) + repr(each.value.details) for each in (absent, unknown, refused))])
    assert "hunter2" not in shown


def test_a_plugin_is_validated(engine: Farebox, plugins: PluginFolder) -> None:
    report = engine.plugins.validate(plugins.manifests["good-1.0.0"], seed=7, rounds=2)
    assert report["plugin"] == GOOD and report["seed"] == "7" and report["valid"] is True, [
        test for test in report["tests"] if test["outcome"] == "failed"
    ]


def test_no_key_is_made_for_a_manifest_that_is_none(engine: Farebox, tmp_path: Path) -> None:
    with pytest.raises(PluginError):
        engine.call("plugin.sign", path=str(tmp_path / "absent.farebox.json"), key=str(tmp_path / "key"))
    assert not list(tmp_path.iterdir())


# ---- The policy ----


def test_a_policy_only_tightens(plugins: PluginFolder) -> None:
    farebox.set_plugin_policy(directories=[plugins.path], trust="unsigned", system_libraries=True)
    for looser, field in (
        ({"directories": [plugins.path, "/usr/lib"], "trust": "unsigned"}, "directories[1]"),
        ({"directories": [plugins.path], "trust": "unsigned", "in_process": [GOOD]}, "in_process"),
    ):
        with pytest.raises(PluginError) as caught:
            farebox.set_plugin_policy(looser, system_libraries=True)
        assert (caught.value.code, caught.value.field) == (status.PLUGIN_POLICY, field)


@pytest.mark.parametrize("policy", [{"directories": [1]}, {}, {"folders": []}, {"directories": [], "trust": object()}])
def test_what_is_no_policy_is_an_error(policy: dict[str, Any], plugins: PluginFolder) -> None:
    with pytest.raises(RequestError):
        farebox.set_plugin_policy(policy)
    with pytest.raises(RequestError):
        farebox.set_plugin_policy([("directories", [])])  # type: ignore[arg-type]


def alone(script: str, **environment: str) -> str:
    """Runs a script in a process that has no policy yet."""
    done = subprocess.run(
        [sys.executable, "-c", f"import farebox\nfrom farebox import *\n{script}"],
        env={**os.environ, "PYTHONPATH": str(Path(farebox.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_loaded_without_a_policy(plugins: PluginFolder) -> None:
    said = alone(
        "engine = Farebox.open('memory:')\n"
        f"for work in (lambda: engine.plugins.load({str(plugins.zlib)!r}), engine.plugins.scan):\n"
        "    try: work()\n"
        "    except PluginError as off: print(off.name)\n"
        f"print(engine.plugins.inspect(path={str(plugins.zlib)!r})['plugin'], engine.call('plugin.policy')['enabled'])"
    )
    assert said.split() == ["PLUGINS_OFF", "PLUGINS_OFF", ZLIB, "False"]


def test_a_scan_survives_a_plugin_that_crashes_in_it(plugins: PluginFolder) -> None:
    said = alone(
        f"set_plugin_policy(directories=[{str(plugins.path)!r}], trust='unsigned', system_libraries=True)\n"
        "engine = Farebox.open('memory:')\n"
        "rows = {row['path'].split('/')[-2]: row for row in engine.plugins.scan()['plugins']}\n"
        "print(rows['init-crash']['state'], rows['hostile']['state'], rows['init-crash']['reason'] != '')\n"
        "engine.open_account('user:author')\n"
        "print(engine.plugins.load(plugin='org.farebox.test.hostile')['state'])\n"
        f"try: engine.plugins.load({str(plugins.manifests['init-crash'])!r})\n"
        "except PluginError as refused: print(refused.name)\n"
    )
    lines = said.splitlines()
    assert lines[0].startswith("quarantined ") and lines[0].endswith(" True")
    assert lines[1:] == ["active", "PLUGIN_QUARANTINED"]


# ---- The process ----


def test_workers_end_with_the_engine(plugins: PluginFolder) -> None:
    engine = Farebox.open("memory:")
    engine.open_account("user:author")
    engine.plugins.load(plugins.manifests["good-1.0.0"])
    worker = int(engine.call_tool("good.version", uncharged=True).json()["process"])
    engine.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    else:
        os.kill(worker, signal.SIGKILL)
        raise AssertionError("the worker lives")
    with pytest.raises(farebox.HandleError):
        engine.call_tool("good.echo", uncharged=True)
