"""The vectors that every language runs."""

from __future__ import annotations

import base64
import functools
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import farebox
from farebox import Farebox
from farebox import _statuses as status
from farebox.money import decimal_of, to_units

VECTORS = Path(__file__).resolve().parents[3] / "Tests" / "Vectors"
HEADERS = {"standard": "webhook-signature", "stripe": "Stripe-Signature", "robutler": "X-Robutler-Signature"}


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def outcome(work: Any) -> str:
    try:
        work()
    except farebox.FareboxError as error:
        return error.name
    return "OK"


def webhook_cases() -> list[Any]:
    vectors = load("webhooks.json")
    return [
        pytest.param({"now": vectors["now"], **case}, id=case["name"].replace(" ", "-")) for case in vectors["cases"]
    ]


@pytest.mark.parametrize("case", webhook_cases())
def test_webhooks(case: dict[str, Any]) -> None:
    body = base64.b64decode(case["body_base64"]) if "body_base64" in case else case["body"].encode()
    if case["expect"] == "INVALID_ARGUMENT" and case["scheme"] != "standard":
        pytest.skip("the headers of this scheme cannot say it")
    headers = {HEADERS[case["scheme"]]: case["signature"]}
    headers.update({f"webhook-{name}": case[name] for name in ("id", "timestamp") if name in case})
    tolerance = case.get("tolerance", 300)
    verified = outcome(
        lambda: farebox.verify_webhook(
            body,
            headers,
            case["secrets"],
            case["scheme"],
            None if tolerance < 0 else tolerance,
            datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=case["now"]),
        )
    )
    assert verified == case["expect"]
    assert case["expect"] in {row.name for row in status.STATUSES.values()}


def test_webhooks_through_the_json_door(engine: Farebox) -> None:
    vectors = load("webhooks.json")
    for case in vectors["cases"]:
        if "body_base64" in case:
            continue
        fields = {
            "scheme": case["scheme"],
            "body": case["body"],
            "signature": case["signature"],
            "secrets": case["secrets"],
            "now": case.get("now", vectors["now"]),
        }
        for given, name in (("id", "id"), ("timestamp", "timestamp"), ("tolerance", "tolerance_s")):
            if given in case:
                fields[name] = case[given]
        assert outcome(functools.partial(engine.call, "webhook.verify", **fields)) == case["expect"], case["name"]


@pytest.mark.parametrize("case", load("money.json")["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_money(case: dict[str, Any], engine: Farebox) -> None:
    expect = case["expect"]
    result: dict[str, Any] = {}

    def parse() -> None:
        result.update(engine.call("amount.parse", amount=case["amount"], asset=case["asset"]))

    if "error" in expect:
        assert outcome(parse) == expect["error"]
        return
    parse()
    assert result["amount"] == expect["amount"]
    assert str(result["units"]) == expect["units"]
    # The binding's own conversion agrees with the engine's.
    scale = engine._scale(case["asset"])
    assert to_units(case["amount"], scale) == int(expect["units"])
    assert decimal_of(int(expect["units"]), scale) == Decimal(expect["amount"])


@pytest.mark.parametrize("case", load("splits.json")["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_splits(case: dict[str, Any], engine: Farebox) -> None:
    expect = case["expect"]
    result: dict[str, Any] = {}

    def share() -> None:
        result.update(engine.call("split.shares", split=case["split"], amount=case["amount"], asset=case["asset"]))

    if "error" in expect:
        assert outcome(share) == expect["error"]
        return
    share()
    assert [Decimal(share["amount"]) for share in result["shares"]] == [Decimal(amount) for amount in expect]
    assert [share["account"] for share in result["shares"]] == [part["account"] for part in case["split"]]


@pytest.mark.parametrize("case", load("prices.json")["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_prices(case: dict[str, Any], engine: Farebox) -> None:
    expect = case["expect"]
    fields: dict[str, Any] = {name: case[name] for name in ("price", "usage", "max_cost") if name in case}
    if "dynamic_amount" in case:
        fields["amount"] = case["dynamic_amount"]
    result: dict[str, Any] = {}

    def evaluate() -> None:
        result.update(engine.call("price.evaluate", **fields))

    if "error" in expect:
        assert outcome(evaluate) == expect["error"]
        return
    evaluate()
    assert Decimal(result["total"]) == Decimal(expect["total"])
    assert result["capped"] == expect["capped"]
    for line, expected in zip(result["lines"], expect.get("lines", [])):
        assert line["meter"] == expected["meter"]
        assert line["tier"] == expected["tier"]
        for name in ("quantity", "rate", "amount"):
            assert Decimal(line[name]) == Decimal(expected[name]), name
    if "lines" in expect:
        assert len(result["lines"]) == len(expect["lines"])


def test_prices_of_tools_through_the_typed_door(engine: Farebox) -> None:
    compared = 0
    for number, case in enumerate(load("prices.json")["cases"]):
        expect = case["expect"]
        if "error" in expect or "dynamic_amount" in case or "tokens" in case["usage"]:
            continue
        name = f"vector-{number}"
        engine.register_skill({"id": name, "version": "1.0.0", "tools": [{"name": name, "pricing": case["price"]}]})
        quote = engine.price_tool(name, case["usage"], max_cost=case.get("max_cost"))
        assert quote.total == Decimal(expect["total"]), case["name"]
        assert quote.capped == expect["capped"], case["name"]
        for line, expected in zip(quote.lines, expect.get("lines", [])):
            assert line.meter == expected["meter"], case["name"]
            assert line.tier == (None if expected["tier"] < 0 else expected["tier"]), case["name"]
            assert line.amount == Decimal(expected["amount"]), case["name"]
            assert line.rate is None or line.rate == Decimal(expected["rate"]), case["name"]
        compared += 1
    assert compared > 50


def test_ids_of_identity_providers_are_names_or_have_one_escape() -> None:
    vectors = load("account_names.json")
    for case in vectors["cases"]:
        assert farebox.escape_account(case["id"]) == case["name"]
        assert farebox.unescape_account(case["name"]) == case["id"]
    for name in vectors["refused"]:
        with pytest.raises(farebox.RequestError):
            farebox.unescape_account(name)
