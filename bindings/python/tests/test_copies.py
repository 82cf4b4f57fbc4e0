"""Copies: an engine's copy is the engine, and a priced function goes to a worker as what it is."""

from __future__ import annotations

import asyncio
import copy
import ctypes
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import Farebox, pricing

SOURCE = Path(farebox.__file__).resolve().parents[1]


@pricing(cost="0.02")
def search(query: str) -> str:
    """Looks something up."""
    return query


class Agent:
    def __init__(self, engine: Farebox, tool: Any) -> None:
        self.engine = engine
        self.tools = [tool]
        self.payment = engine.paying("user:ana")


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_thing_itself(engine: Farebox, how: Any) -> None:
    assert how(engine) is engine
    payment = engine.paying("user:ana")
    assert how(payment) is payment
    hold = engine.reserve("user:ana", amount=1)
    assert how(hold) is hold
    hold.release()
    function = ctypes.CDLL("libm.so.6")["pow"]
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double, ctypes.c_double]
    power = engine.meter_function(function, cost="0.01", payer="user:ana")
    assert how(power) is power
    assert how(search) is search


def test_an_agent_with_engine_tools_and_payment_is_copied(engine: Farebox) -> None:
    agent = copy.deepcopy(Agent(engine, search))
    assert agent.engine is engine
    with agent.payment:
        assert agent.tools[0]("x") == "x"
    assert engine.balance("user:ana").balance == Decimal("9.98")
    pricing_of = copy.deepcopy(search.__farebox__)  # type: ignore[attr-defined]
    assert pricing_of == search.__farebox__  # type: ignore[attr-defined]
    meter = copy.deepcopy(search.__farebox_meter__)  # type: ignore[attr-defined]
    assert meter.pricing == pricing_of


def test_what_cannot_go_to_another_process_says_so(engine: Farebox) -> None:
    hold = engine.reserve("user:ana", amount=1)
    for value in (engine, engine.paying("user:ana"), hold, Agent(engine, search)):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(value)
    try:
        pickle.dumps(engine)
    except TypeError as error:
        assert "Farebox.open" in str(error)
    hold.release()


def test_receipts_and_errors_can_be_pickled(engine: Farebox) -> None:
    receipt = engine.charge("user:ana", amount=1)
    assert pickle.loads(pickle.dumps(receipt)) == receipt
    balance = engine.balance("user:ana")
    assert pickle.loads(pickle.dumps(balance)) == balance
    with pytest.raises(farebox.PaymentRefused) as caught:
        engine.charge("user:ana", amount=1000)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_priced_function_of_a_module_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(search)) is search


def test_priced_functions_go_by_value_to_a_worker(engine: Farebox, tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")

    rate = "0.25"

    @pricing(cost=rate, max_cost="1", owner="dev:eve", revenue_share="0.5", failed=lambda result: result == "bad")
    def lookup(query: str) -> str:
        return query + rate

    @pricing(cost=lambda text: len(text))
    async def later(text: str) -> str:
        return text

    @pricing(cost="0.01", per="output_token", max_cost="1")
    def stream(count: int) -> Any:
        for item in range(count):
            farebox.record_usage(output_tokens=1)
            yield item

    @pricing(cost="0.01", per="token")
    async def items(text: str) -> Any:
        yield text

    with engine.paying("user:ana"):
        lookup("x")  # one that was used already
    originals: list[Any] = [lookup, later, stream, items]
    tools: list[Any] = cloudpickle.loads(cloudpickle.dumps(originals))
    for tool, original in zip(tools, originals):
        assert tool is not original
        stated = tool.__farebox__
        assert (stated.tool, stated.skill, stated.cost) == (
            original.__name__,
            original.__farebox__.skill,
            original.__farebox__.cost,
        )

    async def use() -> None:
        assert await tools[1]("ab") == "ab"
        async for _ in tools[3]("abcd"):
            pass

    with engine.paying("user:ana"):
        assert tools[0]("x") == "x0.25" and tools[0]("bad"[:0]) == "0.25"
        assert list(tools[2](3)) == [0, 1, 2]
        asyncio.run(use())
    balance = engine.balance("user:ana")
    assert balance.held == 0 and 10 - balance.balance == Decimal("0.75") + 2 + Decimal("0.03") + Decimal("0.01")

    (tmp_path / "tools").write_bytes(cloudpickle.dumps([lookup]))
    worker = (
        "import pickle, farebox\n"
        f"lookup, = pickle.loads(open({str(tmp_path / 'tools')!r}, 'rb').read())\n"
        "engine = farebox.Farebox.open('memory:'); engine.open_account('user:ana'); engine.open_account('dev:eve')\n"
        "engine.deposit('user:ana', 1)\n"
        "with engine.paying('user:ana'): lookup('x')\n"
        "print(lookup.__farebox__.skill, engine.balance('user:ana').balance, engine.balance('dev:eve').balance)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", worker],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SOURCE), "FAREBOX_LIB": farebox.library_path()},
    )
    assert run.stdout.split() == [lookup.__farebox__.skill, "0.75", "0.125"], run.stderr  # type: ignore[attr-defined]


def test_a_priced_function_that_holds_an_engine_says_why_it_cannot_go(engine: Farebox) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")

    @pricing(cost="0.01", engine=engine, payer="user:ana")
    def bound() -> None: ...

    with pytest.raises(TypeError, match=r"Farebox\.open"):
        cloudpickle.dumps(bound)
