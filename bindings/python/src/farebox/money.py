"""Decimal text at the edge: exact conversion between decimal amounts and the engine's atomic units.

No price, split or rounding is computed here. An amount either is a whole number of atomic units or is refused.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from typing import Any, Union

from . import _statuses as status
from .errors import RequestError

__all__ = ["Money", "decimal_of", "text_of", "to_decimal", "to_units"]

Money = Union[Decimal, int, str, float]
"""What an amount may be given as; a float counts as the digits that ``repr`` prints, never as its binary value."""

UNITS_MAX = 2**63 - 1

_PLAIN = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_TYPES = tuple("eEfFgGn%")
_EXACT = Context(prec=100, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation, Inexact])


def to_decimal(value: Money, field: str = "amount") -> Decimal:
    """Reads an amount as the exact decimal that was typed.

    Units: major units of an asset. A float is read by its shortest text: ``0.02`` is 2/100.
    Errors: RequestError INVALID_AMOUNT for NaN, infinity, booleans, other types and text that is not a plain decimal.
    """
    if isinstance(value, Decimal):
        if value.is_finite():
            return value
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int):
        return Decimal(value)
    elif isinstance(value, str):
        if _PLAIN.fullmatch(value):
            return Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(float(value)))
        if number.is_finite():
            return number
    raise RequestError(
        status.INVALID_AMOUNT,
        "An amount is a finite Decimal, int, float or plain decimal text such as '0.02'.",
        field=field,
    )


def to_units(value: Money, scale: int, field: str = "amount") -> int:
    """Converts an amount into atomic units, exactly.

    Units: major units in, atomic units (10^-scale) out.
    Errors: RequestError INVALID_AMOUNT, TOO_PRECISE (more digits than the scale), OVERFLOW (64 bits).
    """
    units: int
    if type(value) is int:
        units = value * 10**scale
    else:
        number = to_decimal(value, field)
        if not number:
            return 0
        if not -100 < number.adjusted() < 40:
            raise _overflow(field) if number.adjusted() > 0 else _too_precise(scale, field)
        try:
            scaled = number.scaleb(scale, _EXACT)
        except Inexact:
            raise _too_precise(scale, field) from None
        units = int(scaled)
        if units != scaled:
            raise _too_precise(scale, field)
    if not -UNITS_MAX - 1 <= units <= UNITS_MAX:
        raise _overflow(field)
    return units


class PlainDecimal(Decimal):
    """A Decimal that prints its digits: ``0.000000009`` where a Decimal prints ``9E-9``.

    It is equal to the Decimal of the same value and may be used like one; what is computed from it is a Decimal.

    Threads: immutable.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return Decimal.__format__(self, "f")

    def __repr__(self) -> str:
        return f"Decimal('{self}')"

    def __format__(self, specifier: str, *rest: Any) -> str:
        if specifier[-1:] in _TYPES:
            return super().__format__(specifier, *rest)
        layout, point, digits = specifier.partition(".")
        if not point or not digits:
            return super().__format__(f"{specifier}f", *rest)
        # Without a type, the precision counts significant digits.
        rounded = Context(prec=max(1, int(digits))).plus(Decimal(self))
        return Decimal.__format__(rounded, f"{layout}f", *rest)


def decimal_of(units: int, scale: int) -> Decimal:
    """Converts atomic units into a decimal without trailing zeros, exactly; it prints all its digits.

    Units: atomic units in, major units out.
    """
    if units == 0:
        return PlainDecimal(0)
    number = PlainDecimal(_EXACT.scaleb(Decimal(units), -scale).normalize(_EXACT))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent > 0:
        return PlainDecimal(number.quantize(Decimal(1), context=_EXACT))
    return number


def text_of(value: Money, field: str = "amount") -> str:
    """Writes an amount as plain decimal text for the JSON door, every digit kept.

    Errors: RequestError INVALID_AMOUNT as in ``to_decimal``, OVERFLOW for magnitudes no asset can hold.
    """
    number = to_decimal(value, field)
    if number and not -60 < number.adjusted() < 60:
        raise _overflow(field)
    return format(number, "f")


def _overflow(field: str) -> RequestError:
    return RequestError(status.OVERFLOW, "The amount does not fit into 64 bits of atomic units.", field=field)


def _too_precise(scale: int, field: str) -> RequestError:
    return RequestError(status.TOO_PRECISE, f"The amount has more than the {scale} digits of its asset.", field=field)
