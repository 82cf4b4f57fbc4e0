"""Wrappers around each kind of function: plain, coroutine, generator, async generator.

A wrapper refers to modules, and to functions and classes that can be imported, so that it can be pickled by value.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Callable

from . import _streams as streams
from . import context
from .context import CallScope

if TYPE_CHECKING:
    from ._metering import Meter

PLAIN = frozenset((type(None), str, int, float, bool, list, dict, tuple, bytes))
"""Types of results that are neither awaited nor consumed."""


def wrap(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the metered function, of the same kind and signature."""
    kind = function
    if not inspect.isroutine(function) and not isinstance(function, functools.partial):
        kind = type(function).__call__ if callable(function) else function
    if inspect.isasyncgenfunction(kind):
        wrapper = _async_generator(meter, function)
    elif inspect.iscoroutinefunction(kind):
        wrapper = _coroutine(meter, function)
    elif inspect.isgeneratorfunction(kind):
        wrapper = _generator(meter, function)
    else:
        wrapper = _function(meter, function)
    wrapper.__farebox__ = meter.pricing  # type: ignore[attr-defined]
    wrapper.__farebox_meter__ = meter  # type: ignore[attr-defined]
    return wrapper


def _function(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    begin, finish = meter.begin, meter.finish

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        scope = begin(args, kwargs)
        token = context.set_scope(scope)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            context.leave_scope(token)
            meter.broken(scope, streams.left(error))
            raise
        context.reset_scope(token)
        if type(result) in PLAIN:
            finish(scope, result)
            return result
        return going_on(meter, scope, result)

    return metered


def _coroutine(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    begin, finish = meter.begin, meter.finish

    @functools.wraps(function)
    async def metered(*args: Any, **kwargs: Any) -> Any:
        scope = await meter.begin_elsewhere(args, kwargs) if meter.waits() else begin(args, kwargs)
        token = context.set_scope(scope)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            context.leave_scope(token)
            await meter.broken_elsewhere(scope, streams.left(error), error)
            raise
        context.leave_scope(token)
        if type(result) not in PLAIN:
            stream = streams.stream_of(meter, scope, result)
            if stream is not None:
                return stream
        if scope.payment.engine._waits:
            await meter.finish_elsewhere(scope, result)
        else:
            finish(scope, result)
        return result

    return metered


def _generator(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        scope = meter.begin(args, kwargs)
        return (yield from streams.MeteredIterator(meter, scope, inside(meter, scope, function, args, kwargs)))

    return metered


def _async_generator(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def metered(*args: Any, **kwargs: Any) -> Any:
        scope = await meter.begin_elsewhere(args, kwargs) if meter.waits() else meter.begin(args, kwargs)
        stream = streams.MeteredAsyncIterator(meter, scope, inside(meter, scope, function, args, kwargs))
        # An async generator has no `yield from`.
        step, sent = stream.__anext__(), None
        while True:
            try:
                item = await step
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await stream.aclose()
                raise
            except BaseException as error:
                step = stream.athrow(error)
            else:
                step = stream.__anext__() if sent is None else stream.asend(sent)

    return metered


def inside(
    meter: Meter, scope: CallScope, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Makes the generator of a call that has begun."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        meter.broken(scope, streams.left(error))
        raise


def going_on(meter: Meter, scope: CallScope, result: Any) -> Any:
    """Ends a call that has returned a value, or follows the awaitable or the stream that it has returned."""
    if inspect.isawaitable(result):
        if isinstance(result, asyncio.Future):
            return asyncio.ensure_future(awaited(meter, scope, result, Guard(meter, scope)), loop=result.get_loop())
        if isinstance(result, (types.CoroutineType, types.GeneratorType)):
            return awaited(meter, scope, result, Guard(meter, scope))
        return MeteredAwaitable(meter, scope, result)
    stream = streams.stream_of(meter, scope, result)
    if stream is not None:
        return stream
    meter.finish(scope, result)
    return result


class Guard:
    """Ends a call as one that was left when its awaitable is dropped without having been awaited."""

    __slots__ = ("_meter", "_scope", "awaited")

    def __init__(self, meter: Meter, scope: CallScope) -> None:
        self._meter = meter
        self._scope = scope
        self.awaited = False

    def __del__(self) -> None:
        if not self.awaited and not self._scope.ended:
            self._meter.broken(self._scope, True)


async def awaited(meter: Meter, scope: CallScope, awaitable: Any, guard: Guard) -> Any:
    """Awaits what a plain function has returned, and ends its call."""
    guard.awaited = True
    token = context.set_scope(scope)
    try:
        result = await awaitable
    except BaseException as error:
        context.leave_scope(token)
        await meter.broken_elsewhere(scope, streams.left(error), error)
        raise
    context.leave_scope(token)
    stream = None if type(result) in PLAIN else streams.stream_of(meter, scope, result)
    if stream is not None:
        return stream
    await meter.finish_elsewhere(scope, result)
    return result


class MeteredAwaitable:
    """An awaitable object that a plain function has returned: awaited, or entered with ``async with``."""

    def __init__(self, meter: Meter, scope: CallScope, inner: Any) -> None:
        self._meter = meter
        self._scope = scope
        self._inner = inner
        self._guard = Guard(meter, scope)

    def __await__(self) -> Any:
        return awaited(self._meter, self._scope, self._inner, self._guard).__await__()

    async def __aenter__(self) -> Any:
        try:
            entered = await self._inner.__aenter__()
        except BaseException as error:
            await self._meter.broken_elsewhere(self._scope, streams.left(error), error)
            raise
        self._scope.delivered = True
        return entered

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            return await self._inner.__aexit__(kind, error, trace)
        finally:
            if error is None:
                await self._meter.finish_elsewhere(self._scope)
            else:
                await self._meter.broken_elsewhere(self._scope, True, error)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_inner", "_scope", "_meter", "_guard"):
            raise AttributeError(name)
        return getattr(self._inner, name)
