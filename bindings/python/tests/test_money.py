"""Decimal text at the edge: exact both ways, or refused."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest

from farebox import RequestError
from farebox import _statuses as status
from farebox.money import decimal_of, text_of, to_units


@pytest.mark.parametrize(
    ("value", "scale", "units"),
    [
        (0.02, 9, 20_000_000),
        (0.001, 9, 1_000_000),
        (0.1, 9, 100_000_000),
        (0.70, 9, 700_000_000),
        (1e-9, 9, 1),
        (1e3, 2, 100_000),
        ("1e3", 2, 100_000),
        ("2.5E-3", 9, 2_500_000),
        ("0.02", 9, 20_000_000),
        ("-1.5", 1, -15),
        ("10.500000000000", 2, 1050),
        (Decimal("1E+3"), 2, 100_000),
        (Decimal("0E-50"), 2, 0),
        (7, 7, 70_000_000),
        (-7, 0, -7),
        (2**63 - 1, 0, 2**63 - 1),
        (-(2**63), 0, -(2**63)),
        ("9223372036.854775807", 9, 2**63 - 1),
        (0.0, 9, 0),
        (-0.0, 9, 0),
    ],
)
def test_an_amount_becomes_atomic_units_exactly(value: Any, scale: int, units: int) -> None:
    assert to_units(value, scale) == units
    with localcontext() as context:  # the caller's context changes nothing
        context.prec = 2
        assert to_units(value, scale) == units


@pytest.mark.parametrize(
    ("value", "scale", "code"),
    [
        (0.1 + 0.2, 9, status.TOO_PRECISE),
        ("0.0000000001", 9, status.TOO_PRECISE),
        (Decimal("1e-400000"), 9, status.TOO_PRECISE),
        (Decimal(0.02), 9, status.TOO_PRECISE),
        (0.5, 0, status.TOO_PRECISE),
        (Decimal("1." + "0" * 200 + "1"), 9, status.TOO_PRECISE),
        ("9223372036.854775808", 9, status.OVERFLOW),
        (2**63, 0, status.OVERFLOW),
        (10**400, 9, status.OVERFLOW),
        (Decimal("1e999999"), 9, status.OVERFLOW),
        (1e300, 9, status.OVERFLOW),
        (float("nan"), 9, status.INVALID_AMOUNT),
        (float("-inf"), 9, status.INVALID_AMOUNT),
        (Decimal("NaN"), 9, status.INVALID_AMOUNT),
        (Decimal("sNaN"), 9, status.INVALID_AMOUNT),
        (True, 9, status.INVALID_AMOUNT),
        (None, 9, status.INVALID_AMOUNT),
        (b"1", 9, status.INVALID_AMOUNT),
        ("", 9, status.INVALID_AMOUNT),
        (" 1", 9, status.INVALID_AMOUNT),
        ("1_000", 9, status.INVALID_AMOUNT),
        ("1,5", 9, status.INVALID_AMOUNT),
        ("1e", 9, status.INVALID_AMOUNT),
        ("1e400", 9, status.OVERFLOW),
        ("\u0661", 9, status.INVALID_AMOUNT),
        ("NaN", 9, status.INVALID_AMOUNT),
        ("9" * 50, 9, status.INVALID_AMOUNT),
    ],
)
def test_what_is_not_a_whole_number_of_units_is_refused(value: Any, scale: int, code: int) -> None:
    with pytest.raises(RequestError) as caught:
        to_units(value, scale, "max_cost")
    assert caught.value.code == code
    assert caught.value.field == "max_cost"


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [
        (20_000_000, 9, "0.02"),
        (10_000_000_000, 9, "10"),
        (0, 9, "0"),
        (-1, 9, "-0.000000001"),
        (2**63 - 1, 9, "9223372036.854775807"),
        (-(2**63), 0, "-9223372036854775808"),
        (1200, 0, "1200"),
    ],
)
def test_units_become_a_decimal_exactly(units: int, scale: int, text: str) -> None:
    assert format(decimal_of(units, scale), "f") == text
    assert to_units(decimal_of(units, scale), scale) == units
    with localcontext() as context:
        context.prec = 2
        assert format(decimal_of(units, scale), "f") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.02, "0.02"),
        (1e-07, "0.0000001"),
        (1e16, "10000000000000000"),
        (Decimal("1E+2"), "100"),
        (3, "3"),
        ("7.0", "7.0"),
    ],
)
def test_text_for_the_json_door_keeps_every_digit(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_text_of_a_monstrous_exponent_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        text_of(Decimal("1e999999"))
    assert caught.value.code == status.OVERFLOW
