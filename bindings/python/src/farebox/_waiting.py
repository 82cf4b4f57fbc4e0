"""Work that may wait for a store, done on a thread so that an event loop does not wait with it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import operator
import os
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, TypeVar

if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")

__all__ = ["async_form", "elsewhere", "has_loop"]

T = TypeVar("T")

_THREADS = 8
_lock = threading.Lock()
_threads: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    """The threads that wait; they are this package's own, so that tools on an executor cannot keep them all."""
    global _threads
    found = _threads
    if found is None:
        with _lock:
            if _threads is None:
                _threads = ThreadPoolExecutor(_THREADS, "farebox")
            found = _threads
    return found


def _forget() -> None:
    global _threads, _lock
    _threads = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)


def has_loop() -> bool:
    """Whether an event loop of asyncio runs in this thread."""
    return asyncio._get_running_loop() is not None


async def elsewhere(work: Callable[[], T], abandoned: Callable[[T], object] | None = None) -> T:
    """Does work on a thread. A task that is cancelled leaves at once; the work goes on, and what it gives is abandoned.

    ``abandoned`` is then called with it, on a thread. Outside asyncio the work is done on a thread of trio, or here.

    Errors: those of the work.
    """
    if not has_loop():
        trio = sys.modules.get("trio")
        if trio is not None and _is_trio(trio):
            with trio.CancelScope(shield=True):
                found: T = await trio.to_thread.run_sync(work)
            return found
        return work()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            if error is None and abandoned is not None:
                _pool().submit(context.run, abandoned, result)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def made() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(work)
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, result, error)
        except RuntimeError:  # the event loop was closed meanwhile
            if error is None and abandoned is not None:
                context.run(abandoned, result)

    _pool().submit(made)
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled() and future.exception() is None and abandoned is not None:
            _pool().submit(context.run, abandoned, future.result())  # it was done in the same moment
        raise


def _is_trio(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def async_form(method: Callable[P, T], abandoned: str | None = None) -> Callable[P, Coroutine[Any, Any, T]]:
    """Makes the coroutine function of a method that may wait; ``abandoned`` names the method of its result that undoes it."""

    async def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
        undo: Callable[[Any], object] | None = None
        if abandoned is not None:
            undo = operator.methodcaller(abandoned)
        return await elsewhere(functools.partial(method, *args, **kwargs), undo)

    functools.update_wrapper(waiting, method)
    waiting.__name__, waiting.__qualname__ = f"{method.__name__}_async", f"{method.__qualname__}_async"
    first = (method.__doc__ or "").split("\n\n")[0].strip()
    undone = "the hold is released then" if abandoned else "repeat it with its key to learn what became of it"
    waiting.__doc__ = (
        f"{first}\n\n        As ``{method.__name__}``, without blocking the event loop. "
        f"Cancelling the task does not undo it: {undone}."
    )
    return waiting
