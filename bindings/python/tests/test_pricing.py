"""``@pricing`` and ``meter``: reserve, call, capture or release, on every kind of function."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

import farebox
from farebox import Farebox, PaymentRefused, RequestError, meter, pricing
from farebox import _statuses as status
from farebox.pricing import estimate_tokens

from .conftest import ManualClock


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


def test_a_call_is_charged_and_a_failure_is_not(engine: Farebox) -> None:
    @pricing(cost=0.02, currency="USD")
    def calculate(value: int) -> int:
        """Expensive calculation."""
        assert engine.balance("user:ana").held == Decimal("0.02")
        return 10 // value

    with engine.paying("user:ana", run="run-1"):
        assert calculate(5) == 2
        assert spent(engine) == Decimal("0.02")
        with pytest.raises(ZeroDivisionError):
            calculate(0)
    assert spent(engine) == Decimal("0.02")


def test_a_refused_call_does_not_run(engine: Farebox) -> None:
    ran: list[int] = []

    @pricing(cost=0.03)
    def work() -> None:
        ran.append(1)

    with engine.paying("user:bob"):
        work()
        with pytest.raises(PaymentRefused) as caught:
            work()
    assert caught.value.code == status.INSUFFICIENT_FUNDS
    assert ran == [1]


def test_nobody_paying_is_an_error_and_never_free() -> None:
    @pricing(cost=0.02)
    def work() -> None:
        raise AssertionError("it ran")

    with pytest.raises(RequestError) as caught:
        work()
    assert (caught.value.code, caught.value.field) == (status.MISSING_FIELD, "payer")


def test_signature_name_and_metadata_stay() -> None:
    @pricing(cost=0.05, category="data_analysis", revenue_share=0.70, owner="dev:eve", max_cost="0.10")
    async def premium(dataset: str, *, depth: int = 3) -> dict[str, Any]:
        """Premium data analysis.

        More words.
        """
        return {}

    assert str(inspect.signature(premium)) == "(dataset: 'str', *, depth: 'int' = 3) -> 'dict[str, Any]'"
    assert premium.__name__ == "premium" and premium.__doc__ and premium.__doc__.startswith("Premium")
    assert inspect.iscoroutinefunction(premium)
    stated = premium.__farebox__  # type: ignore[attr-defined]
    assert (stated.tool, stated.cost, stated.currency, stated.per) == ("premium", "0.05", "USD", "request")
    assert (stated.category, stated.revenue_share, stated.owner) == ("data_analysis", "0.7", "dev:eve")
    assert (stated.max_cost, stated.description, stated.dynamic) == ("0.10", "Premium data analysis.", False)


def test_it_works_on_methods(engine: Farebox) -> None:
    class Skill:
        factor = 2

        @pricing(cost="0.01", name="twice", per="request", description="Twice.")
        def twice(self, value: int) -> int:
            return self.factor * value

        @pricing(cost="0.01", name="static")
        @staticmethod
        def static(value: int) -> int:
            return value

        @pricing(cost="0.01", name="of_class")
        @classmethod
        def of_class(cls, value: int) -> int:
            return cls.factor * value

    with engine.paying("user:ana"):
        assert Skill().twice(4) == 8
        assert Skill.static(3) == 3
        assert Skill.of_class(3) == 6
    assert spent(engine) == Decimal("0.03")


def test_revenue_is_shared_by_the_engine(engine: Farebox) -> None:
    @pricing(cost=0.10, revenue_share=0.70, owner="dev:eve")
    def consult(question: str) -> str:
        return question

    with engine.paying("user:ana"):
        consult("?")
    assert engine.balance("dev:eve").balance == Decimal("0.07")
    assert engine.balance("platform").balance == Decimal("0.03")


def test_coroutines_run_side_by_side(engine: Farebox) -> None:
    @pricing(cost=0.01)
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        if number == 3:
            raise LookupError
        return number

    async def main() -> list[Any]:
        with engine.paying("user:ana", run="r"):
            return await asyncio.gather(*(fetch(number) for number in range(10)), return_exceptions=True)

    results = asyncio.run(main())
    assert [result for result in results if isinstance(result, int)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert spent(engine) == Decimal("0.09")


def test_a_cancelled_coroutine_is_released(engine: Farebox) -> None:
    @pricing(cost=0.01)
    async def hang() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        with engine.paying("user:ana"):
            task = asyncio.ensure_future(hang())
            await asyncio.sleep(0)
            assert engine.balance("user:ana").held == Decimal("0.01")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert spent(engine) == 0


def test_two_payers_in_two_tasks_do_not_mix(engine: Farebox) -> None:
    @pricing(cost=0.01)
    async def step() -> None:
        await asyncio.sleep(0)

    async def agent(payer: str, calls: int) -> None:
        with engine.paying(payer):
            for _ in range(calls):
                await step()

    async def main() -> None:
        await asyncio.gather(agent("user:ana", 3), agent("user:bob", 4))

    asyncio.run(main())
    assert spent(engine) == Decimal("0.03")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.04")


def test_a_generator_is_held_at_its_first_next(engine: Farebox) -> None:
    @pricing(cost=0.02)
    def stream(count: int) -> Iterator[int]:
        yield from range(count)
        if count > 5:
            raise LookupError

    with engine.paying("user:ana"):
        items = stream(3)
        assert inspect.isgeneratorfunction(stream) and inspect.isgenerator(items)
        assert engine.balance("user:ana").held == 0
        assert next(items) == 0
        assert engine.balance("user:ana").held == Decimal("0.02")
        assert list(items) == [1, 2]
        assert spent(engine) == Decimal("0.02")

        early = stream(3)
        next(early)
        early.close()  # the work has begun
        assert spent(engine) == Decimal("0.04")

        stream(3).close()  # it has not
        assert spent(engine) == Decimal("0.04")

        with pytest.raises(LookupError):
            list(stream(6))
    assert spent(engine) == Decimal("0.04")


def test_a_generator_keeps_send_throw_and_return(engine: Farebox) -> None:
    @pricing(cost=0.02)
    def talk() -> Any:
        heard = yield "hello"
        try:
            heard = yield heard
        except KeyError:
            heard = yield "caught"
        return heard

    def whole() -> Any:
        return (yield from talk())

    with engine.paying("user:ana"):
        running = whole()
        assert next(running) == "hello"
        assert running.send("one") == "one"
        assert running.throw(KeyError()) == "caught"
        with pytest.raises(StopIteration) as stop:
            running.send("bye")
        assert stop.value.value == "bye"
    assert spent(engine) == Decimal("0.02")


def test_a_generator_does_not_leak_its_scope(engine: Farebox) -> None:
    @pricing(cost=0.001, per="token", max_cost="0.10")
    def outer() -> Iterator[int]:
        farebox.record_usage(input_tokens=5)
        yield 1
        farebox.record_usage(input_tokens=2)

    with engine.paying("user:ana"):
        for _ in outer():
            with pytest.warns(RuntimeWarning):
                farebox.record_usage(input_tokens=1000)  # outside of the tool: nothing to record for
    assert spent(engine) == Decimal("0.007")


def test_async_generators(engine: Farebox) -> None:
    @pricing(cost=0.02)
    async def stream(count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number
        if count > 5:
            raise LookupError

    async def main() -> None:
        with engine.paying("user:ana"):
            assert [number async for number in stream(3)] == [0, 1, 2]
            assert spent(engine) == Decimal("0.02")
            early: Any = stream(3)
            assert await early.__anext__() == 0
            await early.aclose()
            assert spent(engine) == Decimal("0.04")
            with pytest.raises(LookupError):
                async for _ in stream(6):
                    pass

    assert inspect.isasyncgenfunction(stream)
    asyncio.run(main())
    assert spent(engine) == Decimal("0.04")


def test_tokens_are_estimated_from_the_arguments(engine: Farebox) -> None:
    @pricing(cost=0.001, per="token", max_cost=0.10)
    def process(text: str, options: Any = None) -> str:
        assert engine.balance("user:ana").held == Decimal("0.1")
        return text

    with engine.paying("user:ana"):
        process("x" * 41)
        assert spent(engine) == Decimal("0.011")
        process("x" * 4000)
        assert spent(engine) == Decimal("0.111")
    assert estimate_tokens("é", ["ab", {"k": "cd"}], b"x", 17, key="y") == 3
    assert estimate_tokens() == 0


def test_what_was_really_used_replaces_the_estimate(engine: Farebox) -> None:
    @pricing(cost=0.001, per="token", max_cost="0.10", name="recorded")
    def recorded(text: str) -> None:
        farebox.record_usage(input_tokens=20)
        farebox.record_usage({"output_tokens": 3}, input_tokens=2)

    @pricing(cost=0.001, per="token", name="measured", measure=lambda result: {"input_tokens": result["used"]})
    def measured(text: str) -> dict[str, int]:
        return {"used": 50}

    with engine.paying("user:ana"):
        recorded("hello")
        assert spent(engine) == Decimal("0.025")
        measured("hello")  # more than was held: the excess is charged too
    assert spent(engine) == Decimal("0.075")


def test_what_the_payer_cannot_pay_of_an_excess_is_told(engine: Farebox) -> None:
    @pricing(cost=0.01, per="unit", measure=lambda result: result)
    def work() -> int:
        return 100

    with engine.paying("user:bob") as payment:
        assert work() == 100
    assert spent(engine, "user:bob", "0.05") == Decimal("0.05")
    assert payment.receipt is not None and payment.receipt.shortfall == Decimal("0.95")


@pytest.mark.parametrize(
    ("per", "units", "arguments", "cost"),
    [
        ("unit", None, ("a",), "0.01"),
        ("unit", "data", ([1, 2, 3],), "0.03"),
        ("unit", "data", (4.5,), "0.045"),
        ("unit", "extra", ("a", 7), "0.07"),
        ("unit", "extra", ("a",), "0.02"),
        ("unit", lambda data, extra=0: Decimal("1.5"), ("a",), "0.015"),
        ("unit", lambda data, extra=0: {"units": 3}, ("a",), "0.03"),
        ("page", "extra", ("a", 5), "0.05"),
        ("character", None, ("héllo",), "0.05"),
        ("character", "data", ("abc",), "0.03"),
        ("token", "data", ("abcdefgh",), "0.02"),
        ("image", None, ("a",), "0.01"),
    ],
)
def test_usage_is_counted_where_it_is_said_to_be(
    engine: Farebox, per: str, units: Any, arguments: tuple[Any, ...], cost: str
) -> None:
    @pricing(cost="0.01", per=per, units=units)
    def work(data: Any, extra: int = 2) -> None: ...

    with engine.paying("user:ana"):
        work(*arguments)
    assert spent(engine) == Decimal(cost)


def test_a_dynamic_price_is_asked_for_at_each_call(engine: Farebox) -> None:
    tiers: dict[str, Any] = {"basic": 0.01, "medium": "0.03", "advanced": Decimal("0.08")}

    @pricing(cost=lambda data, complexity="medium": tiers[complexity])
    def analyse(data: str, complexity: str = "medium") -> str:
        return complexity

    with engine.paying("user:ana"):
        analyse("x")
        analyse("x", "basic")
        analyse("x", complexity="advanced")
    assert spent(engine) == Decimal("0.12")
    assert analyse.__farebox__.dynamic  # type: ignore[attr-defined]


def test_a_dynamic_price_is_capped_by_max_cost_and_may_be_nothing(engine: Farebox) -> None:
    @pricing(cost=lambda amount: amount, max_cost="0.05")
    def analyse(amount: Any) -> None: ...

    with engine.paying("user:ana"):
        analyse("0.02")
        assert spent(engine) == Decimal("0.02")
        analyse(1)
        assert spent(engine) == Decimal("0.07")
        analyse(0)
    assert spent(engine) == Decimal("0.07")


def test_a_named_call_is_charged_once_however_often_it_is_tried(engine: Farebox) -> None:
    attempts: list[int] = []

    @pricing(cost=0.02)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return len(attempts)

    with engine.paying("user:ana", run="run-1"):
        for _ in range(2):
            with pytest.raises(ConnectionError), farebox.call_id("call_7"):
                flaky()
        assert spent(engine) == 0
        for expected in (3, 4, 5):
            with farebox.call_id("call_7"):
                assert flaky() == expected
        assert spent(engine) == Decimal("0.02")
        with farebox.call_id("call_8"):
            flaky()
    assert spent(engine) == Decimal("0.04")


def test_calls_inside_a_named_call_have_names_of_their_own(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def inner() -> None: ...

    @pricing(cost=0.02)
    def outer() -> None:
        inner()
        inner()

    with engine.paying("user:ana", run="run-1"):
        for _ in range(2):
            with farebox.call_id("call_1"):
                outer()
                inner()
    assert spent(engine) == Decimal("0.05")


def test_unnamed_calls_are_each_charged(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    with engine.paying("user:ana", run="run-1"):
        for _ in range(3):
            work()
    assert spent(engine) == Decimal("0.03")


def test_long_ids_are_hashed_into_the_key(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    with engine.paying("user:ana", run="r" * 255):
        for _ in range(2):
            with farebox.call_id("c" * 255):
                work()
    assert spent(engine) == Decimal("0.01")


def test_threads_share_the_price_and_never_overspend(engine: Farebox) -> None:
    @pricing(cost="0.001")
    def work(number: int) -> int:
        return number

    def call(number: int) -> int:
        with engine.paying("user:bob"):
            try:
                return work(number)
            except PaymentRefused:
                return -1

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(200)))
    assert sum(result >= 0 for result in results) == 50
    assert spent(engine, "user:bob", "0.05") == Decimal("0.05")


def test_a_thread_with_a_copied_context_inherits_the_payer(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    with engine.paying("user:ana", run="r") as payment:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,))
        thread.start()
        thread.join()

    def bare() -> None:
        with payment:
            work()

    thread = threading.Thread(target=bare)
    thread.start()
    thread.join()
    assert spent(engine) == Decimal("0.02")


def test_paying_can_be_nested_and_entered_again(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    ana, bob = engine.paying("user:ana"), engine.paying("user:bob")
    with ana:
        work()
        with bob:
            work()
            with ana:
                work()
        work()
    with pytest.raises(RequestError):
        work()
    assert spent(engine) == Decimal("0.03")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")


def test_the_payer_and_engine_may_be_arguments(engine: Farebox) -> None:
    @pricing(cost=0.01, payer="user", engine=engine, name="by_argument")
    def by_argument(query: str, user: str = "user:bob") -> None: ...

    @pricing(cost=0.01, payer="user:ana", engine=lambda: engine, name="fixed")
    def fixed() -> None: ...

    @pricing(cost=0.01, payer=lambda request: f"user:{request['user']}", engine=engine, name="computed")
    def computed(request: dict[str, str]) -> None: ...

    by_argument("q", "user:ana")
    by_argument("q", user="user:ana")
    by_argument("q")
    fixed()
    computed({"user": "ana"})
    assert spent(engine) == Decimal("0.04")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")


def test_bare_decoration_uses_the_registered_price(engine: Farebox) -> None:
    @pricing
    def listed() -> None: ...

    with engine.paying("user:ana"):
        with pytest.raises(farebox.StateError) as caught:
            listed()
        assert caught.value.code == status.TOOL_NOT_FOUND
        engine.register_skill(
            {"id": "shop", "version": "1.0.0", "tools": [{"name": "listed", "pricing": {"cost": "0.04"}}]}
        )
        listed()
    assert spent(engine) == Decimal("0.04")


def test_a_registered_price_is_captured_by_what_was_recorded(engine: Farebox) -> None:
    engine.register_skill(
        {
            "id": "shop",
            "version": "1.0.0",
            "tools": [{"name": "listed", "pricing": {"cost": "0.001", "per": "token", "max_cost": "0.10"}}],
        }
    )

    @pricing
    def listed(tokens: int) -> None:
        if tokens:
            farebox.record_usage(input_tokens=tokens)

    with engine.paying("user:ana"):
        listed(30)
        assert spent(engine) == Decimal("0.03")
        listed(0)  # nothing is known of its usage: what was held
    assert spent(engine) == Decimal("0.13")


def test_usage_that_the_price_does_not_cover_is_an_error_and_costs_nothing(engine: Farebox) -> None:
    @pricing(cost="0.01", per="input_token", name="narrow")
    def narrow(text: str) -> None:
        farebox.record_usage(images=3)

    @pricing(cost="0.01", per="unit", name="misspelt")
    def misspelt() -> None:
        farebox.record_usage(imagse=3)

    with engine.paying("user:ana"):
        with pytest.raises(PaymentRefused) as caught:
            narrow("some text")
        assert caught.value.code == status.UNPRICEABLE
        with pytest.raises(RequestError):
            misspelt()
    assert spent(engine) == 0


def test_a_dynamic_price_of_nothing_is_charged_as_nothing(engine: Farebox) -> None:
    @pricing(cost=lambda: 0)
    def free() -> None: ...

    with engine.paying("user:ana"):
        free()
    assert spent(engine) == 0


def test_a_positional_cost_is_a_price(engine: Farebox) -> None:
    @pricing("0.04", "USD")
    def work() -> None: ...

    with engine.paying("user:ana"):
        work()
    assert spent(engine) == Decimal("0.04")


def test_tools_of_others_are_metered(engine: Farebox) -> None:
    class Result:
        def __init__(self, is_error: bool) -> None:
            self.isError = is_error

    class Session:
        async def call_tool(self, name: str, arguments: dict[str, Any]) -> Result:
            await asyncio.sleep(0)
            return Result(is_error=not arguments)

    session = Session()
    log = meter(functools.partial(session.call_tool, "git_log"), cost="0.02", name="git_log")
    loose = meter(lambda arguments: session.call_tool("git_log", arguments), cost="0.01", name="loose")

    async def main() -> None:
        with engine.paying("user:ana"):
            assert not (await log({"a": 1})).isError
            assert (await log({})).isError
            assert not (await loose({"a": 1})).isError  # type: ignore[no-untyped-call]

    asyncio.run(main())
    assert spent(engine) == Decimal("0.03")
    assert meter(len, cost="0.01").__farebox__.tool == "len"  # type: ignore[attr-defined]
    with pytest.raises(RequestError):
        meter(functools.partial(session.call_tool, "x"), cost="0.02")


def test_receipts_reach_the_payment(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    receipts: list[farebox.Receipt] = []
    with engine.paying("user:ana", run="r", on_receipt=receipts.append):
        work()
        work()
    assert [receipt.amount for receipt in receipts] == [Decimal("0.01")] * 2
    assert all(receipt.final and receipt.hold for receipt in receipts)


def test_a_tool_that_outlives_its_hold_is_charged_all_the_same(engine: Farebox, clock: ManualClock) -> None:
    @pricing(cost=0.01, hold_seconds=5, name="slow")
    def slow() -> None:
        clock.move(10)

    @pricing(cost=0.01, per="unit", hold_seconds=5, name="slow_units", units=lambda: "2.5")
    def slow_units() -> None:
        clock.move(10)

    @pricing(cost=lambda: "0.07", hold_seconds=5, name="slow_dynamic")
    def slow_dynamic() -> None:
        clock.move(10)

    with engine.paying("user:ana"):
        slow()
        slow_units()
        slow_dynamic()
    assert spent(engine) == Decimal("0.105")


def test_prices_that_cannot_be_read_are_refused_at_decoration() -> None:
    for options in (
        {"cost": "free"},
        {"cost": float("nan")},
        {"cost": "0.01", "durability": "somewhat"},
        {"cost": "0.01", "units": "absent", "per": "unit"},
        {"cost": "0.01", "revenue_share": "x"},
    ):
        with pytest.raises(RequestError):
            pricing(**options)(lambda: None)


def test_a_price_changed_in_code_is_a_new_version(engine: Farebox) -> None:
    def register(cost: str) -> Any:
        @pricing(cost=cost)
        def changing() -> None: ...

        return changing

    with engine.paying("user:ana"):
        register("0.01")()
        register("0.01")()
        register("0.02")()
    assert spent(engine) == Decimal("0.04")


def test_one_function_serves_several_engines(engine: Farebox) -> None:
    @pricing(cost=0.01)
    def work() -> None: ...

    with Farebox.open("memory:") as second:
        second.open_account("user:ana")
        second.deposit("user:ana", 1)
        with engine.paying("user:ana"):
            work()
        with second.paying("user:ana"):
            work()
        assert second.balance("user:ana").balance == Decimal("0.99")
    assert spent(engine) == Decimal("0.01")
