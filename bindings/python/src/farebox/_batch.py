"""Batches of charges, packed into one buffer."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._encoding import DURABILITY, given_flags, metadata_json
from ._frames import text_bytes
from .errors import RequestError, StateError
from .money import to_units
from .values import ZERO_USAGE, ChargeRequest, Quantity

if TYPE_CHECKING:
    from .engine import Farebox

_CHARGE_SIZE = layout.CHARGE.size
_RECEIPT_SIZE = layout.RECEIPT.size
_KEY_AT = layout.offset(layout.ChargeArgs, "idempotency_key")
_CALL_AT = layout.offset(layout.ChargeArgs, "call")
_AMOUNT_AT = layout.offset(layout.ChargeArgs, "amount")
_USAGE_AT = layout.offset(layout.ChargeArgs, "usage")
_pack_str = layout.STR.pack_into
_pack_amount = struct.Struct("<q").pack_into
_pack_usage = layout.USAGE.pack_into


class Batch:
    """The arguments, texts and receipts of a batch in one buffer, each text stored once."""

    __slots__ = ("raw", "args", "receipts", "receipts_at", "_anchor", "_base", "_next", "_end", "_known")

    def __init__(self, count: int, room: int) -> None:
        self.receipts_at = count * _CHARGE_SIZE
        self._next = self.receipts_at + count * _RECEIPT_SIZE
        self._end = self._next + room
        self.raw = bytearray(self._end)
        self._anchor = (ctypes.c_char * self._end).from_buffer(self.raw)
        self._base = ctypes.addressof(self._anchor)
        self.args = self._base
        self.receipts = self._base + self.receipts_at
        self._known: dict[str | None, tuple[int, int]] = {None: (0, 0)}
        header = _RECEIPT_SIZE.to_bytes(4, "little") + bytes(_RECEIPT_SIZE - 4)
        self.raw[self.receipts_at : self._next] = header * count

    def place(self, text: str | None, field: str) -> tuple[int, int]:
        """Returns address and length of a text, storing it if it is new."""
        found = self._known.get(text)
        if found is None:
            data = text_bytes(text, field)  # type: ignore[arg-type]
            at = self._next
            size = len(data)
            if at + size > self._end:
                raise frames.Grow(size)
            self.raw[at : at + size] = data
            self._next = at + size
            found = self._known[text] = (self._base + at, size)
        return found


def fill(
    engine: Farebox, batch: Batch, items: Sequence[ChargeRequest | Mapping[str, Any]]
) -> dict[int, RequestError | StateError]:
    """Packs the requests of a batch, one after the other; raises ``Grow`` where its texts need more room.

    Returns what is wrong with those that cannot be encoded, by index; they are left out.
    """
    heads: dict[Any, tuple[bytes, int]] = {}
    refused: dict[int, RequestError | StateError] = {}
    at = 0
    for index, item in enumerate(items):
        try:
            _pack(engine, batch, heads, at, index, item)
            at += _CHARGE_SIZE
        except (RequestError, StateError) as error:
            if not error.field.startswith("requests["):
                error.field = f"requests[{index}].{error.field}" if error.field else f"requests[{index}]"
            refused[index] = error
        except TypeError as error:
            refused[index] = RequestError(status.INVALID_ARGUMENT, str(error), field=f"requests[{index}]")
    return refused


def _pack(engine: Farebox, batch: Batch, heads: dict[Any, tuple[bytes, int]], at: int, index: int, item: Any) -> None:
    raw, place, size = batch.raw, batch.place, _CHARGE_SIZE
    meters: Mapping[str, Quantity | None] = {}
    if type(item) is ChargeRequest:
        request: Any = item
    else:
        try:
            request = _fields(**item)
        except TypeError:
            request, meters = _request(index, item)
    (payer, tool, amount, asset, payee, usage, key, run, call, description, metadata, cap, durability) = request
    if asset is None and tool is None:
        asset = engine.default_asset
    if metadata is not None or cap is not None:
        units, maximum, counts = engine._numbers(tool, amount, asset, usage, cap, meters)
        layout.CHARGE.pack_into(
            raw,
            at,
            size,
            given_flags(amount, cap),
            *place(payer, "payer"),
            *place(tool, "tool"),
            *place(payee, "payee"),
            *place(asset, "asset"),
            *place(key, "key"),
            *place(run, "run"),
            *place(call, "call"),
            *place(description, "description"),
            *place(None if metadata is None else metadata_json(metadata).decode(), "metadata"),
            units,
            maximum,
            *counts,
            DURABILITY[durability],
        )
        return
    # Most items differ in key, call, amount and usage only: the rest is packed once.
    flags = given_flags(amount, None)
    head = heads.get((payer, tool, asset, payee, run, description, durability, flags))
    if head is None:
        packed = layout.CHARGE.pack(
            size,
            flags,
            *place(payer, "payer"),
            *place(tool, "tool"),
            *place(payee, "payee"),
            *place(asset, "asset"),
            0,
            0,
            *place(run, "run"),
            0,
            0,
            *place(description, "description"),
            0,
            0,
            0,
            0,
            *ZERO_USAGE,
            DURABILITY[durability],
        )
        head = packed, 0 if amount is None or asset is None else engine._scale(asset)
        heads[payer, tool, asset, payee, run, description, durability, flags] = head
    raw[at : at + size] = head[0]
    if key is not None:
        _pack_str(raw, at + _KEY_AT, *place(key, "key"))
    if call is not None:
        _pack_str(raw, at + _CALL_AT, *place(call, "call"))
    if amount is not None:
        scale = head[1] or engine._scale(asset if asset is not None else engine._tool_asset(tool))
        _pack_amount(raw, at + _AMOUNT_AT, to_units(amount, scale))
    if usage is not None or meters:
        _pack_usage(raw, at + _USAGE_AT, *engine._counts(tool, asset, usage, meters))


def _fields(
    payer: Any,
    tool: Any = None,
    amount: Any = None,
    asset: Any = None,
    payee: Any = None,
    usage: Any = None,
    key: Any = None,
    run: Any = None,
    call: Any = None,
    description: Any = None,
    metadata: Any = None,
    max_cost: Any = None,
    durability: Any = None,
) -> tuple[Any, ...]:
    # A plain call turns a mapping into a row several times faster than building a ChargeRequest of it.
    return payer, tool, amount, asset, payee, usage, key, run, call, description, metadata, max_cost, durability


def _request(index: int, item: Any) -> tuple[ChargeRequest, Mapping[str, Quantity | None]]:
    if isinstance(item, ChargeRequest):
        return item, {}
    try:
        return ChargeRequest(**item), {}
    except TypeError:
        pass
    if not isinstance(item, Mapping):
        raise RequestError(
            status.INVALID_ARGUMENT, "A request is a ChargeRequest or a mapping.", field=f"requests[{index}]"
        )
    if "payer" not in item:
        raise RequestError(status.MISSING_FIELD, "A request needs a payer.", field=f"requests[{index}].payer")
    known: dict[str, Any] = {}
    meters: dict[str, Quantity | None] = {}
    for name, value in item.items():
        if name in ChargeRequest._fields:
            known[name] = value
        elif name in layout.METERS:
            meters[name] = value
        else:
            raise RequestError(status.UNKNOWN_FIELD, "A request has no such field.", field=f"requests[{index}].{name}")
    return ChargeRequest(**known), meters
