"""Who pays, for which run and which call: context variables that threads and tasks inherit as Python's rules say."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import itertools
import os
import sys
import threading
import warnings
import weakref
from collections import deque
from contextlib import ContextDecorator
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._frames import text_bytes
from ._quantities import usage_texts
from .errors import RequestError
from .money import Money, to_units
from .values import Quantity, Receipt, Usage

if TYPE_CHECKING:
    from ._metering import Meter
    from .engine import Farebox

__all__ = ["Payment", "call_id", "record_amount", "record_usage"]

_RECEIPTS_KEPT = 100
_TALLY_END = frames.TALLY + ctypes.sizeof(layout.Tally)
_TALLY_INIT = bytes(layout.Tally(struct_size=ctypes.sizeof(layout.Tally)))
_SCALE_AT = layout.offset(layout.MeteredCall, "scale")
_KEY_AT = layout.offset(layout.MeteredCall, "key")
_KEY_END = layout.offset(layout.MeteredCall, "reserved")
_pack_text = layout.STR.pack_into


class Borrowed:
    """Bytes at a fixed address, alive as long as this object.

    Threads: immutable.
    """

    __slots__ = ("_buffer", "address", "size")

    def __init__(self, data: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(data, len(data) + 1)
        self.address = ctypes.addressof(self._buffer)
        self.size = len(data)


# ---- Scopes ----


class Origin:
    """One entry of a ``with`` block: where it was entered, and whether it was left in another context.

    ``frame`` is that of a generator, while the block is open: what the generator enters is not its consumer's.

    Threads: shared by every context that was copied from the one that made it.
    """

    __slots__ = ("__weakref__", "_home", "frame", "left", "place")

    def __init__(self, frame: FrameType) -> None:
        self.place = _place(frame)
        self.frame = frame if _is_generator(frame) else None
        self.left = False
        self._home = _here()

    def at_home(self) -> bool:
        """Whether this is the task or thread that entered the block."""
        home = self._home
        here = _here()
        if isinstance(home, weakref.ref):
            return isinstance(here, weakref.ref) and home() is here()
        return home == here


Place = tuple[int, CodeType]
"""The frame of a ``with`` statement: a generator has the same one when it enters and when it leaves."""

_NOWHERE = Origin.__new__(Origin)
_NOWHERE.left = False
_NOWHERE.frame = None

_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_MANAGERS = ("contextlib", "_pytest.fixtures", "pytest_asyncio.plugin", "anyio.pytest_plugin")
"""Modules that run a generator as a context manager: what it enters is entered for the code around it."""


def _here() -> int | weakref.ref[Any]:
    loop = asyncio._get_running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    return threading.get_ident() if task is None else weakref.ref(task)


def _place(frame: FrameType) -> Place:
    return id(frame), frame.f_code


def _is_generator(frame: FrameType) -> bool:
    if not frame.f_code.co_flags & _GENERATORS:
        return False
    driver = frame.f_back
    return driver is None or driver.f_globals.get("__name__") not in _MANAGERS


class Scope:
    """What the context variable carries: who pays, and which call a framework has named.

    ``inside`` is the key of the metered call that new calls belong to, ``running`` that call itself, and ``ordinals``
    counts the calls that are alike.

    Threads: shared by every context that was copied from the one that made it.
    """

    payment: Payment | None = None
    source: Origin = _NOWHERE
    call: str | None = None
    named: Origin = _NOWHERE
    inside: str = ""
    running: CallScope | None = None
    ordinals: dict[Any, Any] = {}
    outer: Scope | None = None
    before: Scope | None = None
    owner: Any = None
    origin: Origin = _NOWHERE

    def over(self, outer: Scope | None) -> Scope:
        """Returns this entry on top of another scope."""
        owner = self.owner
        scope = Scope()
        scope.owner, scope.origin, scope.outer = owner, self.origin, outer
        if outer is not None:
            scope.payment, scope.source = outer.payment, outer.source
            scope.call, scope.named = outer.call, outer.named
            scope.inside, scope.running, scope.ordinals = outer.inside, outer.running, outer.ordinals
        if isinstance(owner, Payment):
            scope.payment, scope.source = owner, self.origin
        else:
            scope.call, scope.named, scope.inside, scope.ordinals = owner.identifier, self.origin, "", self.ordinals
        return scope

    def next_ordinal(self, alike: Any) -> int:
        """Counts the calls begun here that are alike, from 0; a repeat of the whole counts them alike again."""
        counter = self.ordinals.setdefault(alike, itertools.count())
        number: int = next(counter)
        return number


scope_variable: ContextVar[Scope | None] = ContextVar("farebox_scope", default=None)
set_scope = scope_variable.set
get_scope = scope_variable.get
reset_scope = scope_variable.reset


def leave_scope(token: Any) -> None:
    """Resets the variable; quiet where the coroutine was closed from a context that never saw the scope."""
    try:
        scope_variable.reset(token)
    except ValueError:
        pass


open_generators: dict[FrameType, list[Scope]] = {}
"""What generators that are under way have entered, by their frames."""


def current_scope() -> Scope | None:
    """Returns the scope of the code that is running: a generator's own blocks count inside it, and only there."""
    scope = live_scope()
    if not open_generators or type(scope) is CallScope:
        return scope
    running: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame in open_generators:
            running.append(frame)
        frame = frame.f_back
    while scope is not None and scope.origin.frame is not None and scope.origin.frame not in running:
        if not scope.origin.at_home():
            break  # a task or thread that the generator has started
        scope = scope.outer
    if not running:
        return scope
    entries = open_generators.get(running[0])
    own = entries[-1] if entries else None
    node = scope
    while node is not None and own is not None and node.origin is not own.origin:
        node = node.outer
    return scope if node is not None else own


def live_scope() -> Scope | None:
    """Returns the context's scope without the blocks that were left elsewhere."""
    scope = scope_variable.get()
    kept: list[Scope] = []
    node = scope
    while node is not None and type(node) is Scope:
        kept.append(node)
        node = node.outer
    left = [entry for entry in kept if entry.origin.left and entry.origin.at_home()]
    if not left:
        return scope
    for entry in reversed(kept):
        if entry not in left:
            node = entry.over(node)
    scope_variable.set(node)
    return node


class _Entered:
    """A context manager that any number of tasks and threads may enter, nested and interleaved, and leave elsewhere."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Origin] = weakref.WeakSet()
        self._lock = threading.Lock()

    def _enter(self, frame: FrameType) -> None:
        entry = Scope()
        entry.owner, entry.origin, entry.ordinals = self, Origin(frame), {}
        scope = entry.over(current_scope())
        scope.before = scope_variable.get()
        scope_variable.set(scope)
        if entry.origin.frame is not None:
            open_generators.setdefault(frame, []).append(scope)
        with self._lock:
            self._open.add(entry.origin)

    def _leave(self, frame: FrameType) -> None:
        place = _place(frame)
        mine: list[Scope] = []
        node = scope_variable.get()
        while node is not None and type(node) is Scope:
            if node.owner is self:
                mine.append(node)
            node = node.outer
        found = next((entry for entry in mine if entry.origin.place == place), None)
        with self._lock:
            if found is None:
                origins = [origin for origin in self._open if not origin.left]
                elsewhere = [origin for origin in origins if origin.place == place]
                if not elsewhere and mine:
                    found = mine[0]
                elif not elsewhere and len(origins) == 1:
                    elsewhere = origins
                for origin in elsewhere[:1]:
                    origin.left = True
                    self._open.discard(origin)
                    _close(origin)
            if found is not None:
                self._open.discard(found.origin)
        if found is not None:
            if not found.origin.at_home():
                found.origin.left = True
            _close(found.origin)
            if found is scope_variable.get() and found.before is not None:
                scope_variable.set(found.before)
            else:
                _take_out(found)


def _close(origin: Origin) -> None:
    """Forgets what a generator had entered."""
    frame, origin.frame = origin.frame, None
    if frame is None:
        return
    entries = [entry for entry in open_generators.get(frame, ()) if entry.origin is not origin]
    if entries:
        open_generators[frame] = entries
    else:
        open_generators.pop(frame, None)


def _take_out(entry: Scope) -> None:
    """Takes an entry out of the current scope; what was entered after it stays."""
    above: list[Scope] = []
    node = scope_variable.get()
    while node is not None and node is not entry:
        above.append(node)
        node = node.outer
    scope = entry.outer
    for other in reversed(above):
        scope = other.over(scope)
    scope_variable.set(scope)


# ---- Who pays ----


def fill_payer(payer: layout.Payer) -> bool:
    """Says who pays for a metered C function that this context calls, whichever task or thread it is.

    Returns false where the context names nobody. The texts live until this thread is asked again.
    """
    scope = current_scope()
    payment = scope.payment if scope is not None else None
    if scope is None or payment is None:
        return False
    payer.engine = payment.engine._handle
    payer.payer = layout.Str(payment.payer_text.address, payment.payer_text.size)
    if payment.run_text is not None:
        payer.run = layout.Str(payment.run_text.address, payment.run_text.size)
    if scope.call is not None:
        call, inside = Borrowed(text_bytes(scope.call, "call")), Borrowed(scope.inside.encode("ascii"))
        _asked.texts = call, inside
        payer.call = layout.Str(call.address, call.size)
        payer.parent = layout.Str(inside.address, inside.size)
        if payer.arguments.len:
            alike = (_bytes_of(payer.tool), _bytes_of(payer.arguments))
            payer.ordinal = scope.next_ordinal(alike)
    return True


def _bytes_of(text: Any) -> bytes:
    return ctypes.string_at(text.ptr, text.len) if text.ptr else b""


_asked = threading.local()


class Payment(_Entered):
    """Who pays for metered calls, in which run; made by ``Farebox.paying`` and used in ``with``.

    Any number of tasks and threads may enter it, nested and interleaved. A block that is left in another task or thread
    than the one that entered it ends there too. A copy of a payment is the payment itself.

    Threads: any; a thread that does not inherit the caller's context enters it itself.
    """

    def __init__(
        self,
        engine: Farebox,
        payer: str,
        run: str | None,
        on_receipt: Callable[[Receipt], None] | None,
        kept: int = _RECEIPTS_KEPT,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.payer = payer
        self.run = run
        self.on_receipt = on_receipt
        self.payer_text = Borrowed(text_bytes(payer, "payer"))
        self.run_text = None if run is None else Borrowed(text_bytes(run, "run"))
        self.templates: dict[weakref.ref[Meter], bytes] = {}
        self._receipts: deque[bytes | bytearray | Receipt] = deque(maxlen=kept)
        self.keep = self._receipts.append

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts of the calls that this payment was charged for, oldest first: the last 100.

        A call that cost nothing because it failed has none.
        """
        found = self._receipts.copy()
        return [one if isinstance(one, Receipt) else self.engine._receipt_at(one, 0) for one in found]

    @property
    def receipt(self) -> Receipt | None:
        """The receipt of the last call that this payment was charged for, or None."""
        receipts = self.receipts
        return receipts[-1] if receipts else None

    def tell(self, receipt: Receipt) -> None:
        """Keeps a receipt, and gives it to ``on_receipt``."""
        self.keep(receipt)
        if self.on_receipt is not None:
            self.on_receipt(receipt)

    def __enter__(self) -> Payment:
        self._enter(sys._getframe(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(sys._getframe(1))

    def __copy__(self) -> Payment:
        return self

    def __deepcopy__(self, memo: Any) -> Payment:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A payment cannot be pickled: call engine.paying() where it is used.")

    def __repr__(self) -> str:
        return f"<Payment {self.payer}{'' if self.run is None else f' run {self.run}'}>"


class call_id(_Entered, ContextDecorator):
    """Names the tool call inside ``with`` by the id that the framework or model gave it.

    Retrying a call with its id is safe: a call is the same when payer, run, id, tool and arguments are the same, and is
    charged once however often it is tried. Metered calls inside the named one belong to it. The id may have up to 64 KiB.

    Threads: any; it may be left in another task or thread than it was entered in.
    Errors: RequestError for an empty id, and for what is not a str.
    """

    def __init__(self, identifier: str) -> None:
        super().__init__()
        if not text_bytes(identifier, "call"):
            raise RequestError(
                status.INVALID_ARGUMENT,
                "The call id is empty. Give each call its own id, or leave call_id() out: then repeats are charged.",
                field="call",
            )
        self.identifier = identifier

    def __enter__(self) -> None:
        self._enter(sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(sys._getframe(1))


def missing_payer() -> RequestError:
    """Makes the error of a metered call that has no payer."""
    return RequestError(
        status.MISSING_FIELD,
        "This call has no payer. Enter `with engine.paying(account):`, or give payer= and engine= to the decorator.",
        field="payer",
    )


# ---- A running call, and what it uses ----

_recording = threading.RLock()


class CallScope(Scope):
    """One running metered call: what ``farebox_begin`` gave, and what was recorded since.

    Threads: usage may be recorded by any number of threads; one of them ends the call.
    """

    ended = False
    delivered = False
    recorded = False
    model: str | None = None
    late_model = False
    last: Any = None
    tally: bytes | bytearray | None = None
    tallies: dict[str, bytes | bytearray] | None = None
    amounts: list[tuple[int, str | None, str | None]] | None = None
    payment: Payment

    def __init__(self, payment: Payment, raw: bytearray) -> None:
        self.payment = payment
        self.raw = raw

    @property
    def running(self) -> CallScope:  # type: ignore[override]
        """The call itself."""
        return self

    @property
    def key(self) -> str:
        """The key that calls inside this one belong to, or ``""``."""
        return bytes(self.raw[_KEY_AT:_KEY_END]).rstrip(b"\0").decode("ascii", "replace")

    def record(self, tool: str | None, texts: list[bytes]) -> bool:
        """Adds usage to the call, or to another tool's line of it; all of it or, on failure, nothing.

        Returns false for a call that has ended.
        Errors: RequestError for usage that cannot be read.
        """
        library = self.payment.engine._library
        with _recording:
            if self.ended:
                return False
            before = self.tally if tool is None else (self.tallies or {}).get(tool)
            frame = frames.take_for(max(len(text) for text in texts))
            try:
                raw = frame.raw
                raw[frames.TALLY : _TALLY_END] = _TALLY_INIT if before is None else before
                for text in texts:
                    raw[frames.ARENA : frames.ARENA + len(text)] = text
                    _pack_text(raw, frames.FIRST, frame.arena, len(text))
                    code = library.record(frame.tally, frame.first, frame.error)
                    if code:
                        raise frame.failure(code)
                after = raw[frames.TALLY : _TALLY_END]
            finally:
                frames.give(frame)
            self.recorded = True
            if tool is None:
                self.tally = after
            else:
                if self.tallies is None:
                    self.tallies = {}
                self.tallies[tool] = after
        return True

    def add_amount(self, amount: Money, payee: str | None, description: str | None) -> bool:
        """Adds a line with an amount; returns false for a call that has ended.

        Errors: RequestError for an amount that is negative or cannot be read.
        """
        scale = int.from_bytes(self.raw[_SCALE_AT : _SCALE_AT + 4], "little")
        units = to_units(amount, scale, "amount")
        if units < 0:
            raise RequestError(status.INVALID_AMOUNT, "An amount that a tool records is at least 0.", field="amount")
        for text, field in ((payee, "payee"), (description, "description")):
            if text is not None:
                text_bytes(text, field)
        with _recording:
            if self.ended:
                return False
            self.recorded = True
            if self.amounts is None:
                self.amounts = []
            self.amounts.append((units, payee, description))
        return True

    def end(self) -> bool:
        """Ends the call: true for the first caller, who finishes it."""
        with _recording:
            if self.ended:
                return False
            self.ended = True
        return True


def record_usage(usage: Usage | None = None, *, tool: str | None = None, **meters: Quantity | None) -> None:
    """Records what the running metered call really used, which is charged instead of the estimate.

    Counts of the same meter add up, exactly; their sum is rounded once, when the call is charged. None means "not
    given". With ``tool`` the usage is another tool's, at that tool's price, on a line of its own in the receipt. Outside
    a metered call it warns.

    Units: counts by meter, ``record_usage(input_tokens=812)``, or a number of ``units``. A number is an int, a Decimal,
    a float, which counts as its shortest text, a number of NumPy, or decimal text.
    Threads: the context's; a thread that the tool starts must run in a copy of its context.
    Errors: RequestError for a negative count, an unknown meter, or what is not a number: then nothing is recorded.
    """
    scope = _running("record_usage")
    texts = usage_texts(usage, meters)
    if scope is None or not texts:
        return
    if tool is not None:
        text_bytes(tool, "tool")
        scope.payment.engine._tool_asset(tool)  # an unknown tool is refused here, where it was recorded
    if not scope.record(tool, texts):
        _warn_late("record_usage")


def record_amount(amount: Money, *, payee: str | None = None, description: str | None = None) -> None:
    """Adds an amount to what the running metered call costs, on a line of its own in the receipt.

    The amount goes to ``payee``, by default the platform. The call's maximum limits the sum of all lines. Outside a
    metered call it warns.

    Units: major units of the asset that the call is charged in.
    Threads: the context's, as ``record_usage``.
    Errors: RequestError for an amount that is negative or cannot be read: then nothing is recorded.
    """
    scope = _running("record_amount")
    if scope is not None and not scope.add_amount(amount, payee, description):
        _warn_late("record_amount")


def _running(name: str) -> CallScope | None:
    scope = scope_variable.get()
    if scope is None or scope.running is None:
        warnings.warn(
            f"{name} was called outside a metered call: nothing is charged. A thread that a tool starts must run in a "
            "copy of its context (contextvars.copy_context().run).",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    return scope.running


def _warn_late(name: str) -> None:
    warnings.warn(
        f"{name} was called after its metered call had ended: nothing is charged.", RuntimeWarning, stacklevel=3
    )


def _forget_lock() -> None:
    global _recording
    _recording = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)
