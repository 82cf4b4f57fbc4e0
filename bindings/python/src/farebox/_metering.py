"""One metered tool: what its price says, and the two steps around a call, ``farebox_begin`` and ``farebox_finish``.

Nothing about money is decided here: what is known goes to the library, and what it answers is returned or raised.
"""

from __future__ import annotations

import ctypes
import inspect
import struct
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Union

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from . import context
from ._arguments import canonical
from ._counting import UnitsOf, argument, counter_of, meter_of, price_per, signature_of
from ._encoding import call_flags, given, manifest_of
from ._identity import skill_of
from ._quantities import usage_json, usage_texts
from ._waiting import elsewhere
from .context import Borrowed, CallScope, Payment, Scope, missing_payer
from .engine import Farebox
from .errors import FareboxError, RequestError, StateError
from .money import Money, text_of, to_units
from .values import Usage

Cost = Union[Money, Mapping[str, Money], Callable[..., Money]]
"""A price: a decimal for one of ``per``, decimals by meter, or a callable of the tool's arguments."""

EngineOf = Union[None, Farebox, Callable[[], Farebox]]
"""The engine that meters a tool: itself, a function that gives it, or None for that of the context."""

PayerOf = Union[None, str, Callable[..., str]]
"""Who pays: an account, an argument's name, a callable of the tool's arguments, or None for that of the context."""

ModelOf = Union[None, str, Callable[..., Union[str, None]]]
"""Which rate of a rate card applies: an argument's name, a callable of the arguments, or None for the result's."""

_BEGIN_SIZE = layout.BEGIN.size
_FINISH_SIZE = layout.FINISH.size
_LINE_SIZE = layout.CALL_LINE.size
_RECEIPT_SIZE = layout.RECEIPT.size
_ARENA = frames.ARENA
_CALL = frames.CALL
_CALL_END = frames.CALL + layout.METERED_CALL.size
_FINISH = frames.FINISH
_FINISH_END = frames.FINISH + _FINISH_SIZE
_RECEIPT = frames.RECEIPT
_RECEIPT_END = frames.RECEIPT + _RECEIPT_SIZE
_BEGIN_TEXTS = {
    name: layout.offset(layout.BeginArgs, name) for name in ("tool", "call", "parent", "arguments", "expected")
}
_ORDINAL_AT = layout.offset(layout.BeginArgs, "ordinal")
_AMOUNT_AT = layout.offset(layout.BeginArgs, "amount")
_MAX_COST_AT = layout.offset(layout.BeginArgs, "max_cost")
_BEGIN_FLAGS_AT = layout.offset(layout.BeginArgs, "flags")
_FLAGS_AT = layout.offset(layout.Receipt, "flags")
_TALLY_SIZE = ctypes.sizeof(layout.Tally)

_pack_text = layout.STR.pack_into
_pack_ordinal = struct.Struct("<I").pack_into
_pack_amount = struct.Struct("<q").pack_into
_read_flags = struct.Struct("<I").unpack_from
_read_amount = struct.Struct("<q").unpack_from
_MAXIMUM = -1
"""An amount that stands for the call's maximum."""

_get_scope = context.get_scope
_open_generators = context.open_generators
_free = frames.free_list


@dataclass(frozen=True)
class ToolPricing:
    """What a decorated function says about its price: ``function.__farebox__``.

    Units: ``cost``, ``costs`` (by meter) and ``max_cost`` in major units of ``currency``, as exact decimal text.
    Threads: immutable.
    """

    tool: str
    skill: str
    cost: str | None
    costs: Mapping[str, str] | None
    rates: str | None
    currency: str
    per: str
    max_cost: str | None
    description: str | None
    category: str | None
    revenue_share: str | None
    owner: str | None
    dynamic: bool


class Opening(NamedTuple):
    """A call that is about to begin: everything that its arguments and its context say."""

    payment: Payment
    template: bytes
    texts: dict[str, bytes]
    amount: int | None
    ordinal: int
    call: str | None
    named: Any
    model: str | None


class Ending(NamedTuple):
    """A call that has ended: everything that the library is told."""

    scope: CallScope
    ending: int
    flags: int
    tally: bytes | bytearray | None
    tallies: dict[str, bytes | bytearray]
    amounts: list[tuple[int, str | None, str | None]]


class Meter:
    """One metered tool: its price metadata, and the steps around a call.

    It can be pickled where its function and its options can.

    Threads: any; what it caches for a payment is built once and then only read.
    """

    def __init__(self, function: Callable[..., Any], skill: str | None, options: dict[str, Any]) -> None:
        self.function = function
        name = options["name"]
        tool = name if name is not None else getattr(function, "__name__", None)
        if not isinstance(tool, str) or not tool:
            raise RequestError(status.MISSING_FIELD, "This callable has no name: give name=.", field="name")
        self._set_up(tool, skill if skill is not None else skill_of(function, tool), skill is not None, options)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.function, self.pricing.tool, self.pricing.skill, self._skill_given, self._options

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.function = state[0]
        self._set_up(*state[1:])

    def _set_up(self, tool: str, skill: str, skill_given: bool, options: dict[str, Any]) -> None:
        self._options = options
        self._skill_given = skill_given
        cost, rates, per, units = options["cost"], options["rates"], options["per"], options["units"]
        max_cost, description = options["max_cost"], options["description"]
        if description is None:
            document = inspect.getdoc(self.function) if inspect.isroutine(self.function) else None
            description = document.strip().split("\n\n")[0].replace("\n", " ")[:500] if document else None
        costs = None
        if isinstance(cost, Mapping):
            if not cost:
                raise RequestError(status.INVALID_ARGUMENT, "cost= has no meter.", field="cost")
            costs = {meter: text_of(rate, f"cost.{meter}") for meter, rate in cost.items()}
        if rates is not None and cost is not None:
            raise RequestError(status.INVALID_ARGUMENT, "Give either cost= or rates=.", field="rates")
        self.dynamic = callable(cost)
        self.pricing = ToolPricing(
            tool=tool,
            skill=skill,
            cost=None if cost is None or callable(cost) or costs is not None else text_of(cost, "cost"),
            costs=costs,
            rates=rates,
            currency=options["currency"],
            per=per,
            max_cost=None if max_cost is None else text_of(max_cost, "max_cost"),
            description=description,
            category=options["category"],
            revenue_share=None
            if options["revenue_share"] is None
            else text_of(options["revenue_share"], "revenue_share"),
            owner=options["owner"],
            dynamic=self.dynamic,
        )
        self._cost = cost
        self._signature = signature_of(self.function)
        parameters = [] if self._signature is None else list(self._signature.parameters.values())
        self._usage_of: Callable[..., Usage | None] | None = None
        if costs is not None:
            self._usage_of = _estimate_of(costs, units, parameters)
        elif not self.dynamic and (units is not None or (rates is None and per not in ("request", "requests"))):
            self._usage_of = counter_of(per, units, parameters, _has_self(parameters))
        self._engine: EngineOf = options["engine"]
        self._payer: PayerOf = options["payer"]
        self._payer_of: Callable[..., str] | None = None
        if callable(self._payer):
            self._payer_of = self._payer
        elif self._payer is not None and any(one.name == self._payer for one in parameters):
            self._payer_of = argument(self._payer, parameters)
        self._from_context = self._engine is None and self._payer is None
        self._rates: str | None = rates
        model: ModelOf = options["model"]
        if model is not None and rates is None:
            raise RequestError(status.INVALID_ARGUMENT, "model= belongs to rates=.", field="model")
        if isinstance(model, str):
            if not any(one.name == model for one in parameters):
                raise RequestError(status.INVALID_ARGUMENT, f"The tool has no argument {model!r}.", field="model")
            self._model_of: Callable[..., str | None] | None = argument(model, parameters)
        else:
            self._model_of = model
        if rates is not None and model is None and max_cost is None and not options["charge_afterwards"]:
            raise RequestError(
                status.MISSING_FIELD,
                "The model, and with it the rate, is known only from the result. Give max_cost=, which is held until "
                "then, or model=.",
                field="max_cost",
            )
        self.measure: Callable[[Any], Usage | None] | None = options["measure"]
        self.failed: Callable[[Any], bool] | None = options["failed"]
        self.looks = self.measure is not None or rates is not None
        self._looks_or_asks = self.looks or self.failed not in (None, is_failed_result)
        self._plain = self._usage_of is None and not self.dynamic and rates is None
        hold_seconds, durability = options["hold_seconds"], options["durability"]
        self._hold_milliseconds = 0 if hold_seconds is None else max(1, round(hold_seconds * 1000))
        if durability is not None and durability not in layout.DURABILITY:
            raise RequestError(
                status.INVALID_ARGUMENT, "durability is 'full', 'normal' or 'relaxed'.", field="durability"
            )
        self._durability = 0 if durability is None else layout.DURABILITY[durability]
        self._returned = layout.FINISH.pack(_FINISH_SIZE, 0, layout.ENDING_RETURNED, self._durability, *(0,) * 8)
        self._flags = call_flags(options["charge_afterwards"], options["release_unreported"])
        self._tools: weakref.WeakKeyDictionary[Farebox, Borrowed] = weakref.WeakKeyDictionary()
        self._ref = weakref.ref(self)

    # ---- Begin ----

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallScope:
        """Holds money for a call that is about to run.

        Errors: those of ``farebox_begin``, PaymentRefused among them; nothing is held then.
        """
        scope = _get_scope()
        if (
            self._from_context
            and scope is not None
            and scope.payment is not None
            and not scope.source.left
            and not _open_generators
        ):
            payment = scope.payment
        else:
            scope, payment = self._resolve(args, kwargs)
        template = payment.templates.get(self._ref)
        if template is None:
            template = self._prepare(payment)
        if not self._plain or (scope is not None and scope.call is not None):
            return self.send(self._opening(scope, payment, template, args, kwargs))
        try:
            frame = _free.pop()
        except IndexError:
            frame = frames.take()
        raw = frame.raw
        raw[0:_BEGIN_SIZE] = template
        engine = payment.engine
        code = engine._library.begin(engine._handle, frame.base, frame.call, frame.error)
        if code:
            error = frame.failure(code)
            frames.give(frame)
            raise error
        result = CallScope(payment, raw[_CALL:_CALL_END])
        _free.append(frame)
        return result

    def waits(self) -> bool:
        """Whether the store of the next call may keep it waiting, so that an event loop should not wait with it."""
        if isinstance(self._engine, Farebox):
            return self._engine._waits
        scope = _get_scope()
        if self._engine is None:
            return scope is not None and scope.payment is not None and scope.payment.engine._waits
        return True

    def plan(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], CallScope]:
        """Reads arguments and context, and returns the function that begins the call, on any thread."""
        scope, payment = self._resolve(args, kwargs)
        opening = self._opening(scope, payment, payment.templates.get(self._ref, b""), args, kwargs)

        def work() -> CallScope:
            return self.send(opening if opening.template else opening._replace(template=self._prepare(payment)))

        return work

    def _opening(
        self,
        scope: Scope | None,
        payment: Payment,
        template: bytes,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Opening:
        engine = payment.engine
        texts: dict[str, bytes] = {}
        amount: int | None = None
        model = None
        if self.dynamic:
            assert callable(self._cost)
            amount = to_units(self._cost(*args, **kwargs), engine._scale(self.pricing.currency), "cost")
        elif self._usage_of is not None:
            usage = self._usage_of(*args, **kwargs)
            if usage is not None:
                texts["expected"] = usage_json(usage)
        if self._rates is not None:
            model = None if self._model_of is None else self._model_of(*args, **kwargs)
            if model:
                texts["tool"] = frames.text_bytes(f"{self._rates}/{model}", "model")
            else:
                amount = _MAXIMUM  # the model is in the result: then its rate is a line of the call
        call, ordinal = None, 0
        named = context.Scope.named
        if scope is not None and scope.named.left:
            scope = context.current_scope()
        if scope is not None and scope.call is not None:
            call, named = scope.call, scope.named
            texts["call"] = frames.text_bytes(call, "call")
            if scope.inside:
                texts["parent"] = scope.inside.encode("ascii")
            texts["arguments"] = canonical(self._signature, args, kwargs)
            ordinal = scope.next_ordinal((self.pricing.skill, self.pricing.tool, texts["arguments"]))
        return Opening(payment, template, texts, amount, ordinal, call, named, model)

    def send(self, opening: Opening) -> CallScope:
        """Begins a call."""
        payment, texts = opening.payment, opening.texts
        engine = payment.engine
        frame = frames.take_for(sum(map(len, texts.values())))
        try:
            raw = frame.raw
            raw[0:_BEGIN_SIZE] = opening.template
            at = _ARENA
            for name, text in texts.items():
                raw[at : at + len(text)] = text
                _pack_text(raw, _BEGIN_TEXTS[name], frame.base + at, len(text))
                at += len(text)
            _pack_ordinal(raw, _ORDINAL_AT, opening.ordinal)
            amount = opening.amount
            if amount is not None:
                if amount == _MAXIMUM:
                    amount = _read_amount(raw, _MAX_COST_AT)[0]
                raw[_BEGIN_FLAGS_AT] |= layout.CALL_AMOUNT_GIVEN
                _pack_amount(raw, _AMOUNT_AT, amount)
            code = engine._library.begin(engine._handle, frame.base, frame.call, frame.error)
            if code:
                raise frame.failure(code)
            scope = CallScope(payment, raw[_CALL:_CALL_END])
        finally:
            frames.give(frame)
        if opening.call is not None:
            scope.call, scope.named, scope.ordinals, scope.inside = opening.call, opening.named, {}, scope.key
        scope.model = opening.model
        return scope

    # ---- Finish ----

    def finish(self, scope: CallScope, result: Any = None) -> None:
        """Ends a call that has returned, or whose stream was consumed to its end.

        Errors: those of ``farebox_finish``.
        """
        payment = scope.payment
        if (
            self._looks_or_asks
            or scope.recorded
            or scope.delivered
            or payment.on_receipt is not None
            or (type(result) not in _SIMPLE and self.failed is not None)
        ):
            ending = self.ending(scope, layout.ENDING_RETURNED, result)
            if ending is not None:
                self.tell(scope, self.settle(ending))
            return
        scope.ended = True
        try:
            frame = _free.pop()
        except IndexError:
            frame = frames.take()
        raw = frame.raw
        raw[_CALL:_CALL_END] = scope.raw
        raw[_FINISH:_FINISH_END] = self._returned
        engine = payment.engine
        code = engine._library.finish(engine._handle, frame.call, frame.finish, frame.receipt, frame.error)
        if code:
            error = frame.failure(code)
            frames.give(frame)
            raise error
        receipt = raw[_RECEIPT:_RECEIPT_END]
        _free.append(frame)
        if not receipt[_FLAGS_AT] & layout.RECEIPT_RELEASED:
            payment.keep(receipt)

    def broken(self, scope: CallScope, left: bool) -> None:
        """Ends a call that failed, or that nobody waits for any more; a charge that fails is warned about."""
        ending = self.ending(scope, layout.ENDING_LEFT if left else layout.ENDING_FAILED)
        if ending is not None:
            self.settle_quietly(ending)

    async def begin_elsewhere(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallScope:
        """Begins a call without keeping the event loop waiting; a call whose task is cancelled meanwhile is left."""
        return await elsewhere(self.plan(args, kwargs), lambda scope: self.broken(scope, True))

    async def finish_elsewhere(self, scope: CallScope, result: Any = None) -> None:
        """Ends a call as ``finish``, without keeping the event loop waiting."""
        if not scope.payment.engine._waits:
            self.finish(scope, result)
            return
        ending = self.ending(scope, layout.ENDING_RETURNED, result)
        if ending is not None:
            ready = ending
            self.tell(scope, await elsewhere(lambda: self.settle(ready), lambda receipt: self.tell(scope, receipt)))

    async def broken_elsewhere(self, scope: CallScope, left: bool, error: BaseException) -> None:
        """Ends a call as ``broken``, without keeping the event loop waiting."""
        if not scope.payment.engine._waits or isinstance(error, GeneratorExit):
            self.broken(scope, left)
            return
        ending = self.ending(scope, layout.ENDING_LEFT if left else layout.ENDING_FAILED)
        if ending is not None:
            ready = ending
            await elsewhere(lambda: self.settle_quietly(ready))

    def settle_quietly(self, ending: Ending) -> None:
        """Ends a call whose exception or cancellation goes on; a charge that fails is warned about."""
        try:
            receipt = self.settle(ending)
        except FareboxError as error:
            if not ending.scope.payment.engine.closed:
                warnings.warn(f"The end of a call of {self.pricing.tool!r} was not booked: {error}", RuntimeWarning, 3)
            return
        self.tell(ending.scope, receipt)

    def ending(self, scope: CallScope, ending: int, result: Any = None) -> Ending | None:
        """Reads what a call's result says; None where the call has ended before."""
        returned = ending == layout.ENDING_RETURNED
        if scope.ended:
            return None
        if returned and self.failed is not None and self._says_failed(result):
            ending = layout.ENDING_REPORTED_FAILURE
            returned = False
        if returned and self.looks:
            self._look(scope, result if result is not None else scope.last)
        if not scope.end():
            return None
        used, tallies, amounts = scope.tally, scope.tallies or {}, scope.amounts or []
        flags = layout.FINISH_DELIVERED if scope.delivered else 0
        if self._rates is not None and scope.late_model and used is not None:
            # The call was held as one of an amount; its price is that of the model's rate, on a line of its own.
            lines = {f"{self._rates}/{scope.model}": used, **tallies}
            return Ending(scope, ending, flags | layout.FINISH_AMOUNT, None, lines, amounts)
        return Ending(scope, ending, flags, used, tallies, amounts)

    def settle(self, ending: Ending) -> bytearray:
        """Ends a call in the ledger, on any thread; returns the receipt."""
        scope = ending.scope
        engine = scope.payment.engine
        count = len(ending.tallies) + len(ending.amounts)
        texts = [(frames.text_bytes(tool, "tool"), b"", b"") for tool in ending.tallies] + [
            (b"", (payee or "").encode("utf-8", "surrogatepass"), (note or "").encode("utf-8", "surrogatepass"))
            for _, payee, note in ending.amounts
        ]
        used = sum(len(text) for line in texts for text in line)
        frame = frames.take_for(count * (_LINE_SIZE + _TALLY_SIZE) + used)
        try:
            raw, base = frame.raw, frame.base
            raw[_CALL:_CALL_END] = scope.raw
            if ending.tally is not None:
                raw[frames.TALLY : frames.TALLY + _TALLY_SIZE] = ending.tally
            at = _ARENA + count * _LINE_SIZE
            tallies = at
            for tally in ending.tallies.values():
                raw[at : at + _TALLY_SIZE] = tally
                at += _TALLY_SIZE
            for index, line in enumerate(texts):
                pointers: list[int] = []
                for text in line:
                    raw[at : at + len(text)] = text
                    pointers += (base + at if text else 0, len(text))
                    at += len(text)
                place = index - len(ending.tallies)
                layout.CALL_LINE.pack_into(
                    raw,
                    _ARENA + index * _LINE_SIZE,
                    *pointers,
                    base + tallies + index * _TALLY_SIZE if place < 0 else 0,
                    0 if place < 0 else ending.amounts[place][0],
                    0 if place < 0 else layout.CALL_LINE_AMOUNT,
                )
            layout.FINISH.pack_into(
                raw,
                _FINISH,
                _FINISH_SIZE,
                ending.flags,
                ending.ending,
                self._durability,
                frame.tally if ending.tally is not None else 0,
                frame.arena if count else 0,
                count,
                *(0,) * 5,
            )
            code = engine._library.finish(engine._handle, frame.call, frame.finish, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return raw[_RECEIPT:_RECEIPT_END]
        finally:
            frames.give(frame)

    def tell(self, scope: CallScope, receipt: bytearray) -> None:
        """Gives the receipt of a call that was charged to its payment."""
        if _read_flags(receipt, _FLAGS_AT)[0] & layout.RECEIPT_RELEASED:
            return
        payment = scope.payment
        payment.keep(receipt)
        if payment.on_receipt is not None:
            payment.on_receipt(payment.engine._receipt_at(receipt, 0))

    def _says_failed(self, result: Any) -> bool:
        assert self.failed is not None
        try:
            return bool(self.failed(result))
        except Exception as error:
            warnings.warn(
                f"failed= of {self.pricing.tool!r} raised {error!r}: the call counts as one that succeeded.",
                RuntimeWarning,
                stacklevel=4,
            )
            return False

    def _look(self, scope: CallScope, result: Any) -> None:
        """Records what a result says of its usage and model; the result is never lost for what cannot be read."""
        if self._rates is not None and scope.model is None:
            model = _member(result, "model")
            if isinstance(model, str) and model and self._has_rate(scope, model):
                scope.model = model
                scope.late_model = True
        if self.measure is None or scope.tally is not None:
            return
        try:
            usage = self.measure(result)
            texts = usage_texts(usage, {})
            if texts:
                scope.record(None, texts)
        except Exception as error:
            warnings.warn(
                f"The usage of a call of {self.pricing.tool!r} cannot be read: {error!r}", RuntimeWarning, stacklevel=4
            )

    def _has_rate(self, scope: CallScope, model: str) -> bool:
        try:
            scope.payment.engine._tool_asset(f"{self._rates}/{model}")
        except StateError as error:
            warnings.warn(
                f"The model of a call of {self.pricing.tool!r} has no rate, so what was held is charged: {error}",
                RuntimeWarning,
                stacklevel=5,
            )
            return False
        return True

    # ---- What is built once ----

    def _resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Scope | None, Payment]:
        scope = context.current_scope()
        outer = scope.payment if scope is not None else None
        engine: Farebox | None
        if self._engine is None:
            engine = outer.engine if outer is not None else None
        elif isinstance(self._engine, Farebox):
            engine = self._engine
        else:
            engine = self._engine()
        if self._payer_of is not None:
            payer: Any = self._payer_of(*args, **kwargs)
        elif self._payer is not None:
            payer = self._payer
        else:
            payer = outer.payer if outer is not None and outer.engine is engine else None
        if engine is None or payer is None:
            raise missing_payer()
        if outer is not None and outer.engine is engine and outer.payer == payer:
            return scope, outer
        return scope, engine._payment(payer, outer.run if outer is not None else None)

    def _prepare(self, payment: Payment) -> bytes:
        """Registers the tool, and makes the ``farebox_begin_args`` of its calls for one payment."""
        engine = payment.engine
        stated = self.pricing
        tool = self._tools.get(engine)
        if tool is None:
            # Of two threads the first one's text counts: a template holds its address.
            tool = self._tools.setdefault(engine, Borrowed(frames.text_bytes(self._reference(engine), "name")))
        flags, maximum = self._flags, 0
        if stated.max_cost is not None:
            listed = self._cost is None and self._rates is None
            asset = engine._tool_asset(stated.tool) if listed else stated.currency
            maximum = to_units(stated.max_cost, engine._scale(asset), "max_cost")
            flags |= layout.CALL_MAX_COST_GIVEN
        payer, run = payment.payer_text, payment.run_text
        template = layout.BEGIN.pack(
            _BEGIN_SIZE,
            flags,
            payer.address,
            payer.size,
            tool.address,
            tool.size,
            run.address if run is not None else 0,
            run.size if run is not None else 0,
            *(0,) * 10,
            0,
            0,
            0,
            maximum,
            self._hold_milliseconds,
        )
        payment.templates[weakref.ref(self, _forgetting(payment))] = template
        return template

    def _reference(self, engine: Farebox) -> str:
        """What the tool is called in the ledger: pinned to its content where it has a price of its own."""
        stated = self.pricing
        if self._cost is None and self._rates is None:
            return f"{stated.skill}#{stated.tool}" if self._skill_given else stated.tool
        manifest = self.manifest(engine)
        engine._keep_skill(manifest)
        return f"{manifest['id']}@{manifest['version']}#{stated.tool}"

    def manifest(self, engine: Farebox) -> dict[str, Any]:
        """Returns the skill manifest that registers this tool with an engine, its version derived from its content."""
        stated = self.pricing
        components: list[dict[str, Any]] | None = None
        if stated.dynamic or stated.rates is not None:
            components = [{"model": "dynamic"}]
        elif stated.costs is not None:
            components = [{"meter": meter_of(meter), "rate": rate} for meter, rate in stated.costs.items()]
        tool = given(
            name=stated.tool,
            pricing=given(
                cost=stated.cost,
                currency=stated.currency,
                per=None if components is not None else price_per(stated.per),
                components=components,
                max_cost=stated.max_cost,
            ),
            revenue_share=stated.revenue_share,
            description=stated.description,
            category=stated.category,
        )
        return manifest_of(stated.skill, stated.owner if stated.owner is not None else engine.default_owner, tool)


_SIMPLE = frozenset((type(None), str, int, float, bool, list, tuple, bytes))
"""Types of results that cannot say that they failed."""


def is_failed_result(result: Any) -> bool:
    """Whether a tool's result says that it failed: ``isError`` or ``is_error`` is true, as attribute or in a mapping.

    Threads: any.
    """
    return _member(result, "isError") is True or _member(result, "is_error") is True


def _member(value: Any, name: str) -> Any:
    try:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:
        return None


def _has_self(parameters: list[inspect.Parameter]) -> bool:
    return bool(parameters) and parameters[0].name in ("self", "cls")


def _estimate_of(
    costs: Mapping[str, str], units: UnitsOf | None, parameters: list[inspect.Parameter]
) -> Callable[..., Usage | None]:
    """Estimates the usage of a price of several meters, where each of them can be counted before the call."""
    skipped = _has_self(parameters)
    if units is not None:
        if not callable(units) and len(costs) > 1:
            raise RequestError(
                status.INVALID_ARGUMENT,
                "An argument counts one meter, and this price has several. Give units= a function of the arguments that "
                "gives the counts by meter.",
                field="units",
            )
        return counter_of(next(iter(costs)) if len(costs) == 1 else "unit", units, parameters, skipped)
    counters = [counter_of(meter, None, parameters, skipped) for meter in costs]

    def estimate(*args: Any, **kwargs: Any) -> Usage | None:
        found: dict[str, Any] = {}
        for counter in counters:
            usage = counter(*args, **kwargs)
            if not isinstance(usage, Mapping):
                return None
            found.update(usage)
        return found

    return estimate


def _forgetting(payment: Payment) -> Callable[[weakref.ref[Meter]], None]:
    owner = weakref.ref(payment)

    def forget(reference: weakref.ref[Meter]) -> None:
        found = owner()
        if found is not None:
            found.templates.pop(reference, None)

    return forget
