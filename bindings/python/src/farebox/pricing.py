"""``@pricing`` and ``meter``: tools that are reserved, run and captured.

The decorator decides nothing about money. It registers the tool's price with the engine, holds money before the tool
runs, and captures or releases it afterwards.
"""

from __future__ import annotations

from typing import Any, Callable, TypeVar, cast, overload

from ._counting import UnitsOf, estimate_tokens
from ._metering import Cost, EngineOf, Meter, PayerOf, ToolPricing
from ._wrapping import wrap
from .money import Money
from .values import Usage

__all__ = ["ToolPricing", "estimate_tokens", "is_failed_result", "meter", "pricing"]

F = TypeVar("F", bound=Callable[..., Any])


def is_failed_result(result: Any) -> bool:
    """Whether a tool's result says that it failed, as MCP results do with ``isError`` or ``is_error``.

    Threads: any.
    """
    return getattr(result, "isError", False) is True or getattr(result, "is_error", False) is True


@overload
def pricing(function: F, /) -> F: ...


@overload
def pricing(
    cost: None | Money = None,
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
    units: UnitsOf | None = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = None,
    hold_seconds: float | None = None,
    over_capture: str | None = None,
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
    units: UnitsOf | None = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = None,
    hold_seconds: float | None = None,
    over_capture: str | None = None,
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
    units: UnitsOf | None = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = None,
    hold_seconds: float | None = None,
    over_capture: str | None = None,
    durability: str | None = None,
) -> Any:
    """Declares what a tool costs, and meters it: reserve, call, capture; release if it raises.

    Works on functions and methods, sync, async, generators and async generators; the signature stays. A refused call
    raises PaymentRefused before the function runs.

    ``cost`` is the price for one of ``per``: ``"request"``, ``"token"`` (counted from the arguments' text by
    ``estimate_tokens``), ``"character"``, ``"unit"`` or the name of another unit (counted by ``units``, else 1). A
    callable ``cost`` is called with the tool's arguments for each call and gives the amount. Without a cost the tool's
    price is what a manifest registered under its name.
    ``units`` names the argument that holds the usage (a number, or text or a collection to measure), or is a callable
    of the tool's arguments. ``farebox.record_usage`` inside the tool, or ``measure`` of its result, replaces the
    estimate; with ``max_cost``, exactly that is held until then.
    ``revenue_share`` is the part of the price that ``owner`` (an account) receives; the rest is the platform's.
    ``payer`` is an account, the name of the argument that holds it, or a callable of the tool's arguments; without it
    the context pays (``Farebox.paying``). ``engine`` likewise. ``failed`` tells a result that is a failure, which
    releases. ``over_capture`` is ``"overflow"``, or ``"cap"`` where there is a ``max_cost``. ``durability`` is that
    of the capture; the hold has the engine's ``hold_durability``.

    A generator is held at its first ``next`` and captured when it ends; closing it early captures too, since the work
    has begun: a flat price in full, otherwise what was recorded, or else the estimate.

    Units: major units of ``currency``; ``hold_seconds`` in seconds (default 900).
    Threads: the decorated function may run in any number of threads and tasks at once.
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
            units=units,
            engine=engine,
            payer=payer,
            measure=measure,
            failed=failed,
            hold_seconds=hold_seconds,
            over_capture=over_capture,
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
    units: UnitsOf | None = None,
    engine: EngineOf = None,
    payer: PayerOf = None,
    measure: Callable[[Any], Usage | None] | None = None,
    failed: Callable[[Any], bool] | None = is_failed_result,
    hold_seconds: float | None = None,
    over_capture: str | None = None,
    durability: str | None = None,
) -> F:
    """Meters a tool written by others: the same as ``@pricing``, around any callable.

    Partial functions, bound methods and callables that return an awaitable are metered too; ``name`` is needed where
    the callable has none. A result that says it failed releases the hold (``failed``, by default ``is_failed_result``).

    Units, threads, errors: as ``pricing``.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = function.__func__
        wrapped: Any = type(function)
    else:
        inner = function
        wrapped = None
    tool = Meter(
        inner,
        cost=cost,
        currency=currency,
        per=per,
        max_cost=max_cost,
        description=description,
        category=category,
        revenue_share=revenue_share,
        owner=owner,
        name=name,
        units=units,
        engine=engine,
        payer=payer,
        measure=measure,
        failed=failed,
        hold_seconds=hold_seconds,
        over_capture=over_capture,
        durability=durability,
    )
    result = wrap(tool, inner)
    return cast(F, wrapped(result) if wrapped is not None else result)
