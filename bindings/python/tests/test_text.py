"""Text of arguments: counted wherever it is, or refused."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import io
import pathlib
import re
import threading
import types
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

import farebox
from farebox import Farebox, RequestError, estimate_tokens, pricing
from farebox import _statuses as status

TEXT = "hello world " * 1000


def spent(engine: Farebox, account: str = "user:ana", start: str = "10") -> Decimal:
    balance = engine.balance(account)
    assert balance.held == 0, "a hold was left open"
    return Decimal(start) - balance.balance


@dataclasses.dataclass
class Data:
    text: str


@dataclasses.dataclass
class Nested:
    parts: list[Any]
    more: Any = None


class Slots:
    __slots__ = ("__hidden", "never", "text")

    def __init__(self, text: str) -> None:
        self.text = ""
        self.__hidden = text

    def use(self) -> str:
        return self.__hidden


class Plain:
    def __init__(self, text: str) -> None:
        self.text = text


class Listed(list[Any]):
    text = ""


class Named(NamedTuple):
    text: str


class Kind(enum.Enum):
    LONG = TEXT


def listed() -> Listed:
    value = Listed()
    value.text = TEXT
    return value


HOLDERS: dict[str, Any] = {
    "str": lambda: TEXT,
    "bytes": lambda: TEXT.encode(),
    "bytearray": lambda: bytearray(TEXT.encode()),
    "memoryview": lambda: memoryview(TEXT.encode()),
    "mapping": lambda: {"text": TEXT},
    "key": lambda: {TEXT: 1},
    "proxy": lambda: types.MappingProxyType({"text": TEXT}),
    "userdict": lambda: collections.UserDict({"text": TEXT}),
    "list": lambda: [1, [TEXT]],
    "set": lambda: {TEXT},
    "deque": lambda: collections.deque([TEXT]),
    "values": lambda: {"a": TEXT}.values(),
    "dataclass": lambda: Data(TEXT),
    "nested": lambda: Nested([{"deep": Data(TEXT)}]),
    "slots": lambda: Slots(TEXT),
    "object": lambda: Plain(TEXT),
    "namespace": lambda: types.SimpleNamespace(text=TEXT),
    "namedtuple": lambda: Named(TEXT),
    "enum": lambda: Kind.LONG,
    "path": lambda: pathlib.PurePath(TEXT),
    "exception": lambda: ValueError(TEXT),
    "list with attributes": listed,
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_text_is_counted_wherever_it_is(kind: str) -> None:
    value = HOLDERS[kind]()
    for tokens in (estimate_tokens(value), estimate_tokens(request=value), estimate_tokens([{"a": (value,)}])):
        assert 3000 <= tokens <= 3010


def test_a_mapping_and_a_model_of_the_same_text_cost_the_same(engine: Farebox) -> None:
    @pricing(cost="0.0001", per="token")
    def summarize(request: Any) -> str:
        return "short"

    holders: list[Any] = [{"text": TEXT}, Data(TEXT), Plain(TEXT), Named(TEXT), types.SimpleNamespace(text=TEXT)]
    try:
        import pydantic
    except ImportError:
        pass
    else:

        class Model(pydantic.BaseModel):
            model_config = {"extra": "allow"}
            text: str = ""

        holders += [Model(text=TEXT)]
        assert 6000 <= estimate_tokens(Model.model_validate({"text": TEXT, "more": TEXT})) <= 6010
    try:
        import attrs
    except ImportError:
        pass
    else:

        @attrs.define
        class Defined:
            text: str

        holders += [Defined(TEXT)]
    with engine.paying("user:ana"):
        for number, holder in enumerate(holders, 1):
            summarize(holder)
            assert spent(engine) == Decimal("0.3001") * number


@pytest.mark.parametrize(
    "value",
    [
        17,
        1.5,
        True,
        None,
        2j,
        decimal.Decimal("1.5"),
        datetime.datetime(2026, 1, 1),
        uuid.uuid4(),
        range(1000),
        len,
        Data,
        threading.Lock(),
        object(),
        array.array("d", [1.0]),
        [],
        {},
    ],
)
def test_what_holds_no_text_counts_nothing(value: Any) -> None:
    assert estimate_tokens(value) == 0


async def _nothing() -> Any:
    yield ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: (text for text in [TEXT]),
        lambda: iter([TEXT]),
        lambda: map(str, [TEXT]),
        lambda: io.StringIO(TEXT),
        lambda: io.BytesIO(TEXT.encode()),
        _nothing,
        lambda: re.compile(TEXT),
        lambda: Data(text for text in [TEXT]),  # type: ignore[arg-type]
        lambda: {"a": [iter([TEXT])]},
    ],
)
def test_what_cannot_be_read_is_refused_before_the_call(engine: Farebox, make: Any) -> None:
    @pricing(cost="0.001", per="token")
    def summarize(request: Any) -> None:
        raise AssertionError("it ran")

    @pricing(cost="0.001", per="token", units=lambda request: 5, name="given")
    def given(request: Any) -> None: ...

    with engine.paying("user:ana"):
        with pytest.raises(RequestError) as caught:
            summarize(make())
        assert (caught.value.code, caught.value.field) == (status.INVALID_ARGUMENT, "units")
        assert "units=" in caught.value.message
        assert spent(engine) == 0
        given(make())
    assert spent(engine) == Decimal("0.005")


def test_cycles_end_and_depth_is_refused() -> None:
    cyclic: list[Any] = ["abcd"]
    cyclic.append({"again": cyclic})
    assert estimate_tokens(cyclic) == (4 + len("again") + 3) // 4
    parent, child = Plain("abcd"), Plain("efgh")
    parent.child, child.parent = child, parent  # type: ignore[attr-defined]
    assert 4 <= estimate_tokens(parent) <= 8
    shared = ["abcd"]
    assert estimate_tokens([shared, shared]) == 2, "what is there twice counts twice"
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RequestError):
        estimate_tokens(deep)


def test_methods_and_framework_contexts_are_no_part_of_the_request(engine: Farebox) -> None:
    class RunContext:
        text = ""

    RunContext.__module__ = "pydantic_ai.tools"
    context = RunContext()
    context.text = TEXT

    class Tool:
        def __init__(self) -> None:
            self.stream = iter([TEXT])
            self.cache = TEXT

        @pricing(cost="0.01", per="token")
        def run(self, ctx: Any, query: str) -> None: ...

        @pricing(cost="0.01", per="character")
        def spell(self, query: str) -> None: ...

    with engine.paying("user:ana"):
        Tool().run(context, "abcd")
        assert spent(engine) == Decimal("0.01")
        Tool().run(ctx=context, query="abcd")
        assert spent(engine) == Decimal("0.02")
        Tool().spell("abc")
    assert spent(engine) == Decimal("0.05")


# ---- Numbers as arguments ----


@pytest.mark.parametrize(
    ("pages", "cost"),
    [("12", "0.6"), (" 12 ", "0.6"), ("1.5", "0.075"), (12, "0.6"), ([1, 2], "0.1"), (Decimal(2), "0.1")],
)
def test_a_number_given_as_text_is_the_number(engine: Farebox, pages: Any, cost: str) -> None:
    @pricing(cost="0.05", per="page", units="pages")
    def render(document: str, pages: Any = 1) -> None: ...

    with engine.paying("user:ana"):
        render("x", pages=pages)
    assert spent(engine) == Decimal(cost)


@pytest.mark.parametrize("pages", ["twelve", "", "1,5", "٣", "0x10", "-2", "1e3", True, -1, iter([1]), object()])
def test_what_is_no_number_of_units_is_refused(engine: Farebox, pages: Any) -> None:
    @pricing(cost="0.05", per="page", units="pages")
    def render(document: str, pages: Any = 1) -> None:
        raise AssertionError("it ran")

    with engine.paying("user:ana"), pytest.raises(RequestError):
        render("x", pages=pages)
    assert spent(engine) == 0


@pytest.mark.parametrize(
    ("per", "value", "units"),
    [("character", "12", 2), ("token", "12345678", 2), ("byte", "é", 2), ("byte", b"abc", 3), ("word", "to be or", 3)],
)
def test_text_is_measured_in_units_of_text(engine: Farebox, per: str, value: Any, units: int) -> None:
    @pricing(cost="0.05", per=per, units="data")
    def work(data: Any) -> None: ...

    with engine.paying("user:ana"):
        work(value)
    assert spent(engine) == Decimal("0.05") * units


def test_numbers_of_numpy_are_numbers_of_units(engine: Farebox) -> None:
    np = pytest.importorskip("numpy")

    @pricing(cost="0.05", per="page", units="pages")
    def render(pages: Any) -> None: ...

    with engine.paying("user:ana"):
        render(np.int32(3))
        render(np.float64(0.5))
        render(np.zeros(2))
    assert spent(engine) == Decimal("0.275")
    assert estimate_tokens(np.zeros(5)) == 0 and estimate_tokens(np.array(["abcd", "efgh"])) == 2


def test_an_estimate_needs_no_ledger() -> None:
    assert farebox.estimate_tokens("é", ["ab", {"k": "cd"}], b"x", 17, key="y") == 3
