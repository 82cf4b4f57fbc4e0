"""Where a call's usage comes from before it runs: its arguments, counted as the price's unit says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Callable, Union

from . import _layout as layout
from . import _statuses as status
from ._text import text_size, utf8_size
from .errors import RequestError
from .values import Usage

UnitsOf = Union[str, Callable[..., Union[Usage, None]]]
"""Where a call's usage comes from: an argument's name, or a callable of the tool's arguments."""

_INPUT_TOKENS = ("token", "tokens", "input_token", "input_tokens")
_CHARACTERS = ("character", "characters")
_TEXTS: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(_CHARACTERS, len),
    **dict.fromkeys(("byte", "bytes"), utf8_size),
    **dict.fromkeys(("word", "words"), lambda text: len(text.split())),
}
"""Units that text itself is measured in."""

_NUMBER = re.compile(r"\s*([0-9]+(\.[0-9]+)?)\s*", re.ASCII)


def estimate_tokens(*args: Any, **kwargs: Any) -> int:
    """Estimates the tokens of a call's input: the bytes of all text in its arguments as UTF-8, over four, rounded up.

    Text is a str or bytes, also inside mappings (with their keys), collections, dataclasses, models and objects. Other
    values count nothing.

    Units: tokens.
    Threads: any.
    Errors: RequestError for what may hold text and cannot be read, such as a generator or a file.
    """
    size = text_size(args, utf8_size) + text_size(list(kwargs.values()), utf8_size)
    return (size + 3) // 4


def counter_of(
    per: str, units: UnitsOf | None, parameters: list[inspect.Parameter], skipped: bool = False
) -> Callable[..., Usage | None]:
    """Makes the function of a tool's arguments that gives the usage of a call, or None where it cannot be known before.

    ``skipped`` says that the first argument is ``self`` or ``cls``, which holds no text.

    Errors: RequestError for an argument that the tool does not have.
    """
    meter_name = meter_of(per)
    if units is None:
        return _counted(per, meter_name, 1 if skipped else 0)
    if callable(units):
        asked = units

        def called(*args: Any, **kwargs: Any) -> Usage | None:
            given = asked(*args, **kwargs)
            return given if given is None or isinstance(given, Mapping) else {meter_name: given}

        return called
    if units not in {parameter.name for parameter in parameters}:
        raise RequestError(status.INVALID_ARGUMENT, f"The tool has no argument {units!r}.", field="units")
    name, value_of = units, argument(units, parameters)

    def read(*args: Any, **kwargs: Any) -> Usage | None:
        given = _measured(value_of(*args, **kwargs), per, name)
        return None if given is None else {meter_name: given}

    return read


def _counted(per: str, meter_name: str, skip: int) -> Callable[..., Usage | None]:
    """Counts the text of all arguments, or one unit; tokens that the tool makes are not known before it runs."""

    def tokens(*args: Any, **kwargs: Any) -> Usage:
        return {meter_name: estimate_tokens(*args[skip:], **kwargs)}

    def texts(*args: Any, **kwargs: Any) -> Usage:
        size = _TEXTS[per]
        return {meter_name: text_size(args[skip:], size) + text_size(list(kwargs.values()), size)}

    def one(*args: Any, **kwargs: Any) -> Usage:
        return {meter_name: 1}

    def unknown(*args: Any, **kwargs: Any) -> None:
        return None

    if per in _INPUT_TOKENS:
        return tokens
    if per in _CHARACTERS:
        return texts
    return unknown if meter_name.endswith("_tokens") or meter_name == "value" else one


def _measured(value: Any, per: str, name: str) -> Any:
    """Reads the argument that ``units`` names: a number, or what is to be measured."""
    if value is None or isinstance(value, (int, float, Decimal)):
        return value
    if per in _INPUT_TOKENS:
        return estimate_tokens(value)
    size = _TEXTS.get(per)
    if size is not None:
        return text_size(value, size)
    if isinstance(value, str):
        number = _NUMBER.fullmatch(value)
        if number is None:
            raise RequestError(
                status.INVALID_ARGUMENT,
                f"The argument {name!r} is a number of {per}, and {value[:40]!r} is not one.",
                field="units",
            )
        return number.group(1)
    if getattr(value, "shape", None) == () or not hasattr(type(value), "__len__"):
        if hasattr(type(value), "__index__") or hasattr(type(value), "__float__"):
            return value  # a number of NumPy
    else:
        return len(value)
    raise RequestError(
        status.INVALID_ARGUMENT,
        f"The argument {name!r} gives the number of {per}, and a {type(value).__name__} has none.",
        field="units",
    )


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
    signature = signature_of(function)
    return [] if signature is None else list(signature.parameters.values())


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Returns the signature of a callable, or None where it does not tell it."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def argument(name: str, parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """Makes a function of a tool's arguments that gives one of them, without binding the others."""
    position, parameter = next((place, one) for place, one in enumerate(parameters) if one.name == name)
    positional = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    default = parameter.default
    named = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}

    def value(*args: Any, **kwargs: Any) -> Any:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return args[position:]
        if parameter.kind is parameter.VAR_KEYWORD:
            return {key: item for key, item in kwargs.items() if key not in named}
        if positional and position < len(args):
            return args[position]
        if name in kwargs:
            return kwargs[name]
        if default is not parameter.empty:
            return default
        raise TypeError(f"missing argument: {name!r}")

    return value
