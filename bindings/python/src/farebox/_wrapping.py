"""Wrappers around each kind of function: plain, coroutine, generator, async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable

from .context import CallScope, scope_variable

if TYPE_CHECKING:
    from ._metering import Meter

_set_scope = scope_variable.set
_reset_scope = scope_variable.reset


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
    return wrapper


def _function(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    begin, finish, abort = meter.begin, meter.finish, meter.abort

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        scope = begin(args, kwargs)
        token = _set_scope(scope)
        try:
            result = function(*args, **kwargs)
        except BaseException:
            _reset_scope(token)
            abort(scope)
            raise
        _reset_scope(token)
        if hasattr(type(result), "__await__"):
            return _awaited(meter, scope, result)
        finish(scope, result)
        return result

    return metered


async def _awaited(meter: Meter, scope: CallScope, awaitable: Awaitable[Any]) -> Any:
    token = _set_scope(scope)
    try:
        result = await awaitable
    except BaseException:
        _leave(token)
        meter.abort(scope)
        raise
    _leave(token)
    meter.finish(scope, result)
    return result


def _coroutine(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    begin, finish, abort = meter.begin, meter.finish, meter.abort

    @functools.wraps(function)
    async def metered(*args: Any, **kwargs: Any) -> Any:
        scope = begin(args, kwargs)
        token = _set_scope(scope)
        try:
            result = await function(*args, **kwargs)
        except BaseException:
            _leave(token)
            abort(scope)
            raise
        _leave(token)
        finish(scope, result)
        return result

    return metered


def _generator(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        scope = meter.begin(args, kwargs)
        try:
            inner = _inside(scope, function, *args, **kwargs)
            item = _inside(scope, next, inner)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    _inside(scope, inner.close)
                    meter.finish(scope)
                    scope.settled = True
                    raise
                except BaseException as error:
                    item = _inside(scope, inner.throw, error)
                else:
                    item = _inside(scope, inner.send, sent)
        except StopIteration as stop:
            meter.finish(scope, stop.value)
            return stop.value
        except BaseException:
            meter.abort(scope)
            raise

    return metered


def _async_generator(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def metered(*args: Any, **kwargs: Any) -> Any:
        scope = meter.begin(args, kwargs)
        try:
            inner = _inside(scope, function, *args, **kwargs)
            item = await _inside_async(scope, inner.__anext__)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await _inside_async(scope, inner.aclose)
                    meter.finish(scope)
                    scope.settled = True
                    raise
                except BaseException as error:
                    item = await _inside_async(scope, inner.athrow, error)
                else:
                    item = await _inside_async(scope, inner.asend, sent)
        except StopAsyncIteration:
            meter.finish(scope)
        except BaseException:
            meter.abort(scope)
            raise

    return metered


def _inside(scope: CallScope, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = _set_scope(scope)
    try:
        return step(*args, **kwargs)
    finally:
        _reset_scope(token)


async def _inside_async(scope: CallScope, step: Callable[..., Any], *args: Any) -> Any:
    token = _set_scope(scope)
    try:
        return await step(*args)
    finally:
        _leave(token)


def _leave(token: Any) -> None:
    try:
        _reset_scope(token)
    except ValueError:  # the coroutine was closed from another context, which never saw the scope
        pass
