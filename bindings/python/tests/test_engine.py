"""Charges, holds, quotes and balances through the typed door, and the JSON door."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import ChargeRequest, Farebox, Hold, KeyConflict, PaymentRefused, RequestError, StateError
from farebox import _statuses as status

from .conftest import ManualClock

FLAT = {"id": "flat", "version": "1.0.0", "tools": [{"name": "flat", "pricing": {"cost": "0.02"}}]}
TOKENS = {
    "id": "tokens",
    "version": "1.0.0",
    "tools": [{"name": "tokens", "pricing": {"cost": "0.001", "per": "token", "max_cost": "0.10"}}],
}


def test_an_explicit_charge_moves_money_to_the_payee(engine: Farebox, clock: ManualClock) -> None:
    receipt = engine.charge("user:ana", amount=0.02, payee="dev:eve", description="é", metadata={"size": 1.5})
    assert receipt.ok and receipt.error is None and receipt.require() is receipt
    assert (receipt.amount, receipt.units, receipt.asset) == (Decimal("0.02"), 20_000_000, "USD")
    assert receipt.balance == receipt.available == Decimal("9.98")
    assert receipt.id > 0 and receipt.hold == 0 and not receipt.replayed and not receipt.capped
    assert receipt.time == clock.now
    assert receipt.at == datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)
    assert engine.balance("dev:eve").balance == Decimal("0.02")
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_a_key_is_charged_once_and_another_request_under_it_conflicts(engine: Farebox) -> None:
    first = engine.charge("user:ana", amount="1", key="k", run="r", call="c")
    again = engine.charge("user:ana", amount="1", key="k", run="r", call="c")
    assert again.replayed and not first.replayed
    assert (again.id, again.units, again.time) == (first.id, first.units, first.time)
    assert engine.balance("user:ana").balance == 9
    with pytest.raises(KeyConflict) as caught:
        engine.charge("user:ana", amount="2", key="k", run="r", call="c")
    assert caught.value.field == "amount"


def test_a_refusal_names_the_binding_constraint(engine: Farebox) -> None:
    with pytest.raises(PaymentRefused) as caught:
        engine.charge("user:bob", amount="0.06")
    error = caught.value
    assert (error.code, error.name, error.retryable) == (status.INSUFFICIENT_FUNDS, "INSUFFICIENT_FUNDS", True)
    assert error.constraint["constraint"] == "wallet"
    assert error.constraint["account"] == "user:bob"
    assert Decimal(error.constraint["limit"]) == Decimal("0.05")
    assert Decimal(error.constraint["requested"]) == Decimal("0.06")
    assert engine.balance("user:bob").balance == Decimal("0.05")


def test_a_tool_is_quoted_line_by_line_and_charged_alike(engine: Farebox) -> None:
    engine.register_skill(TOKENS)
    quote = engine.price_tool("tokens", input_tokens=40, output_tokens=2)
    assert quote.total == Decimal("0.042") and quote.units == 42_000_000 and quote.asset == "USD"
    assert not quote.capped
    assert [line.rate for line in quote.lines] == [Decimal("0.001")] * len(quote.lines)
    assert sum(line.amount for line in quote.lines) == quote.total
    assert sum(line.quantity for line in quote.lines) == 42
    assert engine.price_tool("tokens", {"input_tokens": 1000}).capped
    assert engine.price_tool("tokens", {"input_tokens": 1000}).total == Decimal("0.1")
    assert engine.price_tool("tokens", input_tokens=40, max_cost="0.01").total == Decimal("0.01")
    receipt = engine.charge("user:ana", "tokens", input_tokens=40, output_tokens=2)
    assert receipt.amount == quote.total and receipt.price_version == quote.price_version > 0
    with pytest.raises(PaymentRefused) as caught:
        engine.charge("user:ana", "tokens", input_tokens=40, max_cost="0.01")
    assert caught.value.code == status.OVER_MAX_COST
    with pytest.raises(StateError) as missing:
        engine.price_tool("absent")
    assert missing.value.code == status.TOOL_NOT_FOUND and missing.value.field == "tool"


def test_a_price_of_many_components_gives_all_its_lines(engine: Farebox) -> None:
    meters = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "images")
    components: list[dict[str, Any]] = [{"meter": meter, "rate": "0.001"} for meter in meters]
    engine.register_skill(
        {"id": "many", "version": "1.0.0", "tools": [{"name": "many", "pricing": {"components": components}}]}
    )
    quote = engine.price_tool("many", dict.fromkeys(meters, 3))
    assert [line.meter for line in quote.lines] == list(meters)
    assert quote.total == Decimal("0.015")


def test_units_may_have_digits_after_the_point(engine: Farebox) -> None:
    engine.register_skill(
        {"id": "hours", "version": "1.0.0", "tools": [{"name": "hours", "pricing": {"cost": "0.1", "per": "unit"}}]}
    )
    assert engine.price_tool("hours", 4.5).total == Decimal("0.45")
    assert engine.price_tool("hours", Decimal("0.000001")).units == 100
    assert engine.price_tool("hours", units="4.5").total == Decimal("0.45")
    for usage in ("0.0000001", float("nan"), {"input_tokens": 1.5}, {"units": True}, [1]):
        with pytest.raises(RequestError):
            engine.price_tool("hours", usage)  # type: ignore[arg-type]


def test_a_hold_captures_on_success_and_releases_on_failure(engine: Farebox) -> None:
    with engine.reserve("user:ana", amount=2, payee="dev:eve") as hold:
        assert hold.amount == 2 and hold.units == 2_000_000_000 and hold.asset == "USD"
        assert engine.balance("user:ana").held == 2
        assert engine.balance("user:ana").available == 8
    assert hold.closed
    assert engine.balance("dev:eve").balance == 2
    with pytest.raises(ZeroDivisionError), engine.reserve("user:ana", amount=3):
        raise ZeroDivisionError
    assert engine.balance("user:ana").held == 0
    assert engine.balance("user:ana").balance == 8


def test_a_hold_is_captured_in_parts(engine: Farebox) -> None:
    with engine.reserve("user:ana", amount=2) as hold:
        part = hold.capture("0.5", final=False)
        assert part.hold_remaining == Decimal("1.5") and not part.final
        hold.capture(0.25, final=False)
    assert hold.closed
    assert engine.balance("user:ana").balance == Decimal("9.25")
    assert engine.balance("user:ana").held == 0
    hold = engine.reserve("user:ana", amount=1)
    final = engine.capture(hold.id, "0.4")
    assert final.final and final.hold_remaining == 0
    with pytest.raises(farebox.HoldError) as caught:
        hold.release()
    assert caught.value.code == status.HOLD_CAPTURED


def test_over_capture_follows_the_policy_of_the_hold(engine: Farebox) -> None:
    with pytest.raises(farebox.HoldError) as caught:
        engine.reserve("user:ana", amount=1).capture(2)
    assert caught.value.code == status.OVER_CAPTURE
    capped = engine.reserve("user:ana", amount=1, over_capture="cap").capture(2)
    assert capped.amount == 1 and capped.capped
    assert engine.reserve("user:ana", amount=1, over_capture="overflow").capture(2).amount == 2
    with pytest.raises(RequestError):
        engine.reserve("user:ana", amount=1, over_capture="perhaps")


def test_a_hold_is_captured_by_usage_at_the_price_of_the_reservation(engine: Farebox) -> None:
    engine.register_skill(TOKENS)
    hold = engine.reserve("user:ana", "tokens", max_cost="0.1")
    assert hold.amount == Decimal("0.1")
    assert hold.capture(input_tokens=7).amount == Decimal("0.007")
    hold = engine.reserve("user:ana", "tokens", input_tokens=50)
    assert hold.capture(usage={"input_tokens": 5}, output_tokens=1).amount == Decimal("0.006")


def test_a_hold_grows_or_stays_as_it_is(engine: Farebox) -> None:
    hold = engine.reserve("user:bob", amount="0.02")
    assert hold.increase("0.01", key="k").amount == Decimal("0.01")
    assert engine.increase(hold.id, "0.01", key="k").replayed
    with pytest.raises(PaymentRefused):
        engine.increase(hold, 1)
    assert engine.balance("user:bob").held == Decimal("0.03")
    assert hold.capture().amount == Decimal("0.03")


def test_holds_expire_and_can_be_extended(engine: Farebox, clock: ManualClock) -> None:
    hold = engine.reserve("user:ana", amount=1, expires_in=10)
    kept = engine.reserve("user:ana", amount=1, expires_in=10)
    kept.extend(60)
    clock.move(11)
    with pytest.raises(farebox.HoldError) as caught:
        hold.capture()
    assert caught.value.code == status.HOLD_EXPIRED
    assert engine.tick().expired_holds <= 1
    assert engine.balance("user:ana").held == 1
    assert kept.capture().amount == 1
    assert engine.tick()._fields == ("expired_holds", "committed", "sealed")


def test_many_charges_stand_or_fall_alone(engine: Farebox) -> None:
    engine.register_skill(FLAT)
    receipts = engine.charge_many(
        [
            {"payer": "user:ana", "tool": "flat", "key": "a"},
            ChargeRequest("user:ana", amount=1, payee="dev:eve"),
            {"payer": "user:bob", "amount": "0.06"},
            {"payer": "user:nobody", "amount": "1"},
            {"payer": "user:ana", "tool": "flat", "key": "a"},
            {"payer": "user:ana", "amount": 2, "metadata": {"a": 1}, "run": "r", "call": "c", "description": "d"},
            ChargeRequest("user:bob", "flat"),
        ]
    )
    assert [receipt.status for receipt in receipts] == [
        0,
        0,
        status.INSUFFICIENT_FUNDS,
        status.ACCOUNT_NOT_FOUND,
        0,
        0,
        0,
    ]
    assert [str(receipt.amount) for receipt in receipts if receipt.ok] == ["0.02", "1", "0.02", "2", "0.02"]
    assert receipts[4].replayed and receipts[4].id == receipts[0].id
    assert isinstance(receipts[2].error, PaymentRefused)
    with pytest.raises(StateError):
        receipts[3].require()
    assert engine.balance("user:ana").balance == Decimal("6.98")
    assert engine.charge_many([]) == []


def test_a_batch_of_eight_thousand_with_long_texts(engine: Farebox) -> None:
    engine.deposit("user:ana", 1000)
    items = [ChargeRequest("user:ana", amount="0.01", key=f"{i:032x}" * 7, description="x" * 300) for i in range(8190)]
    receipts = engine.charge_many(iter(items))
    assert all(receipt.ok for receipt in receipts)
    assert len({receipt.id for receipt in receipts}) == 8190
    assert engine.balance("user:ana").balance == Decimal("928.1")


def test_a_request_that_cannot_be_encoded_is_one_refused_item(engine: Farebox) -> None:
    good = {"payer": "user:ana", "amount": 1}
    for bad, field in (
        ({"payer": "user:ana", "amount": "x"}, "requests[1].amount"),
        ({"payer": "user:ana", "amount": 1, "colour": "red"}, "requests[1].colour"),
        ({"amount": 1}, "requests[1].payer"),
        ({"payer": 5, "amount": 1}, "requests[1].payer"),
        ({"payer": "user:ana", "usage": {"wishes": 3}, "tool": "flat"}, "requests[1].usage.wishes"),
        (7, "requests[1]"),
    ):
        first, refused, last = engine.charge_many([good, bad, good])  # type: ignore[list-item]
        assert first.ok and last.ok and not refused.ok and refused.units == 0
        assert isinstance(refused.error, RequestError) and refused.error.field == field
        assert refused.status == refused.error.code
        with pytest.raises(RequestError) as caught:
            refused.require()
        assert caught.value is refused.error
        copy = pickle.loads(pickle.dumps(refused))
        assert copy == refused and copy.error.field == field
        assert [one.ok for one in engine.charge_many([bad])] == [False]  # type: ignore[list-item]
        engine.deposit("user:ana", 2)
    assert engine.balance("user:ana").balance == 10


def test_balances_and_assets(engine: Farebox) -> None:
    balance = engine.balance("user:ana", "USD")
    assert (balance.account, balance.asset, balance.scale, balance.units) == ("user:ana", "USD", 9, 10**10)
    assert (balance.balance, balance.held, balance.credit_line, balance.available) == (
        Decimal(10),
        Decimal(0),
        Decimal(0),
        Decimal(10),
    )
    engine.deposit("user:ana", 500, "JPY")
    assert engine.balance("user:ana", "JPY").balance == 500
    assert engine.balance("user:ana", "JPY").scale == 7
    assert engine.charge("user:ana", amount=0.5, asset="JPY").units == 5_000_000
    with pytest.raises(RequestError) as caught:
        engine.charge("user:ana", amount="0.00000001", asset="JPY")
    assert caught.value.code == status.TOO_PRECISE
    with pytest.raises(StateError) as missing:
        engine.balance("user:ana", "XXQ")
    assert missing.value.code == status.ASSET_NOT_FOUND


def test_max_cost_is_in_the_asset_of_the_tool(engine: Farebox) -> None:
    engine.register_skill(
        {"id": "yen", "version": "1.0.0", "tools": [{"name": "yen", "pricing": {"cost": "100", "currency": "JPY"}}]}
    )
    engine.deposit("user:ana", 1000, "JPY")
    assert engine.charge("user:ana", "yen", max_cost=100).units == 100 * 10**7
    with pytest.raises(PaymentRefused):
        engine.charge("user:ana", "yen", max_cost="99.9")


def test_a_deposit_under_a_key_counts_once(engine: Farebox) -> None:
    engine.deposit("dev:eve", 1, key="d")
    engine.deposit(
        "dev:eve",
        1,
        key="d",
    )
    assert engine.balance("dev:eve").balance == 1


def test_the_json_door_takes_decimals_and_times(engine: Farebox) -> None:
    result = engine.call(
        "transfer.create",
        postings=[
            {"account": "user:ana", "amount": Decimal("-0.5"), "asset": "USD"},
            {"account": "dev:eve", "amount": "0.5", "asset": "USD"},
        ],
    )
    assert isinstance(result, dict)
    before = engine.call("balance.get", account="dev:eve", at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    assert Decimal(before["balance"]) == 0
    assert Decimal(engine.call("balance.get", account="dev:eve")["balance"]) == Decimal("0.5")


@pytest.mark.parametrize(
    ("operation", "fields", "code"),
    [
        ("no.such", {}, status.UNKNOWN_OPERATION),
        ("", {}, status.UNKNOWN_OPERATION),
        ("balance.get", {"account": "user:ana", "colour": 1}, status.UNKNOWN_FIELD),
        ("balance.get", {}, status.MISSING_FIELD),
        ("balance.get", {"account": 5}, status.INVALID_ARGUMENT),
        ("account.deposit", {"account": "user:ana", "amount": "-1"}, status.INVALID_AMOUNT),
        ("account.deposit", {"account": "user:ana", "amount": "1e400"}, status.OVERFLOW),
        ("account.deposit", {"account": "user:ana", "amount": "9" * 30}, status.OVERFLOW),
        ("account.deposit", {"account": "user:ana", "amount": float("nan")}, status.INVALID_ARGUMENT),
        ("account.deposit", {"account": "user:ana", "amount": object()}, status.INVALID_ARGUMENT),
        ("balance.get", {"account": "user:ana", "at": datetime(2024, 1, 1)}, status.INVALID_ARGUMENT),
    ],
)
def test_the_json_door_refuses_what_is_wrong(
    engine: Farebox, operation: str, fields: dict[str, Any], code: int
) -> None:
    with pytest.raises(RequestError) as caught:
        engine.call(operation, **fields)
    assert caught.value.code == code


def test_a_skill_is_registered_from_a_file_and_again_without_change(engine: Farebox, tmp_path: Path) -> None:
    manifest = tmp_path / "skill.json"
    manifest.write_text('{"id": "flat", "version": "1.0.0", "tools": [{"name": "flat", "pricing": {"cost": 0.02}}]}')
    engine.register_skill(manifest)
    engine.register_skill(str(manifest))
    assert engine.price_tool("flat").total == Decimal("0.02")
    manifest.write_text("{")
    with pytest.raises(RequestError) as caught:
        engine.register_skill(manifest)
    assert caught.value.code == status.INVALID_JSON
    with pytest.raises(StateError):
        engine.register_skill({**FLAT, "tools": [{"name": "flat", "pricing": {"cost": "0.03"}}]})


def test_a_ledger_is_durable_and_may_be_opened_by_path(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(farebox.StoreError) as caught:
        Farebox.open(path, existing=True)
    assert caught.value.code == status.STORE_NOT_FOUND
    with Farebox.open(path) as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 1)
        receipt = engine.charge("user:ana", amount="0.25", key="k")
    assert engine.closed and "closed" in repr(engine)
    engine.close()
    with Farebox.open(f"sqlite:{path}", existing=True, durability="normal", busy_timeout=1.5) as engine:
        assert engine.balance("user:ana").balance == Decimal("0.75")
        assert engine.charge("user:ana", amount="0.25", key="k").id == receipt.id
        assert engine.call("ledger.verify")


def test_relaxed_receipts_are_uncommitted_until_a_tick(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Farebox.open(path, durability="relaxed", exclusive=True) as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 1)
        assert engine.charge("user:ana", amount="0.25").uncommitted
        engine.tick()
    with Farebox.open(path) as engine:
        assert engine.balance("user:ana").balance == Decimal("0.75")
    with pytest.raises(RequestError):
        Farebox.open(path, durability="relaxed")


def test_an_engine_that_was_dropped_is_closed_with_what_is_relaxed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    engine = Farebox.open(path, durability="relaxed", exclusive=True)
    engine.open_account("user:ana")
    engine.deposit("user:ana", 1)
    del engine
    with Farebox.open(path, exclusive=True) as engine:
        assert engine.balance("user:ana").balance == 1


def test_a_clock_that_raises_does_not_unwind_through_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> int:
        raise ZeroDivisionError("no time")

    with Farebox.open("memory:", clock=broken) as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 1)
    assert "no time" in capsys.readouterr().err


def test_a_clock_that_calls_back_is_reentrant(clock: ManualClock) -> None:
    seen: list[int] = []
    engines: list[Farebox] = []

    def nested() -> int:
        if engines and not seen:
            try:
                engines[0].charge("user:ana", amount=1)
                seen.append(0)
            except farebox.FareboxError as error:
                seen.append(error.code)
        return clock.now

    with Farebox.open("memory:", clock=nested) as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 1)
        engines.append(engine)
        engine.charge("user:ana", amount=1)
    assert seen == [status.REENTRANT]


def test_describe_lists_every_operation_of_the_door(engine: Farebox) -> None:
    described = farebox.describe()
    names = {operation["name"] for operation in described["operations"]}
    assert {"account.deposit", "charge.create", "skill.register", "ledger.verify", "amount.parse"} <= names
    assert all(operation["doc"] for operation in described["operations"])


def test_the_library_says_where_it_came_from() -> None:
    assert Path(farebox.library_path()).is_absolute()
    assert farebox.library_path().endswith(".so")


def test_values_print_well(engine: Farebox) -> None:
    hold = engine.reserve("user:ana", amount="0.5")
    assert isinstance(hold, Hold) and repr(hold) == f"<Hold {hold.id} 0.5 USD>"
    assert repr(engine) == "<Farebox memory:>"
    assert repr(engine.paying("user:ana", run="r")) == "<Payment user:ana run r>"


DYNAMIC = {"id": "s", "version": "1.0.0", "tools": [{"name": "dyn", "pricing": {"components": [{"model": "dynamic"}]}}]}


def test_a_dynamic_price_may_come_to_nothing(engine: Farebox) -> None:
    engine.register_skill(DYNAMIC)
    assert engine.charge("user:ana", "dyn", amount=0).amount == 0
    with engine.reserve("user:ana", "dyn", amount=0) as hold:
        assert hold.amount == 0
    many = engine.charge_many(
        [
            {"payer": "user:ana", "tool": "dyn", "amount": 0},
            {"payer": "user:ana", "tool": "dyn", "amount": "0.25"},
            {"payer": "user:ana", "tool": "dyn", "amount": 0, "metadata": {"a": 1}},
            {"payer": "user:ana", "tool": "dyn"},
        ]
    )
    assert [receipt.units for receipt in many[:3]] == [0, 250_000_000, 0]
    refused = many[3].error
    assert refused is not None and refused.name == "UNPRICEABLE"
    assert engine.balance("user:ana").balance == Decimal("9.75")


@pytest.mark.parametrize("durability", ["relaxed", "normal", "full"])
def test_threads_on_one_ledger_keep_every_receipt(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "ledger.db"
    threads, each = 8, 200
    with Farebox.open(path, durability=durability, exclusive=durability == "relaxed") as engine:
        engine.deposit("user:ana", 100)

        def work(number: int) -> list[int]:
            found = []
            for index in range(each):
                key = f"{number}/{index}"
                if index % 2:
                    found.append(engine.charge("user:ana", amount="0.01", key=key).id)
                else:
                    with engine.reserve("user:ana", amount="0.05", key=key) as hold:
                        found.append(hold.capture("0.01").id)
            return found

        with ThreadPoolExecutor(threads) as pool:
            numbers = [number for found in pool.map(work, range(threads)) for number in found]
        assert len(set(numbers)) == threads * each
    with Farebox.open(path, existing=True) as engine:
        assert engine.balance("user:ana").balance == 100 - Decimal("0.01") * threads * each
        assert engine.balance("user:ana").held == 0
        assert engine.call("ledger.verify")["valid"] is True
        assert engine.call("ledger.reconcile")["balanced"] is True
        for number in numbers[:: threads * 3]:
            assert engine.call("transfer.get", id=number)["amount"] == "0.01"
        assert engine.charge("user:ana", amount="0.01", key="7/1").replayed
