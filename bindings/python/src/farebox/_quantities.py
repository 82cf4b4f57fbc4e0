"""Quantities as text: what a caller gives as a number, written so that the library reads every digit of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import _statuses as status
from .errors import RequestError

if TYPE_CHECKING:
    from .values import Quantity, Usage

__all__ = ["quantity_form", "usage_json", "usage_texts"]

_BITS_MAX = 1024
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def usage_texts(usage: Usage | None, meters: Mapping[str, Quantity | None]) -> list[bytes]:
    """Writes a usage as the JSON texts that ``farebox_record`` adds up; none where nothing is given.

    Errors: RequestError for what is not a number or not a mapping of meters.
    """
    texts: list[bytes] = []
    if usage is not None:
        texts.append(usage_json(usage))
    if meters:
        texts.append(usage_json(meters))
    return texts


def usage_json(usage: Usage | Mapping[str, Quantity | None]) -> bytes:
    """Writes counts by meter, or a number of units, as JSON."""
    if isinstance(usage, Mapping):
        form: dict[str, Any] = {}
        for meter, quantity in usage.items():
            if not isinstance(meter, str):
                raise RequestError(status.INVALID_ARGUMENT, "The name of a meter is a str.", field="usage")
            form[meter] = quantity_form(quantity, f"usage.{meter}")
    else:
        form = {"units": quantity_form(usage, "usage")}
    return json.dumps(form).encode("ascii")


def quantity_form(value: Any, field: str) -> int | str | bool | None:
    """Returns the JSON form of a number: an int, or a str with every digit; the library judges its value.

    Errors: RequestError for what is no number at all.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return _whole(value, field)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() and -60 < value.adjusted() < 60 else str(value)
    if isinstance(value, float):
        return repr(float(value))
    kind = type(value)
    if kind.__name__ in ("bool", "bool_"):  # NumPy's
        return bool(value)
    if hasattr(kind, "__index__"):
        try:
            return _whole(value.__index__(), field)
        except TypeError:
            pass  # an array of floats, which says so
    if hasattr(kind, "__float__"):
        shortest = str(value)  # a float32 has fewer digits than the float it becomes
        try:
            return shortest if _NUMBER.fullmatch(shortest) else repr(float(value))
        except (TypeError, ValueError):
            pass
    raise RequestError(status.INVALID_ARGUMENT, f"A usage is a number, not {kind.__name__}.", field=field)


def _whole(value: int, field: str) -> int:
    if value.bit_length() > _BITS_MAX:  # Python refuses to write numbers of thousands of digits
        raise RequestError(status.OVERFLOW, "The usage does not fit into 64 bits.", field=field)
    return int(value)
