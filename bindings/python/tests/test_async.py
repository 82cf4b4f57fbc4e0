"""Event loops: what waits for the ledger does not keep them waiting."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import Farebox, pricing

VERBS = [
    "charge",
    "charge_many",
    "reserve",
    "capture",
    "release",
    "extend",
    "increase",
    "import_rates",
    "price_tool",
    "balance",
    "open_account",
    "deposit",
    "register_skill",
    "verify_webhook",
    "tick",
    "run_cost",
    "close",
    "call",
    "call_tool",
    "open",
]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Farebox]:
    with Farebox.open(tmp_path / "ledger.db", durability="normal") as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        yield engine


class Lock:
    """Another process's lock on the file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: Any) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def longest_pause(seconds: float) -> float:
    """How long the event loop stood still at most, in a time."""
    longest, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - before)
    return longest


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_may_wait_has_a_form_for_event_loops(verb: str) -> None:
    form = getattr(Farebox, f"{verb}_async")
    assert inspect.iscoroutinefunction(form)
    assert form.__name__ == f"{verb}_async" and form.__doc__
    if verb not in ("open", "call"):
        assert inspect.signature(form).parameters.keys() == inspect.signature(getattr(Farebox, verb)).parameters.keys()


def test_the_forms_for_event_loops_do_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Farebox.open_async(tmp_path / "ledger.db") as engine:
            await engine.open_account_async("user:ana")
            await engine.deposit_async("user:ana", 10)
            receipt = await engine.charge_async("user:ana", amount=1, run="r")
            assert receipt.amount == 1
            async with await engine.reserve_async("user:ana", amount=1) as hold:
                await hold.capture_async("0.25", final=False)
            assert (await engine.balance_async("user:ana")).balance == Decimal("8.75")
            with pytest.raises(farebox.PaymentRefused):
                await engine.charge_async("user:ana", amount=1000)
            listed = await engine.call_async("transfer.list", account="user:ana")
            assert listed["transfers"]
            many = await engine.charge_many_async([{"payer": "user:ana", "amount": 1}] * 3)
            assert [one.amount for one in many] == [1, 1, 1]
        assert engine.closed

    asyncio.run(main())


@pricing(cost="0.01")
async def tool() -> str:
    return "done"


@pricing(cost="0.01", per="unit", max_cost="0.05")
async def stream() -> AsyncIterator[int]:
    farebox.record_usage(2)
    yield 1


def test_a_locked_file_does_not_stop_the_event_loop(ledger: Farebox, tmp_path: Path) -> None:
    async def work() -> None:
        with ledger.paying("user:ana"):
            await asyncio.gather(*(tool() for _ in range(5)))
            async for _ in stream():
                pass
            await ledger.charge_async("user:ana", amount="0.01")

    async def main() -> None:
        with Lock(tmp_path / "ledger.db"):
            task = asyncio.ensure_future(work())
            assert await longest_pause(0.4) < 0.2
            assert not task.done()
        await task

    asyncio.run(main())
    assert ledger.balance("user:ana").balance == Decimal("9.92") and ledger.balance("user:ana").held == 0


def test_a_call_cancelled_while_it_waits_for_the_ledger_costs_nothing(ledger: Farebox, tmp_path: Path) -> None:
    async def main() -> None:
        with Lock(tmp_path / "ledger.db"):
            with ledger.paying("user:ana"):
                task = asyncio.ensure_future(tool())
            reserving = asyncio.ensure_future(ledger.reserve_async("user:ana", amount=1))
            await asyncio.sleep(0.1)
            before = time.perf_counter()
            for one in (task, reserving):
                one.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await one
            assert time.perf_counter() - before < 1, "cancelling does not wait"
        for _ in range(100):
            if ledger.call("transfer.list", account="user:ana")["transfers"][0]["kind"] == "release":
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert ledger.balance("user:ana").balance == 10 and ledger.balance("user:ana").held == 0


def test_endings_are_the_same_on_a_file(ledger: Farebox) -> None:
    @pricing(cost="0.5", name="slow")
    async def slow(seconds: float, fails: bool = False) -> None:
        await asyncio.sleep(seconds)
        if fails:
            raise LookupError

    async def main() -> None:
        with ledger.paying("user:ana") as payment:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(slow(5), 0.05)
            assert ledger.balance("user:ana").held == 0
            with pytest.raises(LookupError):
                await slow(0, fails=True)
            assert payment.receipts == []
            await slow(0)
            assert len(payment.receipts) == 1
            early: Any = stream()
            await early.__anext__()
            await early.aclose()
            assert len(payment.receipts) == 2

    asyncio.run(main())
    assert ledger.balance("user:ana").balance == Decimal("9.48") and ledger.balance("user:ana").held == 0


def test_an_engine_says_whether_its_coroutines_wait_elsewhere(tmp_path: Path) -> None:
    with Farebox.open("memory:") as memory, Farebox.open(tmp_path / "a.db", exclusive=True) as alone:
        assert not memory._waits and not alone._waits
    with Farebox.open(tmp_path / "b.db") as shared, Farebox.open(tmp_path / "c.db", nonblocking=False) as asked:
        assert shared._waits and not asked._waits


def test_coroutines_run_without_asyncio(ledger: Farebox) -> None:
    with ledger.paying("user:ana"):
        coroutine = tool()
        with pytest.raises(StopIteration) as stop:
            coroutine.send(None)
        assert stop.value.value == "done"
    assert ledger.balance("user:ana").balance == Decimal("9.99")


def test_coroutines_run_under_trio(ledger: Farebox) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> None:
        with ledger.paying("user:ana"):
            await tool()
            with trio.move_on_after(0.05):
                await slow()
        await ledger.charge_async("user:ana", amount="0.01")

    @pricing(cost="0.5")
    async def slow() -> None:
        await trio.sleep(5)

    trio.run(main)
    assert ledger.balance("user:ana").balance == Decimal("9.98") and ledger.balance("user:ana").held == 0
