"""What a request says: numbers of 0 and absent ones, spans of holds, batches with items that cannot be encoded."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from farebox import Farebox, PaymentRefused, RequestError

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
