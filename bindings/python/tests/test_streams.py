"""Results that are streams: charged for what became of them, however they were made and however they end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import io
import os
import types
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any, Callable

import pytest

import farebox
from farebox import Farebox, RequestError, meter, pricing


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


def hidden(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that does not show what kind of function is inside."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Counter:
    """An iterator that is no generator, with a method and an attribute of its own."""

    headers = {"kind": "counter"}

    def __init__(self, count: int) -> None:
        self.left = count
        self.closed = False

    def __iter__(self) -> Counter:
        return self

    def __next__(self) -> int:
        if self.left == 0:
            raise StopIteration
        if self.left < 0:
            raise LookupError("broken")
        self.left -= 1
        farebox.record_usage(output_tokens=10)
        return self.left

    def read(self) -> int:
        return self.left

    def close(self) -> None:
        self.closed = True


class AsyncCounter:
    def __init__(self, count: int, fails: bool = False) -> None:
        self.left = count
        self.fails = fails

    def __aiter__(self) -> AsyncCounter:
        return self

    async def __anext__(self) -> int:
        await asyncio.sleep(0)
        if self.left == 0:
            if self.fails:
                raise LookupError("broken")
            raise StopAsyncIteration
        self.left -= 1
        farebox.record_usage(output_tokens=10)
        return self.left


class AsyncContainer:
    """Only ``__aiter__``: an iterator is made when the consumer begins."""

    def __aiter__(self) -> AsyncCounter:
        return AsyncCounter(3)


def tokens(count: int) -> Iterator[int]:
    for item in range(count):
        farebox.record_usage(output_tokens=10)
        yield item


async def async_tokens(count: int) -> AsyncIterator[int]:
    for item in range(count):
        await asyncio.sleep(0)
        farebox.record_usage(output_tokens=10)
        yield item


async def awaited_tokens(count: int) -> Any:
    await asyncio.sleep(0)
    return async_tokens(count)


async def awaited_iterator(count: int) -> Any:
    return Counter(count)


class Shop:
    def stream(self, count: int) -> Iterator[int]:
        return tokens(count)


BY_TOKEN: dict[str, Any] = {"cost": "0.01", "per": "output_token", "max_cost": "5", "name": "stream"}


@pytest.mark.parametrize(
    "function",
    [
        tokens,
        hidden(tokens),
        hidden(hidden(tokens)),
        functools.partial(tokens),
        lambda count: tokens(count),
        lambda count: map(int, tokens(count)),
        lambda count: (item for item in Counter(count)),
        Counter,
        Shop().stream,
    ],
)
def test_an_iterator_is_metered_to_its_end(engine: Farebox, function: Callable[..., Any]) -> None:
    stream = meter(function, **BY_TOKEN)
    with engine.paying("user:ana"):
        assert sorted(stream(3)) == [0, 1, 2]
    assert spent(engine) == Decimal("0.3")


@pytest.mark.parametrize(
    "function",
    [
        async_tokens,
        hidden(async_tokens),
        functools.partial(async_tokens),
        awaited_tokens,
        hidden(awaited_tokens),
        functools.partial(awaited_tokens),
        AsyncCounter,
        lambda count: AsyncContainer(),
    ],
)
def test_an_async_iterator_is_metered_to_its_end(engine: Farebox, function: Callable[..., Any]) -> None:
    stream = meter(function, **BY_TOKEN)

    async def main() -> list[int]:
        with engine.paying("user:ana"):
            items = stream(3)
            if inspect.isawaitable(items):
                items = await items
            return [item async for item in items]

    assert sorted(asyncio.run(main())) == [0, 1, 2]
    assert spent(engine) == Decimal("0.3")


def test_a_coroutine_that_gives_an_iterator_is_metered_to_its_end(engine: Farebox) -> None:
    stream = meter(awaited_iterator, **BY_TOKEN)

    async def main() -> list[int]:
        with engine.paying("user:ana"):
            return list(await stream(2))

    assert asyncio.run(main()) == [1, 0]
    assert spent(engine) == Decimal("0.2")


@pytest.mark.parametrize("value", [[1, 2], (1, 2), {"a": 1}, "text", range(3), {1, 2}, frozenset((1,)), b"xy"])
def test_a_container_is_a_value(engine: Farebox, value: Any) -> None:
    give: Any = meter(lambda: value, name="give", cost="0.02")
    with engine.paying("user:ana"):
        assert give() is value
    assert spent(engine) == Decimal("0.02")


def test_a_file_is_a_value(engine: Farebox) -> None:
    give: Any = meter(lambda: io.StringIO("one\ntwo\n"), name="give", cost="0.02")
    with engine.paying("user:ana"):
        file = give()
        assert type(file) is io.StringIO and spent(engine) == Decimal("0.02")
        assert file.read() == "one\ntwo\n"


FLAT: dict[str, Any] = {"cost": "0.5", "name": "flat"}
MAKERS: dict[str, Callable[[], Any]] = {
    "generator": lambda: tokens(4),
    "iterator": lambda: Counter(4),
    "map": lambda: map(int, tokens(4)),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_consumer_that_leaves_pays_for_what_was_delivered(engine: Farebox, kind: str) -> None:
    by_token, flat = meter(MAKERS[kind], **BY_TOKEN), meter(MAKERS[kind], **FLAT)
    with engine.paying("user:ana"):
        stream = by_token()
        next(stream)
        next(stream)
        stream.close()
        assert spent(engine) == Decimal("0.2")
        stream.close()  # again: nothing more
        flat_stream = flat()
        next(flat_stream)
        flat_stream.close()
        assert spent(engine) == Decimal("0.7")
        by_token().close()
        flat().close()
        assert spent(engine) == Decimal("0.7"), "nothing was delivered"


@pytest.mark.parametrize("kind", MAKERS)
def test_a_stream_that_is_dropped_is_one_that_was_left(engine: Farebox, kind: str) -> None:
    by_token, flat = meter(MAKERS[kind], **BY_TOKEN), meter(MAKERS[kind], **FLAT)
    with engine.paying("user:ana"):
        for _ in by_token():
            break
        gc.collect()
        assert spent(engine) == Decimal("0.1")
        by_token()
        flat()
        gc.collect()
        assert spent(engine) == Decimal("0.1")


def failing(count: int) -> Iterator[int]:
    for item in range(count):
        farebox.record_usage(output_tokens=10)
        yield item
    raise LookupError("broken")


@pytest.mark.parametrize("function", [failing, hidden(failing)])
def test_a_tool_that_breaks_is_paid_by_what_it_recorded_and_a_flat_price_not_at_all(
    engine: Farebox, function: Callable[..., Any]
) -> None:
    by_token, flat = meter(function, **BY_TOKEN), meter(function, **FLAT)
    with engine.paying("user:ana"):
        with pytest.raises(LookupError):
            list(flat(2))
        assert spent(engine) == 0
        with pytest.raises(LookupError):
            list(by_token(2))
        assert spent(engine) == Decimal("0.2")
        with pytest.raises(LookupError):
            list(by_token(0))
        assert spent(engine) == Decimal("0.2"), "it broke before anything was delivered"


def test_an_exception_of_the_consumer_is_not_a_failure_of_the_tool(engine: Farebox) -> None:
    flat = meter(tokens, **FLAT)
    with engine.paying("user:ana"):
        stream: Any = flat(3)
        next(stream)
        with pytest.raises(KeyError):
            stream.throw(KeyError("mine"))
    assert spent(engine) == Decimal("0.5")


def test_a_stream_without_usage_is_charged_its_estimate_or_what_was_held(engine: Farebox) -> None:
    @pricing(cost="0.001", per="token", name="estimated")
    def estimated(text: str) -> Iterator[str]:
        yield text

    @pricing(cost="0.001", per="output_token", max_cost="0.5", name="unknown")
    def unknown() -> Iterator[int]:
        yield 1

    @pricing(cost="0.001", per="output_token", max_cost="0.5", release_unreported=True, name="released")
    def released() -> Iterator[int]:
        yield 1

    with engine.paying("user:ana") as payment:
        stream: Any = estimated("x" * 400)
        next(stream)
        stream.close()
        assert spent(engine) == Decimal("0.1")
        list(unknown())
        assert spent(engine) == Decimal("0.6")
        assert payment.receipt is not None and payment.receipt.unreported
        list(released())
    assert spent(engine) == Decimal("0.6")


def test_send_throw_and_the_return_value_pass_through(engine: Farebox) -> None:
    def talk() -> Any:
        heard = yield "hello"
        try:
            heard = yield heard
        except KeyError:
            heard = yield "caught"
        return heard

    stream = meter(hidden(talk), cost="0.02", name="talk")
    with engine.paying("user:ana"):
        running: Any = stream()
        assert isinstance(running, types.GeneratorType)
        assert next(running) == "hello"
        assert running.send("one") == "one"
        assert running.throw(KeyError()) == "caught"
        with pytest.raises(StopIteration) as stop:
            running.send("bye")
        assert stop.value.value == "bye"
    assert spent(engine) == Decimal("0.02")


def test_the_final_value_of_a_stream_may_say_that_it_failed(engine: Farebox) -> None:
    def work() -> Any:
        yield 1
        return {"isError": True}

    with engine.paying("user:ana"):
        list(meter(work, cost="0.5")())
        list(meter(hidden(work), cost="0.5")())
    assert spent(engine) == 0


def test_what_else_an_object_has_stays_reachable(engine: Farebox) -> None:
    stream = meter(Counter, cost="0.5", name="counter")
    with engine.paying("user:ana"):
        counter: Any = stream(3)
        assert counter.headers == {"kind": "counter"} and counter.left == 3
        assert not hasattr(counter, "absent")
        counter.close()
        assert counter.closed and spent(engine) == 0
        read: Any = stream(3)
        assert read.read() == 3  # consumed in a way of its own
        read.close()
    assert spent(engine) == Decimal("0.5")


def test_an_iterator_that_is_a_context_manager_stays_one(engine: Farebox, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("x")
    scan = meter(os.scandir, cost="0.02", name="scan")
    with engine.paying("user:ana"), scan(tmp_path) as entries:
        assert [entry.name for entry in entries] == ["file"]
    assert spent(engine) == Decimal("0.02")


def test_calls_inside_a_stream_are_paid_by_who_pays_the_stream(engine: Farebox) -> None:
    @pricing(cost="0.01")
    def inner() -> None: ...

    @hidden
    def body() -> Iterator[int]:
        yield 1
        inner()
        with engine.paying("user:bob"):
            yield 2
            inner()
        yield 3

    outer = meter(body, cost="0.02", name="outer")
    with engine.paying("user:ana"):
        stream = outer()
    assert list(stream) == [1, 2, 3]  # consumed after the block was left
    assert spent(engine) == Decimal("0.03")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")
    with pytest.raises(RequestError):
        inner()


def test_streams_that_are_read_by_turns_do_not_mix(engine: Farebox) -> None:
    stream = meter(tokens, **BY_TOKEN)
    with engine.paying("user:ana"):
        first = stream(3)
        next(first)
        with engine.paying("user:dev"):
            pass
        second = stream(2)
        for one, other in zip(first, second):
            assert one == other + 1
        first.close()  # type: ignore[attr-defined]
        second.close()  # type: ignore[attr-defined]
    assert spent(engine) == Decimal("0.5")


# ---- Cancellation ----


async def consume(engine: Farebox, stream: Callable[[], Any], got: list[int]) -> None:
    with engine.paying("user:ana"):
        items = stream()
        if inspect.isawaitable(items):
            items = await items
        async for item in items:
            got.append(item)


async def slow(count: int = 6) -> AsyncIterator[int]:
    for item in range(count):
        await asyncio.sleep(0.005)
        farebox.record_usage(output_tokens=10)
        yield item


class SlowCounter(AsyncCounter):
    async def __anext__(self) -> int:
        await asyncio.sleep(0.005)
        return await super().__anext__()


async def awaited_slow() -> Any:
    return slow()


SLOW: dict[str, Callable[[], Any]] = {
    "generator": slow,
    "hidden": hidden(slow),
    "iterator": lambda: SlowCounter(6),
    "awaited": awaited_slow,
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_stream_cancelled_between_items_pays_for_what_was_recorded(engine: Farebox, kind: str) -> None:
    by_token, flat = meter(SLOW[kind], **BY_TOKEN), meter(SLOW[kind], **FLAT)

    async def main(stream: Callable[[], Any], items: int) -> int:
        got: list[int] = []
        task = asyncio.ensure_future(consume(engine, stream, got))
        while len(got) < items:
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return len(got)

    assert asyncio.run(main(by_token, 3)) == 3
    assert spent(engine) == Decimal("0.3")
    asyncio.run(main(flat, 2))
    assert spent(engine) == Decimal("0.8")
    asyncio.run(main(by_token, 0))
    assert spent(engine) == Decimal("0.8"), "nothing was delivered"


def test_a_stream_that_times_out_is_one_that_was_left(engine: Farebox) -> None:
    stream = meter(hidden(slow), **BY_TOKEN)

    async def main() -> None:
        got: list[int] = []
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(consume(engine, stream, got), 0.013)
        assert 1 <= len(got) <= 2
        assert spent(engine) == Decimal("0.1") * len(got)

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(asyncio.Task, "cancelling"), reason="Python 3.11 tells who was cancelled")
def test_a_cancellation_inside_the_tool_is_a_failure_of_the_tool(engine: Farebox) -> None:
    async def breaks() -> AsyncIterator[int]:
        yield 1
        inner = asyncio.ensure_future(asyncio.sleep(10))
        inner.cancel()
        await inner

    flat = meter(breaks, **FLAT)

    async def main() -> None:
        with engine.paying("user:ana"), pytest.raises(asyncio.CancelledError):
            async for _ in flat():
                pass

    asyncio.run(main())
    assert spent(engine) == 0


@pytest.mark.parametrize("function", [async_tokens, hidden(async_tokens), AsyncCounter])
def test_an_async_stream_that_is_closed_or_broken(engine: Farebox, function: Callable[..., Any]) -> None:
    by_token = meter(function, **BY_TOKEN)

    async def main() -> None:
        with engine.paying("user:ana"):
            stream: Any = by_token(4)
            await stream.__anext__()
            await stream.__anext__()
            await stream.aclose()
            assert spent(engine) == Decimal("0.2")
            stream = by_token(4)
            await stream.__anext__()
            with pytest.raises(KeyError):
                await stream.athrow(KeyError("mine"))
            assert spent(engine) == Decimal("0.3")
            by_token(4)
            gc.collect()
            await asyncio.sleep(0)
            assert spent(engine) == Decimal("0.3")
            stream = by_token(4)
            await stream.__anext__()
            del stream
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
            assert spent(engine) == Decimal("0.4")

    asyncio.run(main())


def test_an_async_stream_that_fails_after_delivery(engine: Farebox) -> None:
    by_token: Any = meter(lambda: AsyncCounter(2, fails=True), **BY_TOKEN)
    flat: Any = meter(lambda: AsyncCounter(2, fails=True), **FLAT)

    async def main() -> None:
        with engine.paying("user:ana"):
            for stream in (by_token(), flat()):
                with pytest.raises(LookupError):
                    async for _ in stream:
                        pass

    asyncio.run(main())
    assert spent(engine) == Decimal("0.2")


def test_asend_passes_through(engine: Farebox) -> None:
    async def talk() -> Any:
        heard = yield "hello"
        yield heard

    async def main() -> None:
        with engine.paying("user:ana"):
            for stream in (meter(talk, cost="0.02")(), meter(hidden(talk), cost="0.02", name="other")()):
                assert await stream.asend(None) == "hello"
                assert await stream.asend("one") == "one"
                with pytest.raises(StopAsyncIteration):
                    await stream.__anext__()

    asyncio.run(main())
    assert spent(engine) == Decimal("0.04")


# ---- Awaitables of plain functions ----


def test_an_awaitable_that_is_dropped_costs_nothing(engine: Farebox) -> None:
    async def work() -> int:
        return 1

    later = meter(hidden(work), cost="0.5", name="later")
    with engine.paying("user:ana"):
        coroutine: Any = later()
        assert engine.balance("user:ana").held == Decimal("0.5")
        coroutine.close()
        del coroutine
        gc.collect()
        assert spent(engine) == 0

        async def main() -> None:
            assert await later() == 1
            task = asyncio.ensure_future(later())
            assert await task == 1

        asyncio.run(main())
    assert spent(engine) == Decimal("1")


def test_a_future_stays_one(engine: Farebox) -> None:
    def begin() -> Any:
        return asyncio.get_running_loop().create_future()

    later = meter(begin, cost="0.5", name="later")

    async def main() -> None:
        with engine.paying("user:ana"):
            future = later()
            assert isinstance(future, asyncio.Future)
            await asyncio.sleep(0)
            future.cancel()
            with pytest.raises(asyncio.CancelledError):
                await future
            assert spent(engine) == 0

    asyncio.run(main())


def test_an_awaitable_that_is_an_async_context_manager_stays_one(engine: Farebox) -> None:
    class Request:
        url = "https://example.org"

        def __await__(self) -> Any:
            return asyncio.sleep(0, "answer").__await__()

        async def __aenter__(self) -> str:
            return "answer"

        async def __aexit__(self, *error: Any) -> None: ...

    get = meter(Request, cost="0.5", name="get")

    async def main() -> None:
        with engine.paying("user:ana"):
            request: Any = get()
            assert request.url == "https://example.org"
            assert await request == "answer"
            async with get() as answer:
                assert answer == "answer"

    asyncio.run(main())
    assert spent(engine) == Decimal("1")
