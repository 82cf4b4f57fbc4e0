"""What a request says: numbers of 0 and absent ones, spans of holds, batches with items that cannot be encoded."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from farebox import Farebox, KeyConflict, PaymentRefused, RequestError, StateError

from .conftest import ManualClock

DAY = 86_400
TOOLS = {
    "id": "s",
    "version": "1.0.0",
    "tools": [
        {"name": "flat", "pricing": {"cost": "0.02"}},
        {"name": "dynamic", "pricing": {"components": [{"model": "dynamic"}], "max_cost": "1"}},
    ],
}


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.charge("user:ana"),
        lambda engine: engine.charge("user:ana", amount=None, key="invoice-1"),
        lambda engine: engine.charge("user:ana", max_cost=1),
        lambda engine: engine.charge_many([{"payer": "user:ana"}])[0].require(),
        lambda engine: engine.reserve("user:ana"),
    ],
)
def test_neither_a_tool_nor_an_amount_is_no_charge(engine: Farebox, call: Callable[[Farebox], Any]) -> None:
    with pytest.raises(RequestError) as caught:
        call(engine)
    assert caught.value.name == "MISSING_FIELD"
    assert engine.balance("user:ana").available == 10


def test_an_amount_of_0_is_an_amount(engine: Farebox) -> None:
    engine.register_skill(TOOLS)
    assert engine.charge("user:ana", amount=0).ok
    assert engine.reserve("user:ana", amount=0).receipt.amount == 0
    assert engine.charge("user:ana", "dynamic", amount=0).amount == 0
    assert [receipt.ok for receipt in engine.charge_many([{"payer": "user:ana", "amount": 0}])] == [True]
    with pytest.raises(RequestError):
        engine.charge("user:ana", "flat", amount=0)


def test_a_maximum_of_0_is_a_maximum(engine: Farebox) -> None:
    engine.register_skill(TOOLS)
    refusals: list[Callable[[], Any]] = [
        lambda: engine.charge("user:ana", amount=5, max_cost=0),
        lambda: engine.charge("user:ana", "flat", max_cost="0"),
        lambda: engine.charge_many([{"payer": "user:ana", "amount": 5, "max_cost": 0}])[0].require(),
    ]
    for refused in refusals:
        with pytest.raises(PaymentRefused) as caught:
            refused()
        assert caught.value.name == "OVER_MAX_COST"
    quote = engine.price_tool("flat", max_cost=0)
    assert quote.total == 0 and quote.capped
    assert engine.reserve("user:ana", "flat", max_cost=0).receipt.amount == 0
    assert engine.balance("user:ana").available == 10


def test_a_hold_lasts_up_to_366_days(engine: Farebox, clock: ManualClock) -> None:
    hold = engine.reserve("user:ana", amount=1, expires_in=366 * DAY)
    clock.move(365 * DAY)
    hold.extend(366 * DAY)
    clock.move(366 * DAY - 1)
    assert hold.capture().amount == 1
    for seconds in (366 * DAY + 1, 0, 0.0001, -1, float("inf"), 2**64, True):
        with pytest.raises(RequestError) as caught:
            engine.reserve("user:ana", amount=1, expires_in=seconds)
        assert caught.value.name == "INVALID_ARGUMENT", seconds
        with pytest.raises(RequestError):
            engine.extend(engine.reserve("user:ana", amount=0), seconds)


def test_a_rate_without_a_present_price_is_a_state_error(engine: Farebox, clock: ManualClock) -> None:
    def publish(name: str) -> None:
        card = {"name": "c", "currency": "USD", "entries": [{"name": name, "price": {"cost": "1"}}]}
        engine.call("rate_card.publish", card=card)
        clock.move(1)

    publish("g")
    first = engine.charge("user:ana", "c/g", max_cost=1, key="k")
    publish("h")
    engine._tool_assets = {}
    calls: list[Callable[[], Any]] = [
        lambda: engine.charge("user:ana", "c/g", max_cost=1),
        lambda: engine.charge("user:ana", "c/g", value=5),
        lambda: engine.reserve("user:ana", "c/g", amount=1),
        lambda: engine.price_tool("c/g", max_cost=1),
        lambda: engine.charge_many([{"payer": "user:ana", "tool": "c/g", "max_cost": 1}])[0].require(),
    ]
    for call in calls:
        with pytest.raises(StateError) as caught:
            call()
        assert caught.value.name == "RATE_CARD_NOT_FOUND"
    # A repeat is answered all the same.
    assert engine.charge("user:ana", "c/g", max_cost=1, key="k").id == first.id


def test_a_repeat_is_the_same_after_the_currency_of_its_tool_changed(engine: Farebox) -> None:
    def register(version: str, currency: str) -> None:
        tool = {"name": "d", "pricing": {"components": [{"model": "dynamic"}], "max_cost": "1"}}
        engine.register_skill({"id": "s", "version": version, "currency": currency, "tools": [tool]})

    engine.deposit("user:ana", 10, asset="JPY")
    register("1.0.0", "USD")
    first = engine.charge("user:ana", "d", amount=3, key="k")
    assert first.capped and engine.charge("user:ana", "d", amount=3, key="k").replayed
    register("2.0.0", "JPY")
    again = engine.charge("user:ana", "d", amount=3, key="k")
    assert again.replayed and again.id == first.id and again.asset == "USD"
    with pytest.raises(KeyConflict):
        engine.charge("user:ana", "d", amount=1, key="k")
