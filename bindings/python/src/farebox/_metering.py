"""One metered tool: what its price says, and the steps around a call."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import struct
import weakref
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Callable, Union, cast

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._counting import UnitsOf, argument, counter_of, parameters_of, price_per
from .context import Borrowed, CallScope, Payment, Scope, missing_payer, scope_variable, unique
from .engine import Farebox
from .errors import FareboxError, PaymentRefused, RequestError, error_of
from .money import Money, text_of, to_units
from .values import ZERO_USAGE, Quantity, Usage, usage_counts

Cost = Union[Money, Callable[..., Money]]
"""A price: a decimal for one of ``per``, or a callable of the tool's arguments that gives the amount."""

EngineOf = Union[None, Farebox, Callable[[], Farebox]]
"""The engine that meters a tool: itself, a function that gives it, or None for that of the context."""

PayerOf = Union[None, str, Callable[..., str]]
"""Who pays: an account, an argument's name, a callable of the tool's arguments, or None for that of the context."""

_KEY_MAX = 255
_RESERVE_SIZE = layout.RESERVE.size
_CAPTURE_SIZE = layout.CAPTURE.size
_ARENA = frames.ARENA
_CAPTURE_AT = frames.CAPTURE
_CAPTURE_END = frames.CAPTURE + _CAPTURE_SIZE
_KEY_AT = layout.offset(layout.ReserveArgs, "idempotency_key")
_CALL_AT = layout.offset(layout.ReserveArgs, "call")
_AMOUNT_AT = layout.offset(layout.ReserveArgs, "amount")
_USAGE_AT = layout.offset(layout.ReserveArgs, "usage")
_HOLD_AT = frames.CAPTURE + layout.offset(layout.CaptureArgs, "hold")
_FLAGS_AT = frames.RECEIPT + layout.offset(layout.Receipt, "flags")
_RECEIPT_HOLD_AT = frames.RECEIPT + layout.offset(layout.Receipt, "hold")

_pack_text = layout.STR.pack_into
_pack_hold = struct.Struct("<Q").pack_into
_pack_amount = struct.Struct("<q").pack_into
_read_flags = struct.Struct("<I").unpack_from
_read_hold = struct.Struct("<Q").unpack_from

_current_scope = scope_variable.get
_free = frames.free_list


@dataclass(frozen=True)
class ToolPricing:
    """What a decorated function says about its price: ``function.__farebox__``.

    Units: ``cost`` and ``max_cost`` in major units of ``currency``, as exact decimal text.
    Threads: immutable.
    """

    tool: str
    cost: str | None
    currency: str
    per: str
    max_cost: str | None
    description: str | None
    category: str | None
    revenue_share: str | None
    owner: str | None
    dynamic: bool
    meter: Meter = field(repr=False, compare=False)


class Meter:
    """One metered tool: its price metadata, and the three steps around a call.

    Threads: any; what it caches for a payment is built once and then only read.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        cost: Cost | None,
        currency: str,
        per: str,
        max_cost: Money | None,
        description: str | None,
        category: str | None,
        revenue_share: Money | None,
        owner: str | None,
        name: str | None,
        units: UnitsOf | None,
        engine: EngineOf,
        payer: PayerOf,
        measure: Callable[[Any], Usage | None] | None,
        failed: Callable[[Any], bool] | None,
        hold_seconds: float | None,
        over_capture: str | None,
        durability: str | None,
    ) -> None:
        tool = name if name is not None else getattr(function, "__name__", None)
        if not isinstance(tool, str) or not tool:
            raise RequestError(status.MISSING_FIELD, "This callable has no name: give name=.", field="name")
        if description is None:
            document = inspect.getdoc(function) if inspect.isroutine(function) else None
            description = document.strip().split("\n\n")[0].replace("\n", " ")[:500] if document else None
        self.dynamic = callable(cost)
        self.pricing = ToolPricing(
            tool=tool,
            cost=None if cost is None or callable(cost) else text_of(cost, "cost"),
            currency=currency,
            per=per,
            max_cost=None if max_cost is None else text_of(max_cost, "max_cost"),
            description=description,
            category=category,
            revenue_share=None if revenue_share is None else text_of(revenue_share, "revenue_share"),
            owner=owner,
            dynamic=self.dynamic,
            meter=self,
        )
        self._cost = cost
        self._skill = _skill_id(function, tool)
        self._tool_text = Borrowed(frames.text_bytes(tool, "name"))
        self._counted = not self.dynamic and (per not in ("request", "requests") or units is not None)
        parameters = parameters_of(function)
        self._usage_of = counter_of(per, units, parameters) if self._counted else None
        self._engine = engine
        self._payer = payer
        self._payer_of: Callable[..., str] | None = None
        if callable(payer):
            self._payer_of = payer
        elif payer is not None and any(one.name == payer for one in parameters):
            self._payer_of = argument(payer, parameters)
        self._from_context = engine is None and payer is None
        self._measure = measure
        self._failed = failed
        self._plain = measure is None and failed is None and not self._counted and not self.dynamic
        self._fixed = self._plain and cost is not None
        self._hold_milliseconds = 0 if hold_seconds is None else max(1, round(hold_seconds * 1000))
        policy = over_capture if over_capture is not None else "overflow" if max_cost is None else "cap"
        if policy not in layout.OVER_CAPTURE:
            raise RequestError(
                status.INVALID_ARGUMENT, "over_capture is 'reject', 'cap' or 'overflow'.", field="over_capture"
            )
        self._over_capture = layout.OVER_CAPTURE[policy]
        if durability is not None and durability not in layout.DURABILITY:
            raise RequestError(
                status.INVALID_ARGUMENT, "durability is 'full', 'normal' or 'relaxed'.", field="durability"
            )
        self._durability = durability
        self._durability_code = 0 if durability is None else layout.DURABILITY[durability]
        self._capture_all = layout.CAPTURE.pack(_CAPTURE_SIZE, 0, 0, *(0,) * 6, 0, *ZERO_USAGE, self._durability_code)
        self._registered: weakref.WeakKeyDictionary[Farebox, bool] = weakref.WeakKeyDictionary()

    # ---- The three steps ----

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallScope:
        """Holds the price of a call that is about to run.

        Errors: PaymentRefused and those of ``Farebox.reserve``; nothing is held then.
        """
        scope = _current_scope()
        if self._from_context and scope is not None and scope.payment is not None:
            payment = scope.payment
        else:
            payment = self._resolve(scope, args, kwargs)
        template = payment.templates.get(self)
        if template is None:
            template = self._prepare(payment)
        call = scope.next_call() if scope is not None else None
        if call is not None or not self._plain:
            return self._begin_slowly(payment, template, call, args, kwargs)
        key = b"%032x" % unique.next()
        try:
            frame = _free.pop()
        except IndexError:
            frame = frames.take()
        raw = frame.raw
        raw[0:_RESERVE_SIZE] = template
        raw[_ARENA : _ARENA + 32] = key
        _pack_text(raw, _KEY_AT, frame.arena, 32)
        engine = payment.engine
        code = engine._library.reserve(engine._handle, frame.base, frame.receipt, frame.error)
        if code:
            error = frame.failure(code)
            frames.give(frame)
            raise error
        result = CallScope(payment, None, _read_hold(raw, _RECEIPT_HOLD_AT)[0])
        result.key = key
        _free.append(frame)
        return result

    def finish(self, scope: CallScope, result: Any = None) -> None:
        """Captures the hold of a call that ran, or releases it if the result says that the tool failed.

        Errors: those of ``Farebox.capture``. A hold that expired while the tool ran is charged anew.
        """
        payment = scope.payment
        if not self._fixed or scope.settled or payment.on_receipt is not None:
            self._finish_slowly(scope, result)
            return
        try:
            frame = _free.pop()
        except IndexError:
            frame = frames.take()
        raw = frame.raw
        raw[_CAPTURE_AT:_CAPTURE_END] = self._capture_all
        _pack_hold(raw, _HOLD_AT, scope.hold)
        engine = payment.engine
        code = engine._library.capture(engine._handle, frame.capture, frame.receipt, frame.error)
        if code:
            error = frame.failure(code)
            frames.give(frame)
            self._recover(scope, error)
            return
        _free.append(frame)

    def abort(self, scope: CallScope) -> None:
        """Releases the hold of a call that failed; a release that fails is left to the hold's expiry."""
        if scope.settled:
            return
        engine = scope.payment.engine
        frame = frames.take()
        try:
            engine._library.release(engine._handle, scope.hold, frame.receipt, frame.error)
        finally:
            frames.give(frame)

    def _begin_slowly(
        self, payment: Payment, template: bytes, call: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> CallScope:
        scope = CallScope(payment, call, 0)
        engine = payment.engine
        if self.dynamic:
            cost = cast(Callable[..., Money], self._cost)
            scope.amount = to_units(cost(*args, **kwargs), engine._scale(self.pricing.currency), "cost")
        elif self._usage_of is not None:
            scope.counts = usage_counts(self._usage_of(*args, **kwargs), {}, lambda: self._scale(engine))
        call_text = None if call is None else frames.text_bytes(call, "call")
        first = b"%032x" % unique.next() if call is None else self._key(payment, call)
        for attempt in range(1, 1000):
            key = first if attempt == 1 else _fitted(b"%s#%d" % (first, attempt))
            frame = frames.take_for(len(key) + len(call_text or b""))
            try:
                raw = frame.raw
                raw[0:_RESERVE_SIZE] = template
                raw[_ARENA : _ARENA + len(key)] = key
                _pack_text(raw, _KEY_AT, frame.arena, len(key))
                if call_text is not None:
                    at = _ARENA + len(key)
                    raw[at : at + len(call_text)] = call_text
                    _pack_text(raw, _CALL_AT, frame.base + at, len(call_text))
                if scope.counts is not None:
                    layout.USAGE.pack_into(raw, _USAGE_AT, *scope.counts)
                elif self.dynamic:
                    _pack_amount(raw, _AMOUNT_AT, scope.amount)
                code = engine._library.reserve(engine._handle, frame.base, frame.receipt, frame.error)
                if code:
                    raise frame.failure(code)
                scope.key = key
                scope.hold = _read_hold(raw, _RECEIPT_HOLD_AT)[0]
                replayed = _read_flags(raw, _FLAGS_AT)[0] & layout.RECEIPT_REPLAYED
            finally:
                frames.give(frame)
            if not replayed:
                return scope
            state = engine.call("hold.get", hold=scope.hold)["state"]
            if state == "captured":  # an earlier try of this call was paid for
                scope.settled = True
                return scope
            if state == "open":
                return scope
        raise error_of(status.KEY_CONFLICT, "This call was tried a thousand times.", field="call")

    def _finish_slowly(self, scope: CallScope, result: Any) -> None:
        if scope.settled:
            return
        try:
            if self._failed is not None and self._failed(result):
                self.abort(scope)
                return
            flags, amount, counts = self._used(scope, result)
        except BaseException:
            self.abort(scope)
            raise
        try:
            self._capture(scope, flags, amount, counts)
        except PaymentRefused as refused:
            if refused.code == status.UNPRICEABLE:  # the tool and its price do not agree: nobody pays for that
                self.abort(scope)
                raise
            # The excess over the hold was refused: take what is held, since the work is done.
            self._capture(scope, 0, 0, ZERO_USAGE)
        except FareboxError as error:
            self._recover(scope, error)

    def _used(self, scope: CallScope, result: Any) -> tuple[int, int, tuple[int, ...]]:
        """Says what to capture: flags, amount and counts; neither flag is all that is held."""
        if self.dynamic:
            return layout.CAPTURE_AMOUNT, scope.amount, ZERO_USAGE
        if self._counted or self._cost is None:
            recorded: Usage | None = scope.usage
            if recorded is None and self._measure is not None:
                recorded = self._measure(result)
            if recorded is not None:
                engine = scope.payment.engine
                scope.counts = usage_counts(recorded, {}, lambda: self._scale(engine))
            if scope.counts is not None:
                return layout.CAPTURE_USAGE, 0, scope.counts
        return 0, 0, ZERO_USAGE

    def _capture(self, scope: CallScope, flags: int, amount: int, counts: tuple[int, ...]) -> None:
        payment = scope.payment
        engine = payment.engine
        receipt = None
        frame = frames.take()
        try:
            layout.CAPTURE.pack_into(
                frame.raw,
                _CAPTURE_AT,
                _CAPTURE_SIZE,
                flags,
                scope.hold,
                *(0,) * 6,
                amount,
                *counts,
                self._durability_code,
            )
            code = engine._library.capture(engine._handle, frame.capture, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            if payment.on_receipt is not None:
                receipt = engine._receipt(frame.raw)
        finally:
            frames.give(frame)
        if receipt is not None and payment.on_receipt is not None:
            payment.on_receipt(receipt)

    def _recover(self, scope: CallScope, error: FareboxError) -> None:
        if error.code == status.HOLD_CAPTURED and scope.call is not None:
            return  # the same call, tried twice at once, is paid for
        # A named call's hold is also released when another try of it fails; anybody else who released it meant to.
        if error.code != status.HOLD_EXPIRED and (error.code != status.HOLD_RELEASED or scope.call is None):
            raise error
        payment = scope.payment
        key = _fitted(b"%s#late" % (scope.key or b"")).decode()
        usage: dict[str, Quantity] = {}
        if scope.counts is not None:
            usage = {meter: count for meter, count in zip(layout.METERS, scope.counts) if count}
            if scope.counts[11]:
                usage["units"] = Decimal(scope.counts[1]) + Decimal(scope.counts[11]).scaleb(-6)
            value = usage.pop("value", None)
            if value is not None:
                usage["value"] = Decimal(value).scaleb(-self._scale(payment.engine))
        receipt = payment.engine.charge(
            payment.payer,
            self.pricing.tool,
            amount=Decimal(scope.amount).scaleb(-self._scale(payment.engine)) if self.dynamic else None,
            usage=usage or None,
            key=key,
            run=payment.run,
            call=scope.call,
            durability=self._durability,
        )
        if payment.on_receipt is not None:
            payment.on_receipt(receipt)

    # ---- What is built once ----

    def _resolve(self, scope: Scope | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payment:
        outer = scope.payment if scope is not None else None
        engine: Farebox | None
        if self._engine is None:
            engine = outer.engine if outer is not None else None
        elif isinstance(self._engine, Farebox):
            engine = self._engine
        else:
            engine = self._engine()
        if self._payer_of is not None:
            payer: str | None = self._payer_of(*args, **kwargs)
        elif self._payer is not None:
            payer = cast(str, self._payer)
        else:
            payer = outer.payer if outer is not None else None
        if engine is None or payer is None:
            raise missing_payer()
        if outer is not None and outer.engine is engine and outer.payer == payer:
            return outer
        return engine._payment(payer, outer.run if outer is not None else None)

    def _prepare(self, payment: Payment) -> bytes:
        engine = payment.engine
        if engine not in self._registered:
            if self._cost is not None:
                engine.register_skill(self.manifest(engine))
            self._registered[engine] = True
        maximum = 0
        if self.pricing.max_cost is not None and (self._counted or self.dynamic):
            maximum = to_units(self.pricing.max_cost, self._scale(engine), "max_cost")
        payer, tool, run = payment.payer_text, self._tool_text, payment.run_text
        template = payment.templates[self] = layout.RESERVE.pack(
            _RESERVE_SIZE,
            layout.AMOUNT_GIVEN if self.dynamic else 0,
            payer.address,
            payer.size,
            tool.address,
            tool.size,
            *(0,) * 6,
            run.address if run is not None else 0,
            run.size if run is not None else 0,
            *(0,) * 6,
            0,
            maximum,
            *ZERO_USAGE,
            self._hold_milliseconds,
            self._over_capture,
            0,
        )
        return template

    def manifest(self, engine: Farebox) -> dict[str, Any]:
        """Returns the skill manifest that registers this tool with an engine, its version derived from its content."""
        stated = self.pricing
        tool = _stated(
            name=stated.tool,
            pricing=_stated(
                cost=stated.cost,
                currency=stated.currency,
                per=None if stated.dynamic else price_per(stated.per),
                components=[{"model": "dynamic"}] if stated.dynamic else None,
                max_cost=stated.max_cost,
            ),
            revenue_share=stated.revenue_share,
            description=stated.description,
            category=stated.category,
        )
        return manifest_of(self._skill, stated.owner if stated.owner is not None else engine.default_owner, tool)

    def _scale(self, engine: Farebox) -> int:
        return engine._scale(self.pricing.currency)

    def _key(self, payment: Payment, call: str) -> bytes:
        owner = payment.run if payment.run is not None else payment.payer
        return _fitted(f"{owner}/{call}/{self.pricing.tool}".encode("utf-8", "surrogatepass"))


def manifest_of(skill: str, owner: str | None, tool: dict[str, Any]) -> dict[str, Any]:
    """Returns the manifest of a skill of one tool, its version derived from its content."""
    content = _stated(id=skill, owner=owner, tools=[tool])
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"version": f"0.0.0+{digest[:16]}", **content}


def _stated(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _fitted(key: bytes) -> bytes:
    return key if len(key) <= _KEY_MAX else hashlib.sha256(key).hexdigest().encode()


def _skill_id(function: Callable[..., Any], tool: str) -> str:
    module = getattr(function, "__module__", None) or "python"
    place = getattr(function, "__qualname__", None) or tool
    return re.sub(r"[^A-Za-z0-9._:/-]", "", f"{module}.{place}".replace("<locals>.", ""))[-128:]
