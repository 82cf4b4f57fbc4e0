"""Results that are streams: metered to their end, however they are consumed.

A stream is what a result is: an object that is its own iterator, or any asynchronous iterable. A list, a mapping or a
file is a value.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import types
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Callable

from . import context
from .context import CallScope

if TYPE_CHECKING:
    from ._metering import Meter

__all__ = ["MeteredAsyncIterator", "MeteredIterator", "left", "stream_of"]


def stream_of(meter: Meter, scope: CallScope, result: Any) -> Any:
    """Returns the metered stream of a result, of the same kind; None for a value."""
    kind = type(result)
    if hasattr(kind, "__anext__"):
        stream = MeteredAsyncIterator(meter, scope, result)
        return _async_generator(stream) if isinstance(result, types.AsyncGeneratorType) else stream
    if hasattr(kind, "__aiter__"):
        return MeteredAsyncIterable(meter, scope, result)
    if hasattr(kind, "__next__") and hasattr(kind, "__iter__") and not isinstance(result, io.IOBase):
        iterator = MeteredIterator(meter, scope, result)
        return _generator(iterator) if isinstance(result, types.GeneratorType) else iterator
    return None


def left(error: BaseException) -> bool:
    """Whether an exception says that the consumer does not wait any longer, rather than that the tool failed."""
    if isinstance(error, (Exception, KeyboardInterrupt, SystemExit)):
        return False
    if isinstance(error, asyncio.CancelledError):
        loop = asyncio._get_running_loop()
        task = None if loop is None else asyncio.current_task(loop)
        cancelling: Callable[[], int] | None = getattr(task, "cancelling", None)  # Python 3.11 and later
        if cancelling is not None and cancelling() == 0:
            return False  # something inside the tool was cancelled, and not its consumer
    return True


def _generator(stream: MeteredIterator) -> Generator[Any, Any, Any]:
    return (yield from stream)


async def _async_generator(stream: MeteredAsyncIterator) -> AsyncGenerator[Any, Any]:
    step = stream.__anext__()
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


class _Stream:
    """What both kinds of streams have in common: the object itself, its call, and the scope that its body is in."""

    def __init__(self, meter: Meter, scope: CallScope, inner: Any) -> None:
        self._meter = meter
        self._scope = scope
        self._inner = inner
        self._inside: context.Scope | None = scope

    def _leave(self, token: Any) -> None:
        # What the body has entered and not left, such as `with engine.paying()`, is there again at its next step.
        self._inside = context.get_scope()
        context.leave_scope(token)

    def _delivered(self, item: Any) -> Any:
        self._scope.delivered = True
        if self._meter.looks:
            self._scope.last = item
        return item

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_inner", "_scope", "_meter", "_inside"):
            raise AttributeError(name)
        value = getattr(self._inner, name)
        if callable(value) and not name.startswith("_"):
            self._scope.delivered = True  # the consumer reads it in a way of its own
        return value

    def __repr__(self) -> str:
        return f"<metered {self._inner!r}>"


class MeteredIterator(_Stream):
    """An iterator whose call ends when it is exhausted, fails, is closed or is collected.

    Threads: as the iterator itself.
    """

    def __iter__(self) -> MeteredIterator:
        return self

    def __next__(self) -> Any:
        return self._step(self._inner.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._inner.__next__) if value is None else self._step(self._inner.send, value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        error = _thrown(kind, value, trace)
        step = getattr(self._inner, "throw", None)
        return self._step(_raise if step is None else step, error, thrown=error)

    def close(self) -> Any:
        close = getattr(self._inner, "close", None)
        token = context.set_scope(self._inside)
        try:
            return close() if close is not None else None
        finally:
            self._leave(token)
            self._meter.broken(self._scope, True)

    def _step(self, step: Callable[..., Any], *args: Any, thrown: BaseException | None = None) -> Any:
        token = context.set_scope(self._inside)
        try:
            item = step(*args)
        except StopIteration as stop:
            self._leave(token)
            self._meter.finish(self._scope, stop.value)
            raise
        except BaseException as error:
            self._leave(token)
            self._meter.broken(self._scope, error is thrown or left(error))
            raise
        self._leave(token)
        return self._delivered(item)

    def __enter__(self) -> Any:
        enter = getattr(type(self._inner), "__enter__", None)
        entered = self if enter is None else enter(self._inner)
        return self if entered is self._inner else entered

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        leave = getattr(type(self._inner), "__exit__", None)
        try:
            return None if leave is None else leave(self._inner, kind, error, trace)
        finally:
            self.close()

    def __del__(self) -> None:
        scope = self.__dict__.get("_scope")
        if scope is not None and not scope.ended:
            self.close()


class MeteredAsyncIterator(_Stream):
    """An asynchronous iterator whose call ends when it is exhausted, fails, is closed, cancelled or collected.

    Threads: as the iterator itself.
    """

    def __aiter__(self) -> MeteredAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        return await self._step(self._inner.__anext__)

    async def asend(self, value: Any) -> Any:
        return await self._step(self._inner.__anext__) if value is None else await self._step(self._inner.asend, value)

    async def athrow(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        error = _thrown(kind, value, trace)
        step = getattr(self._inner, "athrow", None)
        return await self._step(_raise_later if step is None else step, error, thrown=error)

    async def aclose(self) -> None:
        await self._close(getattr(self._inner, "aclose", None) or getattr(self._inner, "close", None))

    async def _close(self, close: Callable[[], Any] | None) -> Any:
        token = context.set_scope(self._inside)
        try:
            closed = close() if close is not None else None
            return await closed if inspect.isawaitable(closed) else closed
        finally:
            self._leave(token)
            await self._meter.broken_elsewhere(self._scope, True, asyncio.CancelledError())

    async def _step(self, step: Callable[..., Any], *args: Any, thrown: BaseException | None = None) -> Any:
        token = context.set_scope(self._inside)
        try:
            item = await step(*args)
        except StopAsyncIteration:
            self._leave(token)
            await self._meter.finish_elsewhere(self._scope)
            raise
        except BaseException as error:
            self._leave(token)
            await self._meter.broken_elsewhere(self._scope, error is thrown or left(error), error)
            raise
        self._leave(token)
        return self._delivered(item)

    def __getattr__(self, name: str) -> Any:
        if name == "close":
            return self._closing(self._inner.close)
        return super().__getattr__(name)

    def _closing(self, close: Callable[[], Any]) -> Callable[[], Any]:
        if inspect.iscoroutinefunction(close):
            return lambda: self._close(close)

        def closing() -> Any:
            try:
                return close()
            finally:
                self._meter.broken(self._scope, True)

        return closing

    async def __aenter__(self) -> Any:
        enter = getattr(type(self._inner), "__aenter__", None)
        entered = self if enter is None else await enter(self._inner)
        return self if entered is self._inner else entered

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        leave = getattr(type(self._inner), "__aexit__", None)
        try:
            return None if leave is None else await leave(self._inner, kind, error, trace)
        finally:
            if leave is None:
                await self.aclose()
            else:
                await self._meter.broken_elsewhere(self._scope, True, asyncio.CancelledError())

    def __del__(self) -> None:
        scope = self.__dict__.get("_scope")
        if scope is not None and not scope.ended:
            self._meter.broken(scope, True)


class MeteredAsyncIterable(MeteredAsyncIterator):
    """An asynchronous iterable that makes its iterator when the consumer begins."""

    def __aiter__(self) -> MeteredAsyncIterator:
        if not hasattr(type(self._inner), "__anext__"):
            self._iterable = self._inner
            self._inner = self._inner.__aiter__()
        return self


def _thrown(kind: Any, value: Any, trace: Any) -> BaseException:
    error: BaseException
    if isinstance(kind, BaseException):
        error = kind
    elif isinstance(value, kind):
        error = value
    else:
        error = kind() if value is None else kind(value)
    return error if trace is None else error.with_traceback(trace)


def _raise(error: BaseException) -> Any:
    raise error


async def _raise_later(error: BaseException) -> Any:
    raise error
