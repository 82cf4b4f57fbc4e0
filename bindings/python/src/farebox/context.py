"""Who pays, for which run and which call: context variables that threads and tasks inherit as Python's rules say."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from . import _layout as layout
from . import _statuses as status
from ._frames import text_bytes
from .errors import RequestError
from .money import to_decimal
from .values import Quantity, Receipt, Usage

if TYPE_CHECKING:
    from ._library import Library
    from .engine import Farebox

__all__ = ["Payment", "call_id", "record_usage"]


class Borrowed:
    """Bytes at a fixed address, alive as long as this object.

    Threads: immutable.
    """

    __slots__ = ("_buffer", "address", "size")

    def __init__(self, data: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(data, len(data) + 1)
        self.address = ctypes.addressof(self._buffer)
        self.size = len(data)


class Scope:
    """What the context variable carries: the payment, and the call id that a framework gave.

    Threads: shared by every context that was copied from the one that made it.
    """

    def __init__(self, payment: Payment | None, call: str | None) -> None:
        self.payment = payment
        self.call = call
        self._names = itertools.count()

    def next_call(self) -> str | None:
        """Names the next metered call: the first by the framework's id, each later one by the id and its number.

        A repeat of the whole gives each call the same name again.
        """
        if self.call is None:
            return None
        number = next(self._names)
        return f"{self.call}+{number}" if number else self.call


scope_variable: ContextVar[Scope | None] = ContextVar("farebox_scope", default=None)
_NOBODY = layout.Str(None, 0)


def pay(library: Library, payment: Payment | None) -> None:
    """Names who pays for the metered C functions that this thread calls.

    A name that the library refuses is nobody's account: then nobody pays, and the calls say so.
    """
    if payment is None or library.pay(payment.payer_struct, payment.run_struct, None):
        library.pay(_NOBODY, _NOBODY, None)


class Payment:
    """Who pays for metered calls, in which run; made by ``Farebox.paying`` and used in ``with``.

    Ownership: it may be entered any number of times.
    Threads: any; a thread that does not inherit the caller's context enters it itself.
    """

    def __init__(
        self, engine: Farebox, payer: str, run: str | None, on_receipt: Callable[[Receipt], None] | None
    ) -> None:
        self.engine = engine
        self.payer = payer
        self.run = run
        self.on_receipt = on_receipt
        self.payer_text = Borrowed(text_bytes(payer, "payer"))
        self.run_text = None if run is None else Borrowed(text_bytes(run, "run"))
        self.payer_struct = layout.Str(self.payer_text.address, self.payer_text.size)
        self.run_struct = _NOBODY if self.run_text is None else layout.Str(self.run_text.address, self.run_text.size)
        self.templates: dict[Any, Any] = {}
        self._entered = threading.local()

    def __enter__(self) -> Payment:
        tokens: list[Token[Scope | None]] = self._entered.__dict__.setdefault("tokens", [])
        outer = scope_variable.get()
        tokens.append(scope_variable.set(Scope(self, None if outer is None else outer.call)))
        pay(self.engine._library, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token = self._entered.tokens.pop()
        try:
            scope_variable.reset(token)
        except ValueError:  # left in another context than entered: that context keeps nothing of it
            scope_variable.set(None)
        outer = scope_variable.get()
        pay(self.engine._library, None if outer is None else outer.payment)

    def __repr__(self) -> str:
        return f"<Payment {self.payer}{'' if self.run is None else f' run {self.run}'}>"


@contextmanager
def call_id(identifier: str) -> Iterator[None]:
    """Names the tool call inside ``with`` by the id that the framework or model gave it.

    With the run's id it makes the idempotency key: the same call of the same run is charged once, however often it is
    tried. Metered calls inside the named one get its id and their number.

    Threads: the context's.
    Errors: RequestError for what is not a str.
    """
    text_bytes(identifier, "call")
    outer = scope_variable.get()
    token = scope_variable.set(Scope(None if outer is None else outer.payment, identifier))
    try:
        yield
    finally:
        scope_variable.reset(token)


def record_usage(usage: Usage | None = None, **meters: Quantity) -> None:
    """Records what the running metered call really used; the capture charges that instead of the estimate.

    Counts of the same meter add up. Outside of a metered call it does nothing.

    Units: counts by meter, ``record_usage(input_tokens=812)``, or a number of ``units``.
    Threads: the context's; a thread that the tool starts must run in a copy of its context.
    Errors: RequestError at the capture for an unknown meter.
    """
    scope = scope_variable.get()
    if scope is None or not isinstance(scope, CallScope):
        return
    recorded = scope.usage
    if recorded is None:
        recorded = scope.usage = {}
    given: Mapping[str, Quantity]
    if usage is None:
        given = meters
    elif isinstance(usage, Mapping):
        given = {**usage, **meters}
    else:
        given = {"units": usage, **meters}
    for meter, quantity in given.items():
        before = recorded.get(meter)
        recorded[meter] = quantity if before is None else _sum(before, quantity, meter)


def _sum(first: Quantity, second: Quantity, meter: str) -> Quantity:
    if type(first) is int and type(second) is int:
        return first + second
    return to_decimal(first, f"usage.{meter}") + to_decimal(second, f"usage.{meter}")


class CallScope(Scope):
    """The scope of one running metered call: its hold, and what is needed to settle it."""

    usage: dict[str, Quantity] | None = None
    names: Iterator[int] | None = None
    key: bytes | None = None
    counts: tuple[int, ...] | None = None
    amount = 0
    settled = False

    def __init__(self, payment: Payment, call: str | None, hold: int) -> None:
        self.payment: Payment = payment
        self.call = call
        self.hold = hold
        if call is not None:
            self.names = itertools.count(1)

    def next_call(self) -> str | None:
        """Names a metered call made inside this one by this one's name and a number.

        A repeat of this call names the calls inside it alike.
        """
        return None if self.names is None else f"{self.call}.{next(self.names)}"


class _Unique:
    """Numbers of 128 bits that no other process or call gives: a random start, then one after another."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        start = int.from_bytes(os.urandom(16), "big") >> 1
        self.next = itertools.count(start).__next__


unique = _Unique()
os.register_at_fork(after_in_child=unique.restart)


def missing_payer() -> RequestError:
    """Makes the error of a metered call that nobody pays for."""
    return RequestError(
        status.MISSING_FIELD,
        "Nobody pays for this call: enter `with engine.paying(account):` or give payer= and engine= to the decorator.",
        field="payer",
    )
