"""Who pays, and which call it is: blocks that are entered and left in every order, and ids of every kind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

import farebox
from farebox import Farebox, RequestError, pricing
from farebox import _statuses as status
from farebox.context import open_generators


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


@pricing(cost="0.01")
def search(query: Any = "x", pages: int = 1) -> Any:
    return query


@pytest.fixture
def nobody() -> Any:
    """A check that nobody pays in this context."""

    def check() -> None:
        with pytest.raises(RequestError) as caught:
            search()
        assert (caught.value.code, caught.value.field) == (status.MISSING_FIELD, "payer")

    return check


# ---- Blocks ----


def test_one_payment_in_many_interleaved_tasks(engine: Farebox, nobody: Any) -> None:
    ana, bob = engine.paying("user:ana"), engine.paying("user:bob")

    async def agent(number: int) -> None:
        with ana:
            await asyncio.sleep(0.001 * (number % 3))
            if number == 0:
                with bob:
                    await asyncio.sleep(0.002)
                    search()
            await asyncio.sleep(0.001 * (number % 2))
            search()
        nobody()

    async def main() -> None:
        await asyncio.gather(*(agent(number) for number in range(20)))

    asyncio.run(main())
    assert spent(engine) == Decimal("0.2")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")


def test_one_payment_in_many_threads(engine: Farebox, nobody: Any) -> None:
    ana = engine.paying("user:ana")
    barrier = threading.Barrier(4)

    def agent(_: int) -> None:
        with ana:
            barrier.wait(5)
            search()
            barrier.wait(5)
        nobody()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(agent, range(4)))
    assert spent(engine) == Decimal("0.04")


def test_blocks_left_in_another_order_than_they_were_entered(engine: Farebox, nobody: Any) -> None:
    ana, bob = engine.paying("user:ana", run="a"), engine.paying("user:bob", run="b")
    ana.__enter__()
    bob.__enter__()
    ana.__exit__(None, None, None)
    search()  # bob
    bob.__exit__(None, None, None)
    nobody()
    with ExitStack() as stack:
        stack.enter_context(ana)
        named = farebox.call_id("c")
        named.__enter__()
        stack.enter_context(bob)
        named.__exit__(None, None, None)
        for _ in range(2):
            search()  # bob, and no longer named
    nobody()
    assert spent(engine) == 0
    assert spent(engine, "user:bob", "0.05") == Decimal("0.03")


def test_leaving_more_often_than_entering_is_quiet(engine: Farebox, nobody: Any) -> None:
    ana, bob = engine.paying("user:ana"), engine.paying("user:bob")
    with ana:
        bob.__exit__(None, None, None)
        search()
    ana.__exit__(None, None, None)
    nobody()
    assert spent(engine) == Decimal("0.01")


def test_a_stream_begun_in_one_task_and_closed_in_another(engine: Farebox, nobody: Any) -> None:
    async def events() -> AsyncIterator[Any]:
        with engine.paying("user:ana", run="r"), farebox.call_id("call_1"):
            yield search()
            yield search()

    async def step(stream: Any) -> Any:
        return await stream.__anext__()

    async def main() -> None:
        stream: Any = events()
        await asyncio.ensure_future(step(stream))
        await asyncio.ensure_future(stream.aclose())
        nobody()
        stream = events()
        await stream.__anext__()  # entered here, in the task that goes on
        await asyncio.ensure_future(stream.aclose())
        nobody()
        with engine.paying("user:bob"):
            stream = events()
            await stream.__anext__()
            await asyncio.ensure_future(stream.aclose())
            search("y")  # the outer one again

    asyncio.run(main())
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")
    assert spent(engine) == Decimal("0.01"), "it is the same call, however often it is tried"


def test_the_tasks_of_a_block_that_was_left_go_on_paying(engine: Farebox, nobody: Any) -> None:
    async def later(begin: asyncio.Event) -> None:
        await begin.wait()
        search()

    async def events(begin: asyncio.Event, tasks: list[Any]) -> AsyncIterator[int]:
        with engine.paying("user:ana"):
            tasks.append(asyncio.ensure_future(later(begin)))
            yield 1

    async def main() -> None:
        begin, tasks = asyncio.Event(), []  # type: ignore[var-annotated]
        stream: Any = events(begin, tasks)
        await stream.__anext__()
        await asyncio.ensure_future(stream.aclose())
        nobody()
        with engine.paying("user:ana"):
            tasks.append(asyncio.ensure_future(later(begin)))
        nobody()
        begin.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert spent(engine) == Decimal("0.02")


def events(engine: Farebox, user: str, calls: int = 2) -> Iterator[Any]:
    with engine.paying(user):
        for number in range(calls):
            yield search(number)


def test_what_a_generator_enters_is_not_its_consumers(engine: Farebox, nobody: Any) -> None:
    for _ in events(engine, "user:ana"):
        nobody()
    nobody()
    with engine.paying("user:bob"):
        for _ in events(engine, "user:ana"):
            search()
        search()
        with engine.paying("user:ana"):
            search()
    assert spent(engine) == Decimal("0.05")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.03")


def test_generators_that_are_read_by_turns_pay_each_for_itself(engine: Farebox, nobody: Any) -> None:
    first, second = events(engine, "user:ana", 3), events(engine, "user:bob", 2)
    with engine.paying("dev:eve"):
        assert list(zip(first, second)) == [(0, 0), (1, 1)]
    nobody()
    del first, second
    gc.collect()
    assert not open_generators
    assert spent(engine) == Decimal("0.03") and spent(engine, "user:bob", "0.05") == Decimal("0.02")
    nobody()


def test_a_generator_that_threads_advance_by_turns(engine: Farebox, nobody: Any) -> None:
    stream = events(engine, "user:ana", 4)
    with ThreadPoolExecutor(3) as pool:
        for number in range(4):
            assert pool.submit(contextvars.copy_context().run, next, stream).result() == number
    stream.close()  # type: ignore[attr-defined]
    nobody()
    assert spent(engine) == Decimal("0.04")


def test_async_generators_that_are_read_by_turns(engine: Farebox, nobody: Any) -> None:
    async def events(user: str) -> AsyncIterator[Any]:
        with engine.paying(user):
            for _ in range(2):
                await asyncio.sleep(0)
                with farebox.call_id("c"):
                    search()
                await asyncio.gather(later(), later())
                yield user

    async def later() -> None:
        await asyncio.sleep(0)
        search()

    async def main() -> None:
        first: Any = events("user:ana")
        second: Any = events("user:bob")
        await first.__anext__()
        nobody()
        await second.__anext__()
        with engine.paying("dev:eve"):
            await second.aclose()
            await first.aclose()
        nobody()

    asyncio.run(main())
    assert spent(engine) == Decimal("0.03") and spent(engine, "user:bob", "0.05") == Decimal("0.03")


def test_one_payment_in_two_streams_that_are_closed_elsewhere(engine: Farebox, nobody: Any) -> None:
    ana = engine.paying("user:ana")

    async def events() -> AsyncIterator[Any]:
        with ana:
            yield search()

    async def main() -> None:
        with engine.paying("user:bob"):
            first: Any = events()
            second: Any = events()
            await first.__anext__()
            await second.__anext__()
            await asyncio.ensure_future(first.aclose())
            await asyncio.ensure_future(second.aclose())
            search()
        nobody()

    asyncio.run(main())
    assert spent(engine) == Decimal("0.02")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.01")


def test_a_block_entered_on_one_thread_and_left_on_another(engine: Farebox, nobody: Any) -> None:
    ana = engine.paying("user:ana")
    ana.__enter__()
    thread = threading.Thread(target=ana.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    nobody()


def test_a_generator_that_is_a_context_manager(engine: Farebox, nobody: Any) -> None:
    @contextmanager
    def session(user: str) -> Iterator[None]:
        with engine.paying(user), farebox.call_id("one"):
            yield

    async def main() -> None:
        async with AsyncExitStack() as stack:
            stack.enter_context(session("user:ana"))
            stack.enter_context(session("user:bob"))
            search()
            search()
        nobody()

    with session("user:ana"):
        search()
        with session("user:bob"):
            search()
        search()
    nobody()
    asyncio.run(main())
    assert spent(engine) == Decimal("0.02")
    assert spent(engine, "user:bob", "0.05") == Decimal("0.02")


def test_a_block_that_is_never_left_ends_with_its_context(engine: Farebox) -> None:
    ana = engine.paying("user:ana")
    contextvars.copy_context().run(ana.__enter__)
    payment = weakref.ref(ana)
    with ana:
        search()
    del ana
    gc.collect()
    assert payment() is None, "nothing keeps it"


def test_call_id_is_a_decorator_too(engine: Farebox) -> None:
    @farebox.call_id("once")
    def work() -> None:
        search()

    with engine.paying("user:ana"):
        work()
        work()
    assert spent(engine) == Decimal("0.01")


# ---- Ids ----


@pytest.mark.parametrize("identifier", ["", 7, None, b"x"])
def test_an_id_that_is_none_is_refused(identifier: Any) -> None:
    with pytest.raises(RequestError) as caught:
        farebox.call_id(identifier)
    assert (caught.value.code, caught.value.field) == (status.INVALID_ARGUMENT, "call")


@pytest.mark.parametrize("call", ["c", "call_" + "x" * 700, "é" * 400, "a/b", " ", "0", "\U0001f600", "x" * 20_000])
def test_ids_of_every_kind_are_charged_once(engine: Farebox, call: str) -> None:
    for run in ("r", None, "s" * 900):
        for _ in range(2):
            with engine.paying("user:ana", run=run), farebox.call_id(call):
                search()
    assert spent(engine) == Decimal("0.03")


def test_no_two_calls_meet(engine: Farebox) -> None:
    places = [("a/b", "c"), ("a", "b/c"), ("a", "b"), ("ab", ""), (None, "a/b/c"), ("a/b/c", "d"), ("a#1", "b")]
    for run, call in places:
        with engine.paying("user:ana", run=run):
            if call:
                with farebox.call_id(call):
                    search()
            else:
                search()
    assert spent(engine) == Decimal("0.01") * len(places)


def test_two_payers_with_the_same_run_and_call_are_two(engine: Farebox) -> None:
    for user in ("user:ana", "user:bob"):
        with engine.paying(user, run="r"), farebox.call_id("c"):
            search()
    assert spent(engine) == Decimal("0.01") and spent(engine, "user:bob", "0.05") == Decimal("0.01")


@dataclass
class Query:
    text: str
    tags: Any = ()


class Plain:
    def __init__(self, text: str) -> None:
        self.text = text


class Opaque:
    __slots__ = ()


@pytest.mark.parametrize(
    "arguments",
    [
        (".", "/", "/etc"),
        (1, 2, "1", 1.5),
        ({"a": 1}, {"a": 2}, {"b": 1}),
        ([1, 2], [2, 1]),
        ({1, 2}, {1, 3}),
        (Query("a"), Query("b"), Query("a", ["x"])),
        (Plain("a"), Plain("b")),
        (b"a", b"b", "a"),
        (None, 0, "", ()),
        (Decimal("1"), Decimal("2")),
        ("x" * 5000, "x" * 5001),
    ],
)
def test_the_same_id_with_other_arguments_is_another_call(engine: Farebox, arguments: tuple[Any, ...]) -> None:
    for _ in range(2):
        for argument in arguments:
            with engine.paying("user:ana", run="r"), farebox.call_id("list_dir:0"):
                search(argument)
    assert spent(engine) == Decimal("0.01") * len(arguments)


def test_equal_arguments_are_the_same_call_however_they_are_passed(engine: Farebox) -> None:
    one: dict[str, Any] = {"a": {1, 2, 3}, "b": [Query("t")]}
    other: dict[str, Any] = {"b": [Query("t")], "a": {3, 2, 1}}
    ways: list[Any] = [
        lambda: search(one),
        lambda: search(other),
        lambda: search(query=one),
        lambda: search(one, 1),
        lambda: search(pages=1, query=other),
    ]
    for way in ways:
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            way()
    assert spent(engine) == Decimal("0.01")


def test_objects_without_fields_count_by_their_type(engine: Farebox) -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    values: list[Any] = [Opaque, Opaque(), object, cyclic]
    for value in values:
        for _ in range(2):
            with engine.paying("user:ana", run="r"), farebox.call_id("c"):
                search(value)
                search(value)  # one more of the same kind
    assert spent(engine) == Decimal("0.02") * len(values)


def test_a_method_is_the_same_call_whatever_its_object_has_become(engine: Farebox) -> None:
    class Tool:
        def __init__(self) -> None:
            self.calls = 0

        @pricing(cost="0.01")
        def run(self, query: str) -> None:
            self.calls += 1

    tool = Tool()
    for _ in range(3):
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            tool.run("x")
    assert tool.calls == 3 and spent(engine) == Decimal("0.01")


def test_calls_inside_a_call_may_come_in_another_order(engine: Farebox) -> None:
    @pricing(cost="0.02")
    def fetch(url: str) -> None: ...

    steps: list[Any] = [(search, "a"), (fetch, "a"), (search, "b"), (search, "a")]

    @pricing(cost="0.05", name="outer")
    def outer() -> None:
        for step in turns.pop():
            step[0](step[1])

    turns = [list(steps), list(reversed(steps)), steps[2:] + steps[:2]]
    while turns:
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            outer()
    assert spent(engine) == Decimal("0.05") + Decimal("0.03") + Decimal("0.02")


def test_calls_inside_two_calls_of_one_id_are_two(engine: Farebox) -> None:
    @pricing(cost="0.02", name="outer")
    def outer(number: int) -> None:
        search("a")

    for _ in range(2):
        for number in (1, 2):
            with engine.paying("user:ana", run="r"), farebox.call_id("c"):
                outer(number)
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            search("a")
    assert spent(engine) == Decimal("0.04") + Decimal("0.03")


def test_calls_that_are_alike_are_each_charged(engine: Farebox) -> None:
    for _ in range(2):
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            search("a")
            search("a")
            with engine.paying("user:ana", run="r"):
                search("a")
    assert spent(engine) == Decimal("0.03")


def test_an_id_inside_a_call_begins_anew(engine: Farebox) -> None:
    @pricing(cost="0.02", name="outer")
    def outer() -> None:
        with farebox.call_id("inner"):
            search()

    for call in ("one", "two"):
        with engine.paying("user:ana", run="r"), farebox.call_id(call):
            outer()
    with engine.paying("user:ana", run="r"), farebox.call_id("inner"):
        search()
    assert spent(engine) == Decimal("0.05")


def test_retries_of_one_call(engine: Farebox) -> None:
    tries: list[str] = []

    @pricing(cost="1")
    async def book(seat: str) -> str:
        tries.append(seat)
        if len(tries) == 1:
            await asyncio.sleep(1)
        if len(tries) == 2:
            raise ConnectionError
        await asyncio.sleep(0.02)
        return "booked"

    async def attempt(call: str) -> str:
        with engine.paying("user:ana", run="r"), farebox.call_id(call):
            return await asyncio.wait_for(book("4A"), 0.1)

    async def main() -> None:
        for _ in range(4):
            await asyncio.gather(attempt("call_9"), return_exceptions=True)
        assert spent(engine) == 1
        booked = await asyncio.gather(attempt("call_10"), attempt("call_10"))
        assert list(booked) == ["booked", "booked"]

    asyncio.run(main())
    assert spent(engine) == 2
