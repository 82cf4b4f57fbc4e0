"""What the engine answers: receipts, quotes and balances, immutable, with exact decimals and integer atomic units."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal, Inexact
from typing import Any, NamedTuple, Optional, Union

from . import _layout as layout
from . import _statuses as status
from ._quantities import quantity_form
from .errors import FareboxError, RequestError, error_of
from .money import _EXACT, Money, decimal_of, to_decimal, to_units

__all__ = [
    "Balance",
    "ChargeRequest",
    "Quantity",
    "Quote",
    "QuoteLine",
    "Receipt",
    "TickResult",
    "ToolResult",
    "Usage",
]

Quantity = Union[int, Decimal, str, float]
"""A count of a meter: whole, except ``units``, which may have six digits after the point, and ``value``, an amount."""

Usage = Union[Quantity, Mapping[str, Optional[Quantity]]]
"""What a call used: counts by meter name, or a single number of ``units``; a count of None is not given."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
ZERO_USAGE: tuple[int, ...] = (0,) * 12
_RATE_UNKNOWN = 2**63 - 1
_MICRO = 10**6
_COUNT_MAX = 2**63 - 1
_INDEX = {meter: index for index, meter in enumerate(layout.METERS)}


class Receipt(NamedTuple):
    """Proof of a charge, hold, capture or release.

    Units: ``units`` and the other ``*_units`` are atomic units of ``asset``; the decimals of the same name are exact
    major units; ``time`` is microseconds since 1970.
    Threads: immutable.
    """

    status: int
    flags: int
    id: int
    hold: int
    units: int
    hold_remaining_units: int
    balance_units: int
    available_units: int
    time: int
    price_version: int
    asset: str
    scale: int
    shortfall_units: int = 0

    @property
    def ok(self) -> bool:
        """Whether this item of a batch was charged; always true outside of a batch."""
        return self.status == status.OK

    @property
    def error(self) -> FareboxError | None:
        """The exception of a refused item of a batch, not raised, or None."""
        return None if self.status == status.OK else error_of(self.status, refusal=self._refused)

    def require(self) -> Receipt:
        """Returns the receipt itself, or raises its error.

        Errors: that of the item's status.
        """
        if self.status != status.OK:
            raise error_of(self.status, refusal=self._refused)
        return self

    @property
    def _refused(self) -> bool:
        return bool(self.flags & layout.RECEIPT_REFUSAL)

    @property
    def amount(self) -> Decimal:
        """What was charged, held, captured or returned."""
        return decimal_of(self.units, self.scale)

    @property
    def hold_remaining(self) -> Decimal:
        """What is left on the hold."""
        return decimal_of(self.hold_remaining_units, self.scale)

    @property
    def balance(self) -> Decimal:
        """The balance of the paying wallet after this."""
        return decimal_of(self.balance_units, self.scale)

    @property
    def available(self) -> Decimal:
        """Balance less held money plus credit line, after this."""
        return decimal_of(self.available_units, self.scale)

    @property
    def at(self) -> datetime:
        """The time of the transfer, in UTC."""
        return _EPOCH + timedelta(microseconds=self.time)

    @property
    def replayed(self) -> bool:
        """Whether the key was used for the same request before: this is that request's receipt."""
        return bool(self.flags & layout.RECEIPT_REPLAYED)

    @property
    def uncommitted(self) -> bool:
        """Whether the store does not have it yet (relaxed durability)."""
        return bool(self.flags & layout.RECEIPT_UNCOMMITTED)

    @property
    def final(self) -> bool:
        """Whether a capture closed its hold."""
        return bool(self.flags & layout.RECEIPT_FINAL)

    @property
    def capped(self) -> bool:
        """Whether the amount is less than the usage's price, because max_cost or the hold bound it."""
        return bool(self.flags & layout.RECEIPT_CAPPED)

    @property
    def unreported(self) -> bool:
        """Whether the usage of a metered call was never reported: what was held was charged instead."""
        return bool(self.flags & layout.RECEIPT_UNREPORTED)

    @property
    def released(self) -> bool:
        """Whether a metered call was charged nothing: the hold went back to the payer."""
        return bool(self.flags & layout.RECEIPT_RELEASED)

    @property
    def shortfall(self) -> Decimal:
        """The part of a metered call's price that the payer could not pay."""
        return decimal_of(self.shortfall_units, self.scale)

    def __repr__(self) -> str:
        if self.status != status.OK:
            row = status.STATUSES.get(self.status)
            return f"Receipt(status={row.name if row is not None else self.status})"
        facts = [f"id={self.id}", f"amount={self.amount}", f"asset={self.asset!r}"]
        if self.hold:
            facts += [f"hold={self.hold}", f"hold_remaining={self.hold_remaining}"]
        facts += [f"balance={self.balance}", f"available={self.available}", f"at={self.at.isoformat()!r}"]
        facts += [
            f"{name}=True"
            for name in ("replayed", "uncommitted", "final", "capped", "unreported", "released")
            if getattr(self, name)
        ]
        if self.shortfall_units:
            facts.append(f"shortfall={self.shortfall}")
        return f"Receipt({', '.join(facts)})"


class RefusedReceipt(Receipt):
    """The receipt of an item of a batch that could not be encoded: nothing but the reason."""

    _reason: FareboxError

    @classmethod
    def of(cls, reason: FareboxError) -> RefusedReceipt:
        """Makes the receipt of a reason."""
        receipt = cls(reason.code, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0)
        receipt._reason = reason
        return receipt

    @property
    def error(self) -> FareboxError:
        """Why it was refused, with the field to blame."""
        return self._reason

    def require(self) -> Receipt:
        """Raises the reason.

        Errors: the reason.
        """
        raise self._reason


class QuoteLine(NamedTuple):
    """One component of a quote: quantity x rate + flat = amount.

    Units: ``quantity`` in the meter's own unit, ``rate`` in major units of the asset for one of it (None where it has
    more digits than a line can carry), ``amount`` in major units, ``units`` in atomic units.
    Threads: immutable.
    """

    meter: str
    tier: int | None
    quantity: Decimal
    rate: Decimal | None
    amount: Decimal
    units: int

    def __repr__(self) -> str:
        tier = "" if self.tier is None else f", tier={self.tier}"
        return (
            f"QuoteLine(meter={self.meter!r}{tier}, quantity={self.quantity}, rate={self.rate}, amount={self.amount})"
        )


class Quote(NamedTuple):
    """A price applied to a usage, explained line by line.

    Units: ``total`` in major units of ``asset``, ``units`` in atomic units; ``rows`` are the lines as integers.
    Threads: immutable.
    """

    tool: str
    asset: str
    scale: int
    units: int
    capped: bool
    price_version: int
    rows: tuple[tuple[int, int, int, int, int], ...]

    @property
    def total(self) -> Decimal:
        """What the usage costs."""
        return decimal_of(self.units, self.scale)

    @property
    def lines(self) -> tuple[QuoteLine, ...]:
        """One line for each component of the price that charged for something."""
        return tuple(
            QuoteLine(
                layout.METERS[meter] if 0 <= meter < len(layout.METERS) else str(meter),
                None if tier < 0 else tier,
                decimal_of(quantity, 6),
                None if rate == _RATE_UNKNOWN else decimal_of(rate, 12),
                decimal_of(amount, self.scale),
                amount,
            )
            for meter, tier, quantity, rate, amount in self.rows
        )

    def __repr__(self) -> str:
        capped = ", capped=True" if self.capped else ""
        return (
            f"Quote(tool={self.tool!r}, total={self.total}, asset={self.asset!r}{capped}, "
            f"price_version={self.price_version}, lines={self.lines!r})"
        )


class Balance(NamedTuple):
    """The balance of an account's wallet.

    Units: ``*units`` in atomic units of ``asset``, the decimals in major units.
    Threads: immutable.
    """

    account: str
    asset: str
    scale: int
    units: int
    held_units: int
    credit_line_units: int
    available_units: int

    @property
    def balance(self) -> Decimal:
        """The sum of all postings."""
        return decimal_of(self.units, self.scale)

    @property
    def held(self) -> Decimal:
        """What is in open holds."""
        return decimal_of(self.held_units, self.scale)

    @property
    def credit_line(self) -> Decimal:
        """How far below zero the wallet may go."""
        return decimal_of(self.credit_line_units, self.scale)

    @property
    def available(self) -> Decimal:
        """Balance less held money plus credit line."""
        return decimal_of(self.available_units, self.scale)

    def __repr__(self) -> str:
        return (
            f"Balance(account={self.account!r}, balance={self.balance}, held={self.held}, "
            f"credit_line={self.credit_line}, available={self.available}, asset={self.asset!r})"
        )


class TickResult(NamedTuple):
    """What a tick has done: holds expired, relaxed records committed, records sealed.

    Threads: immutable.
    """

    expired_holds: int
    committed: int
    sealed: int


class ToolResult(NamedTuple):
    """What a call of a plugin's tool gave, and the receipt of its charge.

    ``output`` is as the tool wrote it: JSON, unless its manifest says text or bytes. ``receipt`` is None where the call
    was ``uncharged``.
    Threads: immutable.
    """

    output: bytes
    receipt: Receipt | None

    def json(self) -> Any:
        """Reads the output as JSON.

        Errors: ValueError where it is none.
        """
        return json.loads(self.output)

    def text(self) -> str:
        """Reads the output as text.

        Errors: ValueError where it is not UTF-8.
        """
        return self.output.decode("utf-8")


class ChargeRequest(NamedTuple):
    """One item of ``charge_many``: the arguments of ``charge``.

    Threads: immutable.
    """

    payer: str
    tool: str | None = None
    amount: Money | None = None
    asset: str | None = None
    payee: str | None = None
    usage: Usage | None = None
    key: str | None = None
    run: str | None = None
    call: str | None = None
    description: str | None = None
    metadata: Mapping[str, Any] | None = None
    max_cost: Money | None = None
    durability: str | None = None


def by_meter(usage: Usage | None) -> Mapping[str, Quantity | None]:
    """Reads a usage as counts by meter."""
    if usage is None:
        return {}
    return usage if isinstance(usage, Mapping) else {"units": usage}


def usage_counts(usage: Usage | None, meters: Mapping[str, Quantity | None], scale: Any) -> tuple[int, ...]:
    """Turns a usage into the twelve counts that the formats pack: eleven meters and millionths of a unit.

    ``scale`` is called for the asset's scale if the usage has a ``value``.

    Errors: RequestError UNKNOWN_FIELD for an unknown meter, INVALID_ARGUMENT for what is not a count, OVERFLOW.
    """
    if usage is None and not meters:
        return ZERO_USAGE
    counts: list[int] = [0] * 12
    if isinstance(usage, Mapping):
        for meter, quantity in usage.items():
            _count(counts, meter, quantity, scale)
    elif usage is not None:
        _count(counts, "units", usage, scale)
    for meter, quantity in meters.items():
        _count(counts, meter, quantity, scale)
    return tuple(counts)


def _count(counts: list[int], meter: str, quantity: Quantity | None, scale: Any) -> None:
    index = _INDEX.get(meter)
    if index is None:
        raise RequestError(
            status.UNKNOWN_FIELD,
            f"No meter has this name; there are {', '.join(layout.METERS)}.",
            field=f"usage.{meter}",
        )
    if type(quantity) is int and meter != "value" and -_COUNT_MAX <= quantity <= _COUNT_MAX:
        counts[index] = quantity
        if meter == "units":
            counts[11] = 0
        return
    field = f"usage.{meter}"
    if quantity is None:
        return
    if not isinstance(quantity, (int, str, float, Decimal)):
        quantity = quantity_form(quantity, field)
    if meter == "value":
        counts[index] = to_units(quantity, scale(), field)
        return
    if type(quantity) is int:
        whole, micro = quantity, 0
    else:
        try:
            number = to_decimal(quantity, field)
            if number and not -30 < number.adjusted() < 30:
                raise RequestError(status.OVERFLOW, "The usage does not fit into 64 bits.", field=field)
            scaled = number.scaleb(6, _EXACT)
        except (RequestError, Inexact) as error:
            if isinstance(error, RequestError) and error.code == status.OVERFLOW:
                raise
            raise RequestError(
                status.INVALID_ARGUMENT, "A usage is a finite number of at most 60 digits.", field=field
            ) from error
        if scaled != int(scaled) or (meter != "units" and number != int(number)):
            raise RequestError(
                status.INVALID_ARGUMENT,
                "A usage is a whole count; only units may have digits after the point, at most six.",
                field=field,
            )
        whole, micro = divmod(int(scaled), _MICRO)
        if whole < 0 and micro:
            raise RequestError(status.INVALID_ARGUMENT, "A usage is at least 0.", field=field)
    if not -_COUNT_MAX <= whole <= _COUNT_MAX:
        raise RequestError(status.OVERFLOW, "The usage does not fit into 64 bits.", field=field)
    counts[index] = whole
    if meter == "units":
        counts[11] = micro
