"""``@pricing`` and ``meter``: tools that are charged when they are called.

The decorator decides nothing about money. It registers the tool's price with the engine, begins a metered call before
the tool runs, and tells the engine how the call ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, TypeVar, cast, overload

from ._counting import UnitsOf, estimate_tokens
from ._metering import Cost, EngineOf, Meter, ModelOf, PayerOf, ToolPricing, is_failed_result
from ._wrapping import wrap
from .money import Money
from .values import Usage

__all__ = ["ToolPricing", "estimate_tokens", "is_failed_result", "meter", "pricing"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def pricing(function: F, /) -> F: ...


@overload
def pricing(
    cost: None | Money | Mapping[str, Money] = None,
    /,
    currency: str = "USD",
    per: str = "request",
    max_cost: Money | None = None,
    description: str | None = None,
    category: str | None = None,
    revenue_share: Money | None = None,
    *,
    owner: str | None = None,
    name: str | None = None,
    skill: str | None = None,
    units: UnitsOf | None = None,
    rates: str | None = None,
    model: ModelOf = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = is_failed_result,
    hold_seconds: float | None = None,
    charge_afterwards: bool = False,
    release_unreported: bool = False,
    durability: str | None = None,
) -> Callable[[F], F]: ...


@overload
def pricing(
    *,
    cost: Cost,
    currency: str = "USD",
    per: str = "request",
    max_cost: Money | None = None,
    description: str | None = None,
    category: str | None = None,
    revenue_share: Money | None = None,
    owner: str | None = None,
    name: str | None = None,
    skill: str | None = None,
    units: UnitsOf | None = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = is_failed_result,
    hold_seconds: float | None = None,
    charge_afterwards: bool = False,
    release_unreported: bool = False,
    durability: str | None = None,
) -> Callable[[F], F]: ...


def pricing(
    first: Any = None,
    /,
    currency: str = "USD",
    per: str = "request",
    max_cost: Money | None = None,
    description: str | None = None,
    category: str | None = None,
    revenue_share: Money | None = None,
    *,
    cost: Cost | None = None,
    owner: str | None = None,
    name: str | None = None,
    skill: str | None = None,
    units: UnitsOf | None = None,
    rates: str | None = None,
    model: ModelOf = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = is_failed_result,
    hold_seconds: float | None = None,
    charge_afterwards: bool = False,
    release_unreported: bool = False,
    durability: str | None = None,
) -> Any:
    """Declares what a tool costs and meters it: each call is held, run and charged, or released if it fails.

    Works on functions and methods, sync, async, generators and async generators. The signature stays. A refused call
    raises PaymentRefused before the function runs.

    ``cost`` is the price for one of ``per``: ``"request"``, ``"token"`` (counted from the arguments' text by
    ``estimate_tokens``), ``"character"``, ``"unit"`` or the name of another unit (counted by ``units``, else 1). A
    mapping prices several meters: ``cost={"input_token": "0.000003", "output_token": "0.000015"}``. A callable is called
    with the tool's arguments for each call and gives the amount. Without a cost, the tool's price is what a manifest
    registered under its name.
    ``rates`` names a rate card: ``rates="llm"`` charges the rate ``llm/<model>``. ``model`` names the argument that holds
    the model, or is a callable of the tool's arguments. Without it, or where it gives None, the result's ``model`` counts
    and ``max_cost`` is held until then.
    ``max_cost`` limits every call. A price by usage that cannot be estimated from the arguments needs it: exactly that
    is held. ``charge_afterwards=True`` allows such a price without a maximum: nothing is held, and the call is charged
    what the payer can pay when it ends.
    ``units`` names the argument that holds the usage (a number, or text or a collection to measure), or is a callable
    of the tool's arguments. ``farebox.record_usage`` inside the tool, or else ``measure`` of its result (of a stream, its
    last item), replaces the estimate. Usage that is never reported is charged as held; ``release_unreported=True``
    releases instead.
    ``revenue_share`` is the part of the price that ``owner`` (an account) receives; the rest is the platform's.
    ``skill`` names the skill that the tool belongs to; by default it follows from the function's file and name.
    ``payer`` is an account, the name of the argument that holds it, or a callable of the tool's arguments. Without it
    the context pays (``Farebox.paying``). ``engine`` likewise. ``failed`` tells a result that is a failure, which costs
    nothing; by default ``is_failed_result``. ``durability`` is that of the charge; the hold has the engine's
    ``hold_durability``.

    A result that is a stream is metered to its end, whatever the function looks like: any iterator or async iterator.
    ``docs/metered-calls.md`` says what each ending costs.

    Units: major units of ``currency``; ``hold_seconds`` in seconds (default 900).
    Threads: the decorated function may run in any number of threads and tasks at once. A coroutine does not block the
    event loop while it waits for the store.
    Errors: RequestError at decoration for what cannot be read; PaymentRefused, StateError, StoreError at a call.
    """

    def decorate(function: F) -> F:
        return meter(
            function,
            cost=cost if callable(first) or first is None else first,
            currency=currency,
            per=per,
            max_cost=max_cost,
            description=description,
            category=category,
            revenue_share=revenue_share,
            owner=owner,
            name=name,
            skill=skill,
            units=units,
            rates=rates,
            model=model,
            engine=engine,
            payer=payer,
            measure=measure,
            failed=failed,
            hold_seconds=hold_seconds,
            charge_afterwards=charge_afterwards,
            release_unreported=release_unreported,
            durability=durability,
        )

    if isinstance(first, (staticmethod, classmethod)) or callable(first):
        return decorate(first)
    return decorate


def meter(
    function: F,
    *,
    cost: Cost | None = None,
    currency: str = "USD",
    per: str = "request",
    max_cost: Money | None = None,
    description: str | None = None,
    category: str | None = None,
    revenue_share: Money | None = None,
    owner: str | None = None,
    name: str | None = None,
    skill: str | None = None,
    units: UnitsOf | None = None,
    rates: str | None = None,
    model: ModelOf = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = is_failed_result,
    hold_seconds: float | None = None,
    charge_afterwards: bool = False,
    release_unreported: bool = False,
    durability: str | None = None,
) -> F:
    """Meters a tool written by others: the same as ``@pricing``, around any callable.

    Partial functions, bound methods and callables that return an awaitable or a stream are metered too; ``name`` is
    needed where the callable has none.

    Units, threads, errors: as ``pricing``.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = function.__func__
        wrapped: Any = type(function)
    else:
        inner = function
        wrapped = None
    options = {
        "cost": cost,
        "currency": currency,
        "per": per,
        "max_cost": max_cost,
        "description": description,
        "category": category,
        "revenue_share": revenue_share,
        "owner": owner,
        "name": name,
        "units": units,
        "rates": rates,
        "model": model,
        "engine": engine,
        "payer": payer,
        "measure": measure,
        "failed": failed,
        "hold_seconds": hold_seconds,
        "charge_afterwards": charge_afterwards,
        "release_unreported": release_unreported,
        "durability": durability,
    }
    result = wrap(Meter(inner, skill, options), inner)
    return cast(F, wrapped(result) if wrapped is not None else result)
