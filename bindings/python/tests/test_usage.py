"""Usage that tools record: what counts, what is refused where, and what a call then costs."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import fractions
import threading
import warnings
from decimal import Decimal
from typing import Any

import pytest

import farebox
from farebox import Farebox, PaymentRefused, RequestError, pricing
from farebox import _statuses as status


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


def recording(*records: Any, per: str = "second", cost: Any = "0.01", max_cost: Any = "5") -> Any:
    @pricing(cost=cost, per=per, max_cost=max_cost, name="work")
    def work() -> str:
        for record in records:
            if isinstance(record, dict):
                farebox.record_usage(**record)
            else:
                farebox.record_usage(record)
        return "answer"

    return work


def numpy() -> Any:
    return pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("records", "cost"),
    [
        ((Decimal("12345.5"), Decimal("0.25")), "3.0"),
        ((1.5,), "0.015"),
        ((1.2345678912,), "0.01234568"),
        ((0.1, 0.2), "0.003"),
        (("2.5",), "0.025"),
        ((fractions.Fraction(5, 2),), "0.025"),
        (({"units": 2}, 3), "0.05"),
        (({"units": None},), "0.01"),
        ((1e-9, 1e-9), "0"),
        ((Decimal("0.0000004"), Decimal("0.0000004")), "0.00000001"),
    ],
)
def test_numbers_of_every_kind_are_added_exactly(engine: Farebox, records: tuple[Any, ...], cost: str) -> None:
    work = recording(*records, cost="0.01" if cost != "3.0" else "0.0002430032")
    with engine.paying("user:ana"):
        assert work() == "answer"
    expected = Decimal("3.0") if cost == "3.0" else Decimal(cost)
    if cost == "3.0":
        expected = (Decimal("12345.75") * Decimal("0.0002430032")).quantize(Decimal("1e-9"), decimal.ROUND_HALF_EVEN)
    assert spent(engine) == expected


def test_numbers_of_numpy_count(engine: Farebox) -> None:
    np = numpy()
    work = recording(np.int64(2), np.float32(0.1), np.float64(0.4), np.array(3), {"units": np.uint8(1)})
    with engine.paying("user:ana"):
        work()
        assert spent(engine) == Decimal("0.065")
        recording(np.float32(167.1), cost="0.01")()  # as it prints, and not 167.10000610...
    assert spent(engine) == Decimal("0.065") + Decimal("1.671")


@pytest.mark.parametrize("precision", [1, 4, 28])
def test_the_callers_decimal_context_changes_nothing(engine: Farebox, precision: int) -> None:
    @pricing(cost="0.0001", per="second", units=lambda: Decimal("12345.5"), name="talk")
    def talk() -> None:
        farebox.record_usage(Decimal("12345.5"))
        farebox.record_usage(Decimal("12345.5"))

    @pricing(cost=lambda: Decimal("1.234567"), name="dynamic")
    def dynamic() -> None: ...

    with engine.paying("user:ana"), decimal.localcontext() as context:
        context.prec = precision
        context.traps[decimal.Inexact] = precision == 1
        talk()
        dynamic()
        receipt = engine.charge("user:ana", "talk", usage=Decimal("12345.5"))
        assert str(receipt.amount) == "1.23455"
    assert spent(engine) == Decimal("2.4691") + Decimal("1.234567") + Decimal("1.23455")


def test_none_is_not_given(engine: Farebox) -> None:
    @pricing(cost="0.001", per="token", max_cost="1")
    def complete(prompt: str) -> str:
        farebox.record_usage(input_tokens=100, output_tokens=20, cache_read_tokens=None, reasoning_tokens=None)
        farebox.record_usage({"output_tokens": None})
        farebox.record_usage(None)
        farebox.record_usage()
        return "an answer"

    with engine.paying("user:ana"):
        assert complete("hi") == "an answer"
        assert engine.charge("user:ana", "complete", usage={"input_tokens": 5, "images": None}).amount == Decimal(
            "0.005"
        )
    assert spent(engine) == Decimal("0.125")


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -20, "cache_read_tokens": 120},
        {"output_tokens": float("nan")},
        {"output_tokens": float("inf")},
        {"output_tokens": "many"},
        {"output_tokens": ""},
        {"output_tokens": True},
        {"output_tokens": [1]},
        {"output_tokens": object()},
        {"outputtokens": 3},
        {"output_tokens": 2**70},
        {"output_tokens": 10**5000},
        {"output_tokens": "9" * 100_000},
        {"output_tokens": "\ud800"},
        {"output_tokens": Decimal("1e400")},
    ],
)
def test_what_is_no_usage_is_refused_where_it_is_recorded(engine: Farebox, wrong: dict[str, Any]) -> None:
    caught: list[RequestError] = []

    @pricing(cost="0.001", per="token", max_cost="1")
    def complete(prompt: str) -> str:
        farebox.record_usage(input_tokens=7)
        try:
            farebox.record_usage(**wrong)
        except RequestError as error:
            caught.append(error)
        farebox.record_usage(input_tokens=3)
        return "an answer"

    @pricing(cost="0.001", per="token", max_cost="1")
    def careless(prompt: str) -> str:
        farebox.record_usage(**wrong)
        return "an answer"

    with engine.paying("user:ana"):
        assert complete("hi") == "an answer"
        assert spent(engine) == Decimal("0.01"), "what was recorded before and after counts, and nothing of the rest"
        with pytest.raises(RequestError):
            careless("hi")
    assert spent(engine) == Decimal("0.01"), "a call that failed costs nothing"
    assert len(caught) == 1 and caught[0].field.startswith("usage")


def test_a_record_counts_in_full_or_not_at_all(engine: Farebox) -> None:
    @pricing(cost="0.001", per="token", max_cost="1")
    def complete() -> None:
        with pytest.raises(RequestError):
            farebox.record_usage({"input_tokens": 5}, output_tokens=-1)
        farebox.record_usage({"input_tokens": 5}, input_tokens=6)

    with engine.paying("user:ana"):
        complete()
    assert spent(engine) == Decimal("0.011")


def test_outside_a_call_it_warns() -> None:
    with pytest.warns(RuntimeWarning, match="outside a metered call") as caught:
        farebox.record_usage(input_tokens=1)
    assert caught[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="outside a metered call"):
        farebox.record_amount("0.1")


def test_after_the_end_of_its_call_it_warns(engine: Farebox) -> None:
    contexts: list[contextvars.Context] = []

    @pricing(cost="0.001", per="token", max_cost="1")
    def complete() -> None:
        farebox.record_usage(input_tokens=5)
        contexts.append(contextvars.copy_context())

    with engine.paying("user:ana"):
        complete()
    with pytest.warns(RuntimeWarning, match="had ended"):
        contexts[0].run(farebox.record_usage, input_tokens=100)
    assert spent(engine) == Decimal("0.005")


def test_threads_of_a_tool_record_with_a_copy_of_its_context(engine: Farebox) -> None:
    @pricing(cost="0.0001", per="token", max_cost="5")
    def complete() -> None:
        def part() -> None:
            for _ in range(100):
                farebox.record_usage(output_tokens=1)

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(part,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with engine.paying("user:ana"):
        complete()
    assert spent(engine) == Decimal("0.08")


def test_tasks_and_to_thread_record_for_their_own_call(engine: Farebox) -> None:
    @pricing(cost="0.001", per="token", max_cost="1")
    async def complete(count: int) -> None:
        await asyncio.sleep(0)
        await asyncio.gather(*(part() for _ in range(count)))
        await asyncio.get_running_loop().run_in_executor(
            None, contextvars.copy_context().run, lambda: farebox.record_usage(output_tokens=count)
        )

    async def part() -> None:
        await asyncio.sleep(0)
        farebox.record_usage(output_tokens=1)

    async def main() -> None:
        with engine.paying("user:ana"):
            await asyncio.gather(*(complete(count) for count in (1, 2, 3)))

    asyncio.run(main())
    assert spent(engine) == Decimal("0.012")


def test_usage_inside_a_block_that_pays_belongs_to_the_call(engine: Farebox) -> None:
    @pricing(cost="0.001", per="token", max_cost="1")
    def complete() -> None:
        with engine.paying("user:bob"), farebox.call_id("c"):
            farebox.record_usage(input_tokens=5)

    with engine.paying("user:ana"):
        complete()
    assert spent(engine) == Decimal("0.005")


# ---- What a call is charged ----


def test_a_price_by_usage_holds_the_maximum_or_is_refused(engine: Farebox) -> None:
    ran: list[int] = []

    @pricing(cost="0.01", per="output_token", name="bounded", max_cost="0.03")
    def bounded() -> None:
        ran.append(1)
        assert engine.balance("user:bob").held == Decimal("0.03")
        farebox.record_usage(output_tokens=1)

    @pricing(cost="0.01", per="output_token", name="unbounded")
    def unbounded() -> None:
        ran.append(2)

    @pricing(cost="0.01", per="output_token", name="afterwards", charge_afterwards=True)
    def afterwards(count: int) -> None:
        ran.append(3)
        farebox.record_usage(output_tokens=count)

    with engine.paying("user:bob") as payment:
        bounded()
        bounded()
        with pytest.raises(RequestError) as missing:
            unbounded()
        assert (missing.value.code, missing.value.field) == (status.MISSING_FIELD, "max_cost")
        bounded()
        with pytest.raises(PaymentRefused):
            bounded()  # 0.02 are left, and 0.03 would be held
        afterwards(1)
        assert payment.receipt is not None and payment.receipt.shortfall == 0
        afterwards(100)
        assert payment.receipt.shortfall == Decimal("0.99")
    assert ran == [1, 1, 1, 3, 3]
    assert spent(engine, "user:bob", "0.05") == Decimal("0.05")


@pytest.mark.parametrize("maximum", ["0.001", 0])
def test_the_lower_maximum_counts_and_0_is_one(engine: Farebox, maximum: Any) -> None:
    engine.register_skill(
        {
            "id": "org.example.llm",
            "version": "1.0.0",
            "tools": [{"name": "llm", "price": {"currency": "USD", "max_cost": "0.10", "components": [
                {"meter": "input_tokens", "rate": "0.000003"}, {"meter": "output_tokens", "rate": "0.000015"}]}}],
        }
    )  # fmt: skip

    @pricing(name="llm", max_cost=maximum)
    def llm(prompt: str) -> str:
        farebox.record_usage(input_tokens=1000, output_tokens=100)
        return "answer"

    with engine.paying("user:ana") as payment:
        assert llm("hello") == "answer"
    assert spent(engine) == Decimal(maximum)
    assert payment.receipt is None or payment.receipt.capped


def test_a_flat_price_above_the_callers_maximum_is_refused(engine: Farebox) -> None:
    engine.register_skill({"id": "shop", "version": "1.0.0", "tools": [{"name": "dear", "pricing": {"cost": "0.05"}}]})

    @pricing(max_cost="0.02")
    def dear() -> None:
        raise AssertionError("it ran")

    with engine.paying("user:ana"), pytest.raises(PaymentRefused):
        dear()
    assert spent(engine) == 0


def test_usage_that_never_comes_is_charged_as_held_and_said_so(engine: Farebox) -> None:
    silent = recording(per="output_token", max_cost="1")
    with engine.paying("user:ana") as payment:
        silent()
    assert spent(engine) == 1
    assert payment.receipt is not None and payment.receipt.unreported
    events = engine.call("event.list")["events"]
    assert any("call.unreported" in str(event) for event in events)


def test_what_a_result_says_of_its_usage_never_loses_the_result(engine: Farebox) -> None:
    for measure in (lambda result: 1 / 0, lambda result: {"outputtokens": 1}, lambda result: -1, lambda result: "x"):

        @pricing(cost="0.01", per="unit", max_cost="1", measure=measure, name="measured")
        def measured() -> str:
            return "answer"

        with engine.paying("user:ana"), pytest.warns(RuntimeWarning, match="cannot be read"):
            assert measured() == "answer"
    assert spent(engine) == Decimal("0.04"), "each was charged its estimate, one unit"


def test_what_was_recorded_comes_before_what_the_result_says(engine: Farebox) -> None:
    @pricing(cost="0.01", per="unit", max_cost="1", measure=lambda result: 50)
    def both() -> None:
        farebox.record_usage(3)

    with engine.paying("user:ana"):
        both()
    assert spent(engine) == Decimal("0.03")


def test_several_meters_have_a_price_each(engine: Farebox) -> None:
    @pricing(cost={"input_token": "0.000003", "output_token": "0.000015"}, max_cost="0.10")
    def llm(prompt: str) -> None:
        assert engine.balance("user:ana").held == Decimal("0.1")
        farebox.record_usage(input_tokens=1000, output_tokens=100)

    @pricing(cost={"request": "0.01", "input_token": "0.001"}, name="both")
    def both(prompt: str) -> None: ...

    with engine.paying("user:ana"):
        llm("hello")
        assert spent(engine) == Decimal("0.0045")
        both("x" * 8)  # both can be counted before the call
    assert spent(engine) == Decimal("0.0045") + Decimal("0.012")
    for wrong in ({}, {"input_token": "free"}):
        with pytest.raises(RequestError):
            pricing(cost=wrong)(lambda: None)


# ---- Results that say they failed ----


class Answer:
    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)


@pytest.mark.parametrize(
    ("result", "fails"),
    [
        ({"isError": True}, True),
        ({"is_error": True}, True),
        (Answer(isError=True), True),
        (Answer(is_error=True), True),
        ({"isError": False}, False),
        ({"isError": "true"}, False),
        (Answer(isError=None), False),
        ('{"isError": true}', False),
        (b'{"isError": true}', False),
        ([{"isError": True}], False),
        (None, False),
    ],
)
@pytest.mark.parametrize("decorated", [True, False])
@pytest.mark.parametrize("form", ["plain", "coroutine", "awaitable"])
def test_a_result_that_says_it_failed_costs_nothing(
    engine: Farebox, result: Any, fails: bool, decorated: bool, form: str
) -> None:
    async def later() -> Any:
        return result

    function: Any = {"plain": lambda: result, "coroutine": later, "awaitable": lambda: later()}[form]
    tool = pricing(cost="0.5", name="t")(function) if decorated else farebox.meter(function, cost="0.5", name="t")
    with engine.paying("user:ana") as payment:
        answer = tool()
        if form != "plain":
            assert asyncio.run(asyncio.wait_for(answer, 5)) is result
        else:
            assert answer is result
    assert spent(engine) == (0 if fails else Decimal("0.5"))
    assert (payment.receipt is None) == fails


def test_what_a_failure_is_can_be_said_otherwise(engine: Farebox) -> None:
    picky: Any = farebox.meter(
        lambda: "error: disk full", name="picky", cost="0.5", failed=lambda text: "error" in text
    )
    never: Any = farebox.meter(lambda: {"isError": True}, name="never", cost="0.25", failed=None)
    broken: Any = farebox.meter(lambda: "x", name="broken", cost="0.125", failed=lambda text: text.missing)
    with engine.paying("user:ana"):
        picky()
        never()
        with pytest.warns(RuntimeWarning, match="succeeded"):
            broken()
    assert spent(engine) == Decimal("0.375")


# ---- Receipts ----


def test_the_receipts_of_what_was_just_called_can_be_had(engine: Farebox) -> None:
    @pricing(cost="0.01")
    def work(fails: bool = False) -> None:
        if fails:
            raise LookupError

    told: list[farebox.Receipt] = []
    with engine.paying("user:ana", run="r") as payment:
        assert payment.receipt is None and payment.receipts == []
        for _ in range(3):
            work()
        with pytest.raises(LookupError):
            work(True)
        with engine.paying("user:ana", run="r", on_receipt=told.append) as other:
            work()
            with pytest.raises(LookupError):
                work(True)
    assert [receipt.amount for receipt in payment.receipts] == [Decimal("0.01")] * 3
    assert payment.receipt == payment.receipts[-1] and payment.receipt.final
    assert told == other.receipts and len(told) == 1
    with engine.paying("user:ana") as many:
        for _ in range(120):
            work()
    assert len(many.receipts) == 100 and len({receipt.id for receipt in many.receipts}) == 100


def test_warnings_are_the_only_thing_that_a_broken_record_leaves(engine: Farebox) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        work = recording({"units": 1})
        with engine.paying("user:ana"):
            assert work() == "answer"
    assert spent(engine) == Decimal("0.01")
