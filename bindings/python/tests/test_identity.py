"""Which tool a function is: tools of one name live side by side, and nothing is kept of those that are gone."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import types
import weakref
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import Farebox, RequestError, StateError, meter, pricing
from farebox import _statuses as status


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


def paid(engine: Farebox, call: Any) -> str:
    before = engine.balance("user:ana").balance
    with engine.paying("user:ana"):
        call()
    return str((before - engine.balance("user:ana").balance).normalize())


SOURCE = """
import farebox
@farebox.pricing(cost="{cost}")
def search(query): return query
class Tool:
    @farebox.pricing(cost="{cost}")
    def run(self, query): return query
    class Inner:
        @farebox.pricing(cost="{cost}")
        def run(self, query): return query
"""


def module(name: str, cost: str) -> Any:
    made = types.ModuleType(name)
    exec(SOURCE.format(cost=cost), made.__dict__)
    return made


def test_tools_of_one_name_in_modules_and_classes(engine: Farebox) -> None:
    a, b, c = module("shop_a", "0.01"), module("shop_b", "0.03"), module("deep.shop_a", "0.05")
    for _ in range(2):
        for made, cost in ((a, "0.01"), (b, "0.03"), (c, "0.05")):
            for tool in (made.search, made.Tool().run, made.Tool.Inner().run):
                assert paid(engine, partial(tool, "x")) == cost


def make(cost: Any, **options: Any) -> Any:
    @pricing(cost=cost, **options)
    def search(query: str) -> str:
        return query

    return search


def test_tools_that_a_factory_makes(engine: Farebox) -> None:
    tools = {cost: make(cost) for cost in ("0.02", "0.5", "0.125")}
    for _ in range(2):
        for cost, tool in tools.items():
            assert paid(engine, partial(tool, "a")) == cost
    assert make("0.02").__farebox__.skill == tools["0.5"].__farebox__.skill == "test_identity.make.search"
    owners = [make("0.02", owner="dev:eve", revenue_share=share) for share in ("0.5", "1")]
    for owner in owners:
        paid(engine, partial(owner, "a"))
    assert engine.balance("dev:eve").balance == Decimal("0.03")


def test_partials_lambdas_and_tools_of_others(engine: Farebox) -> None:
    class Session:
        def call_tool(self, name: str) -> str:
            return name

    session = Session()
    tools: dict[str, Any] = {
        cost: meter(functools.partial(session.call_tool, cost), name="call", cost=cost) for cost in ("0.02", "0.04")
    }
    tools["0.08"] = meter(lambda: "x", name="call", cost="0.08")
    tools["0.16"] = meter(lambda: "y", name="call", cost="0.16")
    tools["0.32"] = meter(session.call_tool, cost="0.32", name="call")
    for _ in range(2):
        for cost, tool in tools.items():
            assert paid(engine, tool if cost != "0.32" else lambda: session and tools["0.32"]("x")) == cost


def test_a_skill_can_be_named(engine: Farebox) -> None:
    tool = make("0.02", skill="org.example.search")
    assert paid(engine, lambda: tool("x")) == "0.02"
    assert engine.price_tool("org.example.search#search").total == Decimal("0.02")
    listed = engine.call("skill.inspect", skill="org.example.search")
    assert "org.example.search" in str(listed)
    engine.register_skill(
        {"id": "org.example.shop", "version": "1.0.0", "tools": [{"name": "search", "price": {"cost": "0.07"}}]}
    )
    assert paid(engine, lambda: make(None, skill="org.example.shop")("x")) == "0.07"


def test_a_plain_name_works_while_it_is_unique_and_otherwise_says_which_there_are(engine: Farebox) -> None:
    a, b = module("shop_a", "0.01"), module("shop_b", "0.03")
    paid(engine, lambda: a.search("x"))
    assert engine.price_tool("search").total == Decimal("0.01")
    paid(engine, lambda: b.search("x"))
    with pytest.raises((RequestError, StateError)) as caught:
        engine.price_tool("search")
    assert "shop_a.search#search" in caught.value.message and "shop_b.search#search" in caught.value.message
    assert engine.price_tool("shop_b.search#search").total == Decimal("0.03")


def test_a_price_changed_in_code_is_a_version_beside_the_other(engine: Farebox) -> None:
    old, new = make("0.02"), make("0.03")
    assert [paid(engine, partial(tool, "x")) for tool in (old, new, old)] == ["0.02", "0.03", "0.02"]


PROGRAM = """
import farebox
@farebox.pricing(cost="0.01")
def search(query): return query
class Tool:
    @farebox.pricing(cost="0.02")
    def run(self): ...
def main():
    engine = farebox.Farebox.open("{ledger}")
    engine.open_account("user:ana")
    if not engine.balance("user:ana").balance: engine.deposit("user:ana", 10)
    with engine.paying("user:ana"): search("a"); Tool().run()
    print(search.__farebox__.skill, Tool.run.__farebox__.skill, str(engine.balance("user:ana").balance))
if __name__ == "__main__":
    import multiprocessing, sys
    if sys.argv[1:] == ["spawn"]:
        child = multiprocessing.get_context("spawn").Process(target=main)
        child.start()
        child.join()
    else: main()
"""


def test_one_file_is_one_skill_however_it_is_run(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    (tmp_path / "tools_a.py").write_text(PROGRAM.format(ledger=ledger))
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tools_a.py").write_text(PROGRAM.format(ledger=ledger))
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "tools_a.py").write_text(PROGRAM.format(ledger=ledger))
    spawn = "import multiprocessing as m, tools_a\nif __name__ == '__main__':\n p = m.get_context('spawn').Process(target=tools_a.main); p.start(); p.join()"
    (tmp_path / "spawning.py").write_text(spawn)
    commands = [
        ["tools_a.py"],
        ["-m", "tools_a"],
        ["-c", "import tools_a; tools_a.main()"],
        ["-m", "shop.tools_a"],
        ["-c", "from shop import tools_a; tools_a.main()"],
        ["moved/tools_a.py"],
        ["spawning.py"],
        ["tools_a.py", "spawn"],
        ["-c", "import runpy; runpy.run_path('tools_a.py', run_name='__main__')"],
    ]
    source = Path(farebox.__file__).resolve().parents[1]
    names = set()
    for number, command in enumerate(commands, 1):
        run = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(source), "FAREBOX_LIB": farebox.library_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert run.returncode == 0, run.stderr
        skill, method, left = run.stdout.split()
        names.add((skill, method))
        assert Decimal(left) == 10 - Decimal("0.03") * number
    assert names == {("tools_a.search", "tools_a.Tool.run")}


def test_a_package_that_is_run_is_the_package(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(PROGRAM.format(ledger="memory:"))
    (package / "__main__.py").write_text(PROGRAM.format(ledger="memory:"))
    source = Path(farebox.__file__).resolve().parents[1]
    for command in (["-m", "shop"], ["-c", "import shop; shop.main()"], ["-c", "import shop.__main__ as s; s.main()"]):
        run = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(source), "FAREBOX_LIB": farebox.library_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert run.stdout.split()[:2] == ["shop.search", "shop.Tool.run"], run.stderr


def test_names_beyond_the_alphabet_and_long_names_stay_apart(engine: Farebox) -> None:
    space: dict[str, Any] = {"pricing": pricing, "__name__": "größen"}
    names = ["größe", "gröe", "x" * 200 + "a", "x" * 200 + "b"]
    for name in names:
        exec(f"@pricing(cost='0.01', name='t')\ndef {name}(): ...", space)
    skills = {space[name].__farebox__.skill for name in names}
    assert len(skills) == 4 and all(len(skill) <= 128 and skill.isascii() for skill in skills)
    for name in names:
        assert paid(engine, space[name]) == "0.01"


# ---- Nothing is left behind ----


def test_tools_made_per_request_leave_nothing_behind(engine: Farebox) -> None:
    payment = engine.paying("user:ana")
    kept: list[weakref.ref[Any]] = []
    with payment:
        for _ in range(300):
            tool = make("0.001")
            kept.append(weakref.ref(tool))
            tool("x")
        del tool
        gc.collect()
        assert not [reference for reference in kept if reference() is not None]
        assert len(payment.templates) == 0
    assert len(engine._skills) == 1
    assert len(engine.call("tool.list")["tools"]) == 1
    assert spent(engine) == Decimal("0.3")


def test_payments_made_per_request_leave_nothing_behind(engine: Farebox) -> None:
    tool = make("0.001")
    kept: list[weakref.ref[Any]] = []
    for _ in range(300):
        payment = engine.paying("user:ana", run="r")
        kept.append(weakref.ref(payment))
        with payment:
            tool("x")
    del payment
    assert not [reference for reference in kept if reference() is not None], "not even a cycle"


def test_thousands_of_tools_take_no_memory(engine: Farebox) -> None:
    import tracemalloc

    def run(count: int) -> None:
        with payment:
            for _ in range(count):
                make("0.001")("x")
        gc.collect()

    payment = engine.paying("user:ana")
    run(200)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run(3000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000


# ---- Rate cards ----


@pytest.fixture
def rates(engine: Farebox) -> Farebox:
    def price(rate: str) -> dict[str, Any]:
        meters = {"input_tokens": rate, "output_tokens": f"{2 * Decimal(rate)}"}
        return {"components": [{"meter": meter, "rate": rate} for meter, rate in meters.items()]}

    entries = [{"name": "small", "price": price("0.001")}, {"name": "large", "price": price("0.01")}]
    engine.call("rate_card.publish", card={"name": "llm", "currency": "USD", "entries": entries})
    return engine


def test_rates_by_an_argument_or_a_callable(rates: Farebox) -> None:
    @pricing(rates="llm", model="model", max_cost="1")
    def complete(prompt: str, model: str = "small") -> None:
        farebox.record_usage(input_tokens=10, output_tokens=1)

    @pricing(rates="llm", model=lambda prompt, fast: "small" if fast else "large", max_cost="1", name="chosen")
    def chosen(prompt: str, fast: bool) -> None:
        farebox.record_usage(input_tokens=10)

    assert paid(rates, lambda: complete("x")) == "0.012"
    assert paid(rates, lambda: complete("x", "large")) == "0.12"
    assert paid(rates, lambda: chosen("x", fast=True)) == "0.01"
    assert paid(rates, lambda: chosen("x", fast=False)) == "0.1"
    assert "llm/large" in str(rates.call("transfer.list", account="user:ana"))
    with pytest.raises(StateError) as caught:
        paid(rates, lambda: complete("x", "unknown"))
    assert caught.value.code in (status.RATE_CARD_NOT_FOUND, status.TOOL_NOT_FOUND)


def test_rates_by_the_model_that_the_result_names(rates: Farebox) -> None:
    class Answer:
        model = "large"

    answers: list[Any] = [{"model": "small"}, Answer(), {"model": "unknown"}, {}]

    @pricing(rates="llm", max_cost="1")
    def complete() -> Any:
        farebox.record_usage(input_tokens=10)
        return answers.pop(0)

    assert paid(rates, complete) == "0.01"
    assert paid(rates, complete) == "0.1"
    with pytest.warns(RuntimeWarning, match="has no rate"):
        assert paid(rates, complete) == "1"  # what was held
    assert paid(rates, complete) == "1"
    with pytest.raises(RequestError) as caught:
        pricing(rates="llm")(lambda: None)
    assert caught.value.field == "max_cost"
    for wrong in ({"rates": "llm", "cost": 1}, {"model": "x"}, {"rates": "llm", "model": "absent"}):
        with pytest.raises(RequestError):
            pricing(**wrong)(lambda: None)


# ---- Several lines ----


def test_a_call_is_charged_for_other_tools_and_amounts_too(rates: Farebox) -> None:
    paid(rates, lambda: make("0.25")("x"))

    @pricing(cost="0.01", name="agent")
    def agent() -> None:
        farebox.record_usage(tool="llm/small", input_tokens=10, output_tokens=5)
        farebox.record_usage(tool="llm/small", input_tokens=10)
        farebox.record_amount("0.5", payee="dev:eve", description="a map")
        with pytest.raises(StateError):
            farebox.record_usage(tool="nobody", input_tokens=1)
        with pytest.raises(RequestError):
            farebox.record_amount(-1)

    with rates.paying("user:ana") as payment:
        agent()
    assert payment.receipt is not None and payment.receipt.amount == Decimal("0.54")
    assert rates.balance("dev:eve").balance == Decimal("0.5")


def test_the_maximum_limits_the_sum_of_all_lines(engine: Farebox) -> None:
    @pricing(cost="0.01", per="unit", max_cost="0.1", name="agent")
    def agent() -> None:
        farebox.record_usage(1)
        farebox.record_amount(5)

    assert paid(engine, agent) == "0.1"


def test_a_call_leaves_no_garbage(engine: Farebox) -> None:
    plain = make("0.001")
    counted = make("0.001", per="character", units="query")

    def stream(count: int) -> Any:
        yield from range(count)

    items = meter(stream, cost="0.001")
    with engine.paying("user:ana", run="r"):
        for use in (plain, counted, lambda query: list(items(3))):
            use("x")
            gc.collect()
            gc.disable()
            try:
                for _ in range(50):
                    with farebox.call_id("c"):
                        use("x")
                    use("x")
                assert gc.collect() == 0
            finally:
                gc.enable()
