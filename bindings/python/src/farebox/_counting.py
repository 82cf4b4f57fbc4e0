"""Where a call's usage comes from: its arguments, counted as the price's unit says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Callable, Union

from . import _layout as layout
from . import _statuses as status
from .errors import RequestError
from .values import Usage

UnitsOf = Union[str, Callable[..., Usage]]
"""Where a call's usage comes from: an argument's name, or a callable of the tool's arguments."""

_INPUT_TOKENS = ("token", "tokens", "input_token", "input_tokens")
_CHARACTERS = ("character", "characters")


def estimate_tokens(*args: Any, **kwargs: Any) -> int:
    """Estimates the tokens of a call's input: the bytes of all text in its arguments as UTF-8, over four, rounded up.

    Text is a str or bytes, also inside lists, tuples, sets and mappings; other values count nothing.

    Units: tokens.
    Threads: any.
    """
    size = _text_size(args, _utf8_size) + _text_size(kwargs, _utf8_size, keys=False)
    return (size + 3) // 4


def counter_of(per: str, units: UnitsOf | None, parameters: list[inspect.Parameter]) -> Callable[..., Usage]:
    """Makes the function of a tool's arguments that gives the usage of a call.

    Errors: RequestError for an argument that the tool does not have.
    """
    given_by = units if callable(units) else None
    if isinstance(units, str):
        names = {parameter.name for parameter in parameters}
        if units not in names:
            raise RequestError(status.INVALID_ARGUMENT, f"The tool has no argument {units!r}.", field="units")
        given_by = argument(units, parameters)
    meter_name = meter_of(per)

    def count(*args: Any, **kwargs: Any) -> Usage:
        if given_by is None:
            if per in _INPUT_TOKENS:
                return {meter_name: estimate_tokens(*args, **kwargs)}
            if per in _CHARACTERS:
                return {meter_name: _text_size(args, len) + _text_size(kwargs, len, keys=False)}
            return {meter_name: 0 if meter_name.endswith("_tokens") or meter_name == "value" else 1}
        given: Any = given_by(*args, **kwargs)
        if callable(units):  # it gives a usage; an argument may also be what is to be measured
            return given if isinstance(given, Mapping) else {meter_name: given}
        if isinstance(given, (int, float, Decimal)):
            return {meter_name: given}
        if per in _INPUT_TOKENS:
            return {meter_name: estimate_tokens(given)}
        if per in _CHARACTERS:
            return {meter_name: _text_size(given, len)}
        try:
            return {meter_name: len(given)}
        except TypeError:
            raise RequestError(
                status.INVALID_ARGUMENT, f"{type(given).__name__} is not a usage.", field="units"
            ) from None

    return count


def meter_of(per: str) -> str:
    """Names the meter that counts one of ``per``: its own, ``input_tokens`` for tokens, ``units`` for anything else."""
    if per in _INPUT_TOKENS:
        return "input_tokens"
    for meter_name in layout.METERS:
        if per in (meter_name, meter_name[:-1]):
            return meter_name
    return "units"


def price_per(per: str) -> str:
    """Names ``per`` as a price does, where a unit has no name of its own."""
    return per if per in ("token", "tokens") or meter_of(per) != "units" else "unit"


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Returns the parameters of a callable, none where it does not tell them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def argument(name: str, parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """Makes a function of a tool's arguments that gives one of them, without binding the others."""
    position, parameter = next((place, one) for place, one in enumerate(parameters) if one.name == name)
    positional = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    default = parameter.default

    def value(*args: Any, **kwargs: Any) -> Any:
        if positional and position < len(args):
            return args[position]
        if name in kwargs:
            return kwargs[name]
        if default is not parameter.empty:
            return default
        raise TypeError(f"missing argument: {name!r}")

    return value


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _text_size(value: Any, size: Callable[[str], int], keys: bool = True) -> int:
    if isinstance(value, str):
        return size(value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, Mapping):
        total = sum(_text_size(item, size) for item in value.values())
        return total + sum(_text_size(key, size) for key in value) if keys else total
    if isinstance(value, (list, tuple, set, frozenset)):
        return sum(_text_size(item, size) for item in value)
    return 0
