"""What a refusal says to the model or end user, and how money prints."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable

import pytest

from farebox import ChargeRequest, Farebox, FareboxError, PayerRefused, PaymentRefused, RequestError, StateError, describe
from farebox import _statuses as status

URL = "https://pay.example/credit?from=agent"
SEARCH = {"id": "s", "version": "1.0.0", "tools": [{"name": "search", "pricing": {"cost": "2.345"}}]}


def opened(**options: Any) -> Farebox:
    engine = Farebox.open("memory:", **options)
    engine.open_account("user:ana")
    engine.deposit("user:ana", "6.789")
    engine.register_skill(SEARCH)
    return engine


def test_a_refusal_has_a_sentence_beside_the_facts() -> None:
    with opened(payment_url=URL) as engine:
        engine.reserve("user:ana", "search")
        engine.reserve("user:ana", amount="4")
        with pytest.raises(PaymentRefused) as caught:
            engine.reserve("user:ana", "search", run="run-7", call="call-8")
        error = caught.value
        assert error.user_message == (
            "The tool search was not run: the account's credit is held by calls that are still running. "
            f"Try again when they have finished, or add credit at {URL}."
        )
        assert error.retryable and error.details["cause"] == "held" and error.details["payment_url"] == URL
        assert "user:ana" in error.message and "user:ana" in repr(error) and str(error) == error.user_message
        assert not any(secret in error.user_message for secret in ("ana", "6.78", "2.345", "run-7", "call-8"))
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is PaymentRefused and vars(copied) == vars(error)


@pytest.mark.parametrize("verb", ["charge", "reserve", "call", "plugin"])
def test_an_unknown_payer_is_a_refusal(verb: str) -> None:
    with opened(payment_url=URL) as engine:
        work: dict[str, Callable[[], object]] = {
            "charge": lambda: engine.charge("user:nobody", "search"),
            "reserve": lambda: engine.reserve("user:nobody", "search"),
            "call": lambda: engine.call("hold.reserve", payer="user:nobody", tool="search"),
            "plugin": lambda: engine.charge("user:nobody", amount=1),
        }
        with pytest.raises(PaymentRefused) as caught:
            work[verb]()
        error = caught.value
        assert type(error) is PayerRefused and isinstance(error, StateError)
        assert (error.code, error.field) == (status.ACCOUNT_NOT_FOUND, "payer")
        assert error.user_message.endswith(f"there is no account to pay for it. Open an account at {URL}, then try again.")
        assert "nobody" in error.message and "nobody" not in str(error) and str(error) == error.user_message
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is PayerRefused and vars(copied) == vars(error)


def test_a_frozen_payer_and_a_tool_that_is_off_are_refusals() -> None:
    with opened() as engine:
        engine.call("account.freeze", account="user:ana")
        with pytest.raises(PayerRefused) as frozen:
            engine.reserve("user:ana", "search")
        assert frozen.value.code == status.ACCOUNT_FROZEN
        engine.call("account.unfreeze", account="user:ana")
        engine.call("tool.disable", tool="search", account="user:ana")
        with pytest.raises(PayerRefused) as disabled:
            engine.reserve("user:ana", "search")
        assert disabled.value.user_message == (
            "The tool search was not run: the tool is not available. Use another tool."
        )


def test_what_is_the_programs_own_fault_is_no_refusal() -> None:
    with opened() as engine:
        for work in (
            lambda: engine.charge("user:ana", amount=1, payee="user:nobody"),
            lambda: engine.charge("user:ana", "absent"),
            lambda: engine.balance("user:nobody"),
        ):
            with pytest.raises(FareboxError) as caught:
                work()
            assert not isinstance(caught.value, PaymentRefused)
            assert caught.value.user_message == ""


def test_each_item_of_a_batch_says_whether_it_was_refused() -> None:
    with opened() as engine:
        receipts = engine.charge_many(
            [
                ChargeRequest("user:ana", amount=1),
                ChargeRequest("user:nobody", amount=1),
                ChargeRequest("user:ana", amount=1, payee="user:nobody"),
                ChargeRequest("user:ana", amount=100),
            ]
        )
        kinds = [type(receipt.error) for receipt in receipts]
        assert kinds == [type(None), PayerRefused, StateError, PaymentRefused]
        with pytest.raises(PayerRefused, match="no account to pay"):
            receipts[1].require()
        assert receipts[3].error is not None
        assert receipts[3].error.user_message == (
            "The payment was not made: the account does not have enough credit left. Add credit, then try again."
        )


def test_the_sentences_of_statuses_are_those_of_the_library() -> None:
    rows: list[dict[str, Any]] = describe()["refusals"]
    sentences: dict[int | None, str] = {}
    for row in rows:
        sentences.setdefault(row["code"], row["user_message"])
    assert sentences == status.REFUSALS
    refused = {code for code, row in status.STATUSES.items() if row.family == "refused"}
    assert refused <= set(status.REFUSALS)
    assert PaymentRefused(4711).user_message == status.REFUSALS[None]


@pytest.mark.parametrize("url", ["https://pay.example/a b", "https://pay.example/\n", "a" * 241, "\ud800"])
def test_a_payment_url_that_no_sentence_can_have_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        Farebox.open(tmp_path / "ledger", payment_url=url)
    assert caught.value.field.endswith("payment_url")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RequestError):
        Farebox.open(tmp_path / "ledger", payment_url=7)  # type: ignore[arg-type]


ASSETS = {"USD": 9, "EUR": 9, "JPY": 7, "credits": 7, "GEM": 0}


@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize("units", [0, 1, -1, 9, 10, 20_000_000, 2**63 - 1, -(2**63)])
def test_money_prints_its_digits(asset: str, units: int) -> None:
    from farebox.money import decimal_of

    scale = ASSETS[asset]
    value = decimal_of(units, scale)
    assert isinstance(value, Decimal) and value == Decimal(units).scaleb(-scale)
    plain = format(Decimal(units).scaleb(-scale).normalize(), "f")
    for text in (str(value), f"{value}", f"{value:f}", "%s" % value, "{:>1}".format(value)):
        assert text == plain and "E" not in text
    assert repr(value) == f"Decimal('{plain}')"
    assert hash(value) == hash(Decimal(plain))
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value and str(twin) == plain


def test_money_can_still_be_formatted_as_asked() -> None:
    from farebox.money import decimal_of

    value = decimal_of(1_234_567_891_000, 9)
    assert f"{value:.2f}" == "1234.57" and f"{value:,}" == "1,234.567891" and f"{value:>14}" == "   1234.567891"
    assert f"{value:e}" == format(Decimal("1234.567891"), "e")
    assert f"{decimal_of(9, 9):.3}" == "0.000000009" and f"{value:.3}" == "1230"


def test_receipts_quotes_and_balances_print_decimals() -> None:
    tiny = {"id": "t", "version": "1.0.0", "tools": [{"name": "t", "pricing": {"cost": "0.000000009", "per": "unit"}}]}
    with Farebox.open("memory:") as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", "9000000000.000000009")
        engine.register_skill(tiny)
        receipt = engine.charge("user:ana", "t", usage=1)
        quote = engine.price_tool("t", usage=1)
        balance = engine.balance("user:ana")
        hold = engine.reserve("user:ana", amount="0.000000001")
        for shown, digits in (
            (receipt, "amount=0.000000009, asset='USD', balance=9000000000, available=9000000000"),
            (quote, "total=0.000000009, asset='USD'"),
            (quote.lines[0], "rate=0.000000009, amount=0.000000009"),
            (balance, "balance=9000000000, held=0, credit_line=0, available=9000000000, asset='USD'"),
        ):
            for text in (repr(shown), str(shown), f"{shown}", f"{[shown]}"):
                assert digits in text and "E-" not in text and "E+" not in text, text
        assert "0.000000001 USD" in repr(hold)
        assert f"{receipt.amount} of {balance.balance}" == "0.000000009 of 9000000000"
        refused = engine.charge_many([ChargeRequest("user:ana", amount=10**9 * 9 + 1)])[0]
        assert repr(refused) == "Receipt(status=INSUFFICIENT_FUNDS)"
