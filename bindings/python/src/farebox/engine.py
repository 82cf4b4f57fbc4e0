"""The engine: an open ledger, its charges, holds, prices and balances."""

from __future__ import annotations

import ctypes
import json
import os
import struct
import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, NoReturn

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from . import webhooks
from ._batch import Batch, fill
from ._clock import Clock, callback_of
from ._counting import price_per
from ._encoding import (
    DURABILITY,
    borrowed,
    call_flags,
    encode_json,
    given,
    given_flags,
    hold_milliseconds,
    identifier,
    manifest_of,
    metadata_json,
    microseconds_of,
    milliseconds_of,
    placed,
    take_json,
)
from ._frames import Frame, text_bytes
from ._library import Library, library
from ._rates import Rates, rates_json
from ._waiting import async_form, elsewhere
from .context import Payment
from .errors import RequestError
from .functions import meter_c
from .hold import Hold
from .money import Money, text_of, to_units
from .plugins import Plugins
from .tools import ToolCall, ToolInput
from .values import (
    ZERO_USAGE,
    Balance,
    ChargeRequest,
    Quantity,
    Quote,
    Receipt,
    RefusedReceipt,
    TickResult,
    ToolResult,
    Usage,
    usage_counts,
)

__all__ = ["Farebox", "Hold", "describe"]

_RECEIPT_SIZE = layout.RECEIPT.size
_CHARGE_SIZE = layout.CHARGE.size
_RESERVE_SIZE = layout.RESERVE.size
_CAPTURE_SIZE = layout.CAPTURE.size
_PRICE_SIZE = layout.PRICE.size
_QUOTE_SIZE = layout.QUOTE.size
_LINE_SIZE = layout.QUOTE_LINE.size
_BALANCE_SIZE = layout.BALANCE.size
_pack_strs = struct.Struct("<4Q").pack_into
_pack_quote = struct.Struct("<2I Q 2I").pack_into
_unpack_quote = layout.QUOTE.unpack_from
_unpack_line = layout.QUOTE_LINE.unpack_from
_unpack_receipt = layout.RECEIPT.unpack_from
_SKILLS_KEPT = 1024


class Farebox:
    """An open ledger.

    Ownership: close it, or use it in ``with``; what was not closed is closed when it is collected and at exit.
    Threads: any method from any thread at any time; calls of many threads share one commit. After ``os.fork`` the child
    gets HandleError FORKED and opens its own.
    """

    url: str
    """The address of the ledger, without a password."""

    def __init__(
        self, handle: int, default_asset: str, default_owner: str | None, clock: Any, waits: bool = True
    ) -> None:
        self._library: Library = library()
        self._handle = handle
        self._clock = clock
        self._scales: dict[str, int] = {}
        self._tool_assets: dict[str, str] = {}
        self._assets: dict[bytes, tuple[str, int]] = {bytes(24): ("", 0)}
        self._payments: dict[tuple[str, str | None], Payment] = {}
        self._skills: set[str] = set()
        self._waits = waits
        self.default_asset = default_asset
        self.default_owner = default_owner
        self._finalizer = weakref.finalize(self, _close_quietly, self._library, handle, clock)
        self.url = self._call("engine.describe", {})["address"]

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str] = "farebox.db",
        *,
        durability: str = "full",
        hold_durability: str | None = None,
        exclusive: bool = False,
        existing: bool = False,
        key_memory_bytes: int | None = None,
        busy_timeout: float | None = None,
        default_asset: str = "USD",
        default_owner: str | None = None,
        payment_url: str | None = None,
        clock: Clock | None = None,
        nonblocking: bool | None = None,
    ) -> Farebox:
        """Opens the ledger at a path or URL, and makes it unless ``existing``.

        ``url`` is a path, ``"sqlite:PATH"``, ``"postgresql://..."`` for a ledger on a server (see ``docs/postgresql.md``),
        or ``"memory:"`` for one that lives as long as the engine. ``"sqlite:///PATH"`` is a relative path and
        ``"sqlite:////PATH"`` an absolute one. With ``existing`` a ledger that can only be read opens for reading.
        ``durability`` is when a receipt is returned: ``"full"`` after fsync, ``"normal"`` after commit, ``"relaxed"``
        before commit (only with ``exclusive``: this process holds the ledger alone); ``hold_durability`` is the same
        for reserve and release. ``default_asset`` is that of amounts given without one, ``default_owner`` the account
        that earns with ``@pricing`` tools that name none. ``payment_url`` is where a payer can add credit: it is part of
        the ``user_message`` of a refusal that credit would lift. ``nonblocking`` says whether metered coroutines wait for
        the ledger on a thread rather than on the event loop: by default where another process may keep the ledger busy,
        so not with ``"memory:"`` and not with ``exclusive``. ``clock`` replaces the system's; it runs inside calls and
        must not call the engine.

        Units: ``busy_timeout`` in seconds (default 10), ``key_memory_bytes`` in bytes (default 64 MiB).
        Errors: RequestError, StoreError, InternalError; ImportError without a library.
        """
        lib = library()
        text = os.fsdecode(url)
        if not isinstance(url, (str, bytes)) and not os.path.isabs(text):
            text = os.path.join(os.curdir, text)
        milliseconds = 0
        if busy_timeout is not None:
            milliseconds = max(1, milliseconds_of(busy_timeout, "busy_timeout"))
        callback: Any = callback_of(clock) if clock is not None else None
        where = text_bytes(payment_url, "payment_url") if payment_url is not None else b""
        try:
            options = layout.Options(
                struct_size=ctypes.sizeof(layout.Options),
                flags=(layout.OPEN_EXCLUSIVE if exclusive else 0) | (layout.OPEN_EXISTING if existing else 0),
                durability=DURABILITY[durability],
                hold_durability=DURABILITY[hold_durability],
                key_memory_bytes=key_memory_bytes or 0,
                busy_timeout_ms=milliseconds,
                clock=ctypes.cast(callback, ctypes.c_void_p) if callback is not None else None,
                payment_url=borrowed(where),
            )
        except TypeError as error:
            raise RequestError(status.INVALID_ARGUMENT, str(error), field="options") from None
        handle = ctypes.c_void_p()
        frame = frames.take()
        try:
            encoded = text_bytes(text, "url")
            code = lib.open(ctypes.addressof(handle), borrowed(encoded), ctypes.addressof(options), frame.error)
            if code:
                raise frame.failure(code)
        finally:
            frames.give(frame)
        assert handle.value is not None
        waits = nonblocking if nonblocking is not None else not (exclusive or text.startswith("memory:"))
        return cls(handle.value, default_asset, default_owner, callback, waits)

    @classmethod
    async def open_async(cls, url: str | os.PathLike[str] = "farebox.db", **options: Any) -> Farebox:
        """Opens a ledger as ``open``, without blocking the event loop.

        Errors: as ``open``.
        """
        return await elsewhere(lambda: cls.open(url, **options), cls.close)

    def close(self) -> None:
        """Commits what is relaxed and closes the ledger; closing again does nothing.

        Threads: any; calls that run on other threads finish first, later ones raise HandleError CLOSED.
        Errors: StoreError (the engine is closed all the same).
        """
        if self._finalizer.detach() is None:
            return
        frame = frames.take()
        try:
            code = self._library.close(self._handle, frame.error)
            if code:
                raise frame.failure(code)
        finally:
            frames.give(frame)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return not self._finalizer.alive

    def __enter__(self) -> Farebox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Farebox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_async()

    def __copy__(self) -> Farebox:
        return self

    def __deepcopy__(self, memo: Any) -> Farebox:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("An engine cannot be pickled. Open the ledger again where it is used: Farebox.open(url).")

    def __repr__(self) -> str:
        return f"<Farebox {self.url}{' closed' if self.closed else ''}>"

    # ---- Charges and holds ----

    def charge(
        self,
        payer: str,
        tool: str | None = None,
        *,
        amount: Money | None = None,
        asset: str | None = None,
        payee: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        run: str | None = None,
        call: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        max_cost: Money | None = None,
        durability: str | None = None,
        **meters: Quantity | None,
    ) -> Receipt:
        """Charges a payer at once: price, limits, transfer and split in one atomic step.

        Give either ``tool`` with its usage (``usage=`` or meters by name, as in ``input_tokens=120``), or ``amount``
        with ``asset``. The same ``key`` and request again give the first receipt, ``replayed``.

        Units: major units of the asset; ``max_cost`` refuses a higher price.
        Errors: RequestError, StateError, PaymentRefused, KeyConflict, StoreError, HandleError.
        """
        if asset is None and tool is None:
            asset = self.default_asset
        units, cap, counts = self._numbers(tool, amount, asset, usage, max_cost, meters)
        flags = given_flags(amount, max_cost)
        frame, pointers = placed(
            payer,
            tool,
            payee,
            asset,
            key,
            run,
            call,
            description,
            None if metadata is None else metadata_json(metadata),
        )
        try:
            layout.CHARGE.pack_into(
                frame.raw, 0, _CHARGE_SIZE, flags, *pointers, units, cap, *counts, DURABILITY[durability]
            )
            code = self._library.charge(self._handle, frame.args, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return self._receipt(frame.raw)
        finally:
            frames.give(frame)

    def charge_many(self, requests: Iterable[ChargeRequest | Mapping[str, Any]]) -> list[Receipt]:
        """Charges many in one commit; each stands or falls alone, and its receipt's ``status`` says how.

        A request is a ChargeRequest or a mapping of the arguments of ``charge``. One that cannot be encoded is refused
        like any other, and the rest is charged.

        Errors: only those of the batch as a whole (then nothing was charged): RequestError TOO_LONG, HandleError,
        StoreError. ``Receipt.error`` is the reason of a single one.
        """
        items = requests if isinstance(requests, (list, tuple)) else list(requests)
        count = len(items)
        if count == 0:
            return []
        room = 64 * count + 4096
        while True:
            batch = Batch(count, room)
            try:
                refused = fill(self, batch, items)
                break
            except frames.Grow as more:
                room = 2 * room + more.needed
        count -= len(refused)
        frame = frames.take()
        try:
            code = self._library.charge_many(self._handle, batch.args, count, batch.receipts, frame.error)
            if code:
                raise frame.failure(code)
        finally:
            frames.give(frame)
        view = memoryview(batch.raw)[batch.receipts_at : batch.receipts_at + count * _RECEIPT_SIZE]
        assets = self._assets
        receipts: list[Receipt] = []
        for (
            _,
            code,
            flags,
            number,
            hold,
            units,
            left,
            balance,
            available,
            when,
            version,
            raw,
            short,
        ) in layout.RECEIPT.iter_unpack(view):
            asset, scale = assets.get(raw) or self._asset(raw)
            receipts.append(
                Receipt(code, flags, number, hold, units, left, balance, available, when, version, asset, scale, short)
            )
        for index, error in refused.items():
            receipts.insert(index, RefusedReceipt.of(error))
        return receipts

    def reserve(
        self,
        payer: str,
        tool: str | None = None,
        *,
        amount: Money | None = None,
        asset: str | None = None,
        payee: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        run: str | None = None,
        call: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        max_cost: Money | None = None,
        expires_in: float | None = None,
        over_capture: str = "reject",
        durability: str | None = None,
        **meters: Quantity | None,
    ) -> Hold:
        """Holds money for work that is about to run; use the hold in ``with``.

        Held is ``amount``, or the price of the expected usage; with ``max_cost``, exactly that. ``over_capture`` says
        what a capture beyond the hold does: ``"reject"``, ``"cap"`` or ``"overflow"`` (charge the excess).

        Units: major units of the asset; ``expires_in`` in seconds (default 900).
        Errors: as ``charge``.
        """
        policy = layout.OVER_CAPTURE.get(over_capture)
        if policy is None:
            raise RequestError(
                status.INVALID_ARGUMENT, "over_capture is 'reject', 'cap' or 'overflow'.", field="over_capture"
            )
        expires = 0 if expires_in is None else hold_milliseconds(expires_in, "expires_in")
        if asset is None and tool is None:
            asset = self.default_asset
        units, cap, counts = self._numbers(tool, amount, asset, usage, max_cost, meters)
        flags = given_flags(amount, max_cost)
        frame, pointers = placed(
            payer,
            tool,
            payee,
            asset,
            key,
            run,
            call,
            description,
            None if metadata is None else metadata_json(metadata),
        )
        try:
            layout.RESERVE.pack_into(
                frame.raw,
                0,
                _RESERVE_SIZE,
                flags,
                *pointers,
                units,
                cap,
                *counts,
                expires,
                policy,
                DURABILITY[durability],
            )
            code = self._library.reserve(self._handle, frame.args, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return Hold(self, self._receipt(frame.raw))
        finally:
            frames.give(frame)

    def capture(
        self,
        hold: int | Hold,
        amount: Money | None = None,
        *,
        usage: Usage | None = None,
        final: bool = True,
        key: str | None = None,
        asset: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        durability: str | None = None,
        **meters: Quantity | None,
    ) -> Receipt:
        """Charges a hold: ``amount`` of it, the price of ``usage``, or all that is left.

        Unless ``final`` is false the remainder returns to the payer at once.

        Units: major units of the hold's asset; ``asset`` names it where ``hold`` is a number and it is not the default.
        Errors: HoldError, RequestError, PaymentRefused (over-capture ``"overflow"`` only), KeyConflict, StoreError.
        """
        if isinstance(hold, Hold):
            number, asset = hold.id, hold.asset
        else:
            number = hold
        flags = 0 if final else layout.CAPTURE_PARTIAL
        units = 0
        if amount is not None:
            flags |= layout.CAPTURE_AMOUNT
            units = to_units(amount, self._scale(asset))
        counts = usage_counts(usage, meters, lambda: self._scale(asset))
        if usage is not None or meters:
            flags |= layout.CAPTURE_USAGE
        number = identifier(number, "hold")
        frame, pointers = placed(key, description, None if metadata is None else metadata_json(metadata))
        try:
            layout.CAPTURE.pack_into(
                frame.raw, 0, _CAPTURE_SIZE, flags, number, *pointers, units, *counts, DURABILITY[durability]
            )
            code = self._library.capture(self._handle, frame.args, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return self._receipt(frame.raw)
        finally:
            frames.give(frame)

    def release(self, hold: int | Hold) -> Receipt:
        """Returns what is left of a hold to the payer.

        Errors: HoldError, HandleError, StoreError.
        """
        number = identifier(hold.id if isinstance(hold, Hold) else hold, "hold")
        frame = frames.take()
        try:
            code = self._library.release(self._handle, number, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return self._receipt(frame.raw)
        finally:
            frames.give(frame)

    def increase(
        self,
        hold: int | Hold,
        amount: Money,
        *,
        key: str | None = None,
        asset: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        durability: str | None = None,
    ) -> Receipt:
        """Adds to an open hold, decided like a reservation: all of ``amount`` is held, or nothing more.

        Units: major units of the hold's asset; ``asset`` names it where ``hold`` is a number and it is not the default.
        Errors: HoldError, PaymentRefused, RequestError, KeyConflict, StateError, HandleError, StoreError.
        """
        if isinstance(hold, Hold):
            number, asset = hold.id, hold.asset
        else:
            number = identifier(hold, "hold")
        units = to_units(amount, self._scale(asset))
        frame, pointers = placed(key, description, None if metadata is None else metadata_json(metadata))
        try:
            layout.INCREASE.pack_into(
                frame.raw, 0, layout.INCREASE.size, 0, number, *pointers, units, DURABILITY[durability]
            )
            code = self._library.increase(self._handle, frame.args, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return self._receipt(frame.raw)
        finally:
            frames.give(frame)

    def extend(self, hold: int | Hold, seconds: float) -> Receipt:
        """Moves the expiry of an open hold to ``seconds`` from now.

        Units: seconds.
        Errors: HoldError, RequestError INVALID_ARGUMENT, HandleError, StoreError.
        """
        number = identifier(hold.id if isinstance(hold, Hold) else hold, "hold")
        milliseconds = hold_milliseconds(seconds, "seconds")
        frame = frames.take()
        try:
            code = self._library.extend(self._handle, number, milliseconds, frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            return self._receipt(frame.raw)
        finally:
            frames.give(frame)

    # ---- Prices and balances ----

    def price_tool(
        self,
        tool: str,
        usage: Usage | None = None,
        *,
        customer: str | None = None,
        max_cost: Money | None = None,
        at: None | int | datetime = None,
        **meters: Quantity | None,
    ) -> Quote:
        """Quotes a tool for a usage, without touching the ledger.

        ``customer`` is the account whose own price applies; ``at`` the time whose prices apply.

        Units: ``max_cost`` in major units of the tool's asset caps the total; ``at`` is a datetime or microseconds.
        Errors: StateError, PaymentRefused UNPRICEABLE, RequestError, HandleError.
        """
        if usage is None and not meters:
            counts = ZERO_USAGE
        else:
            counts = usage_counts(usage, meters, lambda: self._scale(self._tool_asset(tool)))
        cap = 0 if max_cost is None else to_units(max_cost, self._scale(self._tool_asset(tool)), "max_cost")
        moment = 0 if at is None else microseconds_of(at, "at")
        frame, pointers = placed(tool, customer)
        try:
            raw = frame.raw
            layout.PRICE.pack_into(raw, 0, _PRICE_SIZE, given_flags(None, max_cost), *pointers, *counts, cap, moment)
            lines, lines_at, room = raw, frames.LINES, frames.LINE_CAPACITY
            address = frame.base + lines_at
            while True:
                _pack_quote(raw, frames.QUOTE, _QUOTE_SIZE, 0, address, room, 0)
                code = self._library.price_tool(self._handle, frame.args, frame.quote, frame.error)
                if code:
                    raise frame.failure(code)
                _, count, _, _, capped, units, version, name = _unpack_quote(raw, frames.QUOTE)
                if count <= room:
                    break
                spare = Frame(count * _LINE_SIZE)
                lines, lines_at, room, address = spare.raw, 0, count, spare.base
            rows = tuple([_unpack_line(lines, lines_at + index * _LINE_SIZE) for index in range(count)])
        finally:
            frames.give(frame)
        asset, scale = self._assets.get(name) or self._asset(name)
        return Quote(tool, asset, scale, units, capped != 0, version, rows)

    def balance(self, account: str, asset: str | None = None) -> Balance:
        """Reads the balance of an account's wallet now; the default asset unless another is named.

        Errors: StateError ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND; HandleError; StoreError.
        """
        frame, pointers = placed(account, asset if asset is not None else self.default_asset)
        try:
            raw = frame.raw
            _pack_strs(raw, frames.FIRST, *pointers)
            layout.BALANCE.pack_into(raw, frames.CAPTURE, _BALANCE_SIZE, 0, 0, 0, 0, 0, b"")
            code = self._library.balance(self._handle, frame.first, frame.second, frame.capture, frame.error)
            if code:
                raise frame.failure(code)
            _, scale, units, held, credit_line, available, name = layout.BALANCE.unpack_from(raw, frames.CAPTURE)
        finally:
            frames.give(frame)
        return Balance(account, name.rstrip(b"\0").decode(), scale, units, held, credit_line, available)

    def open_account(
        self,
        account: str,
        *,
        wallet: str | None = None,
        credit_line: Money | None = None,
        asset: str | None = None,
    ) -> dict[str, Any]:
        """Opens an account; on the same terms again it changes nothing.

        ``wallet`` is ``"own"``, or ``"parent"`` where the account above pays, the default below another account.

        Units: ``credit_line`` in major units of ``asset``, or of the default asset.
        Errors: StateError ACCOUNT_EXISTS, ASSET_NOT_FOUND; RequestError; StoreError.
        """
        fields: dict[str, Any] = {"account": account}
        if wallet is not None:
            fields["wallet"] = wallet
        if credit_line is not None:
            fields["credit_line"] = text_of(credit_line, "credit_line")
            fields["asset"] = asset if asset is not None else self.default_asset
        return self._call("account.open", fields)

    def deposit(
        self,
        account: str,
        amount: Money,
        asset: str | None = None,
        *,
        key: str | None = None,
        description: str | None = None,
    ) -> dict[str, Any]:
        """Puts money from outside into an account.

        Units: major units of ``asset``, or of the default asset.
        Errors: StateError, RequestError, KeyConflict, StoreError.
        """
        return self.call(
            "account.deposit",
            **given(
                account=account,
                amount=text_of(amount),
                asset=asset if asset is not None else self.default_asset,
                idempotency_key=key,
                description=description,
            ),
        )

    # ---- Skills, webhooks, everything else ----

    def register_skill(self, manifest: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
        """Registers a skill and the prices of its tools, from a manifest or the path of a JSON manifest.

        Registering the same manifest again changes nothing; floats in it count as the digits typed.

        Errors: StateError SKILL_EXISTS, RequestError, StoreError; OSError where the file cannot be read.
        """
        if isinstance(manifest, Mapping):
            content: Any = manifest
        else:
            try:
                content = json.loads(Path(manifest).read_text(encoding="utf-8"), parse_float=Decimal)
            except ValueError as error:
                raise RequestError(status.INVALID_JSON, str(error), field="manifest") from error
        self._tool_assets = {}
        return self.call("skill.register", manifest=content)

    def call_tool(
        self,
        tool: str,
        input: ToolInput = None,
        *,
        payer: str | None = None,
        max_cost: Money | None = None,
        deadline: float | None = None,
        key: str | None = None,
        run: str | None = None,
        call: str | None = None,
        durability: str | None = None,
        uncharged: bool = False,
        charge_afterwards: bool = False,
        release_unreported: bool = False,
    ) -> ToolResult:
        """Runs a tool of a plugin: quotes, reserves, runs, and captures what it used; or releases where it failed.

        ``input`` is a mapping, in which bytes are sent as Base64, or JSON as it is. Who pays, and the run, is by default
        what ``paying`` says; ``call`` is by default the id of ``call_id``, which with the run then makes the key too.
        The same ``key`` again runs the tool again and charges once. ``max_cost`` is held, and the call costs no more.
        ``charge_afterwards`` and ``release_unreported`` are those of ``pricing``. ``uncharged`` runs the tool at the
        host's own cost: no payer, no receipt, nothing in the ledger.

        Units: ``max_cost`` in major units of the tool's asset; ``deadline`` in seconds, the plugin's own where absent.
        Errors: PluginError (the payer was charged nothing), PaymentRefused, StateError TOOL_NOT_FOUND, TOOL_DISABLED;
        RequestError, KeyConflict, HoldError, HandleError, StoreError.
        """
        flags = call_flags(charge_afterwards, release_unreported)
        made = ToolCall(self, tool, input, payer, max_cost, deadline, key, run, call, durability, uncharged, flags)
        return made.tell(made.make())

    async def call_tool_async(
        self,
        tool: str,
        input: ToolInput = None,
        *,
        payer: str | None = None,
        max_cost: Money | None = None,
        deadline: float | None = None,
        key: str | None = None,
        run: str | None = None,
        call: str | None = None,
        durability: str | None = None,
        uncharged: bool = False,
        charge_afterwards: bool = False,
        release_unreported: bool = False,
    ) -> ToolResult:
        """Runs a tool as ``call_tool``, on a thread of the event loop's executor.

        Cancelling the task cancels the call, and calls of the same payer, run and id with it; it ends when the call has.
        A call that has neither id nor key gets a key.

        Errors: as ``call_tool``.
        """
        flags = call_flags(charge_afterwards, release_unreported)
        made = ToolCall(self, tool, input, payer, max_cost, deadline, key, run, call, durability, uncharged, flags)
        return await made.make_elsewhere()

    @property
    def plugins(self) -> Plugins:
        """The plugins of this engine: loading, replacing, inspecting them, and their tools as functions."""
        return Plugins(self)

    def verify_webhook(
        self,
        body: bytes | bytearray | memoryview,
        headers: webhooks.Headers,
        secrets: webhooks.Secrets,
        *,
        scheme: str | None = None,
        tolerance: int | None = 300,
        now: None | int | float | datetime = None,
        event_id: str | None = None,
        sender: str | None = None,
    ) -> None:
        """Verifies a webhook as ``farebox.verify_webhook`` does, and refuses one that this ledger has seen before.

        ``event_id`` is the event's id where no header carries it (Stripe and Robutler). ``sender`` names whose ids are
        compared, so that two senders may use one id; without it, the webhooks tried with any of the same ``secrets``
        are one sender's.

        Units: ``tolerance`` in seconds, None to switch the check off; ``now`` a datetime or seconds since 1970.
        Errors: WebhookError (WEBHOOK_REPLAYED among them), RequestError, HandleError, StoreError.
        """
        webhooks.verify(self._library, self._handle, body, headers, secrets, scheme, tolerance, now, event_id, sender)

    def tick(self) -> TickResult:
        """Does what is due: expires holds, commits relaxed records, seals indexes. It need never be called.

        Errors: HandleError, StoreError.
        """
        result = layout.TickResult(struct_size=ctypes.sizeof(layout.TickResult))
        frame = frames.take()
        try:
            code = self._library.tick(self._handle, ctypes.addressof(result), frame.error)
            if code:
                raise frame.failure(code)
        finally:
            frames.give(frame)
        return TickResult(result.expired_holds, result.committed, result.sealed)

    def call(self, operation: str, /, **fields: Any) -> dict[str, Any]:
        """Carries out any operation by name; ``farebox.describe()`` lists them with their fields.

        A Decimal goes in as decimal text and an aware datetime as microseconds since 1970; amounts come back as decimal
        text. A field whose name is a word of Python is given with an underscore behind it, as in ``from_``.

        Errors: RequestError UNKNOWN_OPERATION, UNKNOWN_FIELD, MISSING_FIELD, and those of the operation.
        """
        return self._call(operation, {name[:-1] if name.endswith("_") else name: fields[name] for name in fields})

    def import_rates(
        self,
        format: str,
        data: Rates = None,
        *,
        name: str | None = None,
        source: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Publishes the rates of another project's price list as a rate card, and returns what could not be imported.

        ``format`` is ``"genai-prices"`` or ``"litellm"``. Without ``data`` the list of the installed package is read;
        the package is not imported, and nothing is fetched. ``data`` is a path, the JSON text as bytes, or its decoded
        value, such as ``litellm.model_cost``. The card has the name of the format unless ``name`` says otherwise.
        ``dry_run`` only reports.

        Errors: RequestError for a list that is not installed or cannot be read, and those of ``rate_card.import``.
        """
        rates, origin = rates_json(format, data)
        fields = given(format=format, name=name, source=source or origin or None, dry_run=dry_run or None)
        return self._call_json("rate_card.import", encode_json(fields)[:-1] + b',"data":' + rates + b"}")

    def _call(self, operation: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return self._call_json(operation, encode_json(fields))

    def _call_json(self, operation: str, body: bytes) -> dict[str, Any]:
        name = text_bytes(operation, "operation")
        text = layout.Text()
        frame = frames.take()
        try:
            code = self._library.call(self._handle, borrowed(name), borrowed(body), ctypes.byref(text), frame.error)
            if code:
                raise frame.failure(code)
        finally:
            frames.give(frame)
        return take_json(self._library, text)

    def paying(
        self,
        payer: str,
        run: str | None = None,
        *,
        on_receipt: Callable[[Receipt], None] | None = None,
    ) -> Payment:
        """Names who pays for the metered calls made inside ``with``, and the run they belong to.

        Any number of tasks and threads may enter the result. Its ``receipts`` are those of the last 100 calls that were
        charged, and ``receipt`` is the last. ``on_receipt`` is called with each, on the thread of the call.

        Errors: RequestError for a payer or run that is not a str.
        """
        return Payment(self, payer, run, on_receipt)

    def meter_function(
        self,
        function: Any,
        *,
        cost: Money | None = None,
        tool: str | None = None,
        currency: str = "USD",
        per: str | None = None,
        revenue_share: Money | None = None,
        owner: str | None = None,
        description: str | None = None,
        payer: str | None = None,
        signature: str | None = None,
        units: str | None = None,
        failure: str | None = None,
        refused: Any = None,
        max_cost: Money | None = None,
        durability: str | None = None,
        check_only: bool = False,
        charge_afterwards: bool = False,
        release_unreported: bool = False,
    ) -> Any:
        """Gives a ctypes function a price: the MeteredFunction of the same prototype that reserves, calls and captures.

        ``tool`` is a registered tool whose price applies. With ``cost`` it is registered here, under that name or the
        function's own; ``cost`` is the price for one of ``per``, a request, or where ``units`` are given a unit of
        them. ``payer`` is an account; without it the context pays (``paying``).
        ``signature`` (see ``docs/metering.md``) is needed where the function has no ``argtypes``, or where ``units``
        names a range of bytes. ``units`` is ``"bytes:NAME"`` or ``"value:NAME"`` of a parameter, by its name in the
        signature or its number. ``failure`` says which results mean that the call failed, and costs nothing:
        ``"negative"``, ``"nonzero"`` or ``"zero"``. ``refused`` is returned by a call that was refused; without it such
        a call raises where Python made it. ``max_cost`` is held, and no call costs more. With ``check_only`` calls
        above ``max_cost`` are refused, and nothing is written to the ledger.

        Units: major units of ``currency``.
        Errors: RequestError with the field, StateError TOOL_NOT_FOUND, HandleError, StoreError.
        """
        name = tool if tool is not None else getattr(function, "__name__", None)
        if not isinstance(name, str):
            raise RequestError(status.MISSING_FIELD, "This function has no name: give tool=.", field="tool")
        reference = name
        if cost is not None:
            price = price_per(per if per is not None else "request" if units is None else "unit")
            pricing = given(cost=text_of(cost, "cost"), currency=currency, per=price)
            share = None if revenue_share is None else text_of(revenue_share, "revenue_share")
            entry = given(name=name, pricing=pricing, revenue_share=share, description=description)
            manifest = manifest_of(f"ctypes.{name}", owner or self.default_owner, entry)
            self._keep_skill(manifest)
            reference = f"{manifest['id']}@{manifest['version']}#{name}"
        return meter_c(
            self,
            function,
            name=name,
            tool=reference,
            payer=payer,
            signature=signature,
            units=units,
            failure=failure,
            refused=refused,
            max_cost=max_cost,
            durability=durability,
            terms=(layout.METERED_CHECK_ONLY if check_only else 0) | call_flags(charge_afterwards, release_unreported),
        )

    def run_cost(
        self, run: str, *, payer: str | None = None, call: str | None = None, asset: str | None = None
    ) -> dict[str, Any]:
        """Adds up what a run cost: for each asset what was charged, refunded and is held, and how much each tool took.

        ``payer``, ``call`` and ``asset`` count only what belongs to them; with ``payer`` only its history is read.

        Errors: StateError ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND; RequestError; HandleError; StoreError.
        """
        return self._call("run.cost", given(run=run, payer=payer, call=call, asset=asset))

    # ---- The same for event loops ----

    charge_async = async_form(charge)
    charge_many_async = async_form(charge_many)
    reserve_async = async_form(reserve, abandoned="release")
    capture_async = async_form(capture)
    release_async = async_form(release)
    increase_async = async_form(increase)
    extend_async = async_form(extend)
    price_tool_async = async_form(price_tool)
    balance_async = async_form(balance)
    open_account_async = async_form(open_account)
    deposit_async = async_form(deposit)
    register_skill_async = async_form(register_skill)
    verify_webhook_async = async_form(verify_webhook)
    tick_async = async_form(tick)
    import_rates_async = async_form(import_rates)
    run_cost_async = async_form(run_cost)
    close_async = async_form(close)

    async def call_async(self, operation: str, /, **fields: Any) -> dict[str, Any]:
        """Carries out any operation as ``call``, without blocking the event loop.

        Errors: as ``call``.
        """
        return await elsewhere(lambda: self.call(operation, **fields))

    # ---- Encoding ----

    def _keep_skill(self, manifest: Mapping[str, Any]) -> None:
        """Registers the skill of a decorated tool, beside its other versions, unless this engine has just done it."""
        name = f"{manifest['id']}@{manifest['version']}"
        if name in self._skills:
            return
        self._tool_assets = {}
        self.call("skill.register", manifest=manifest, keep_current=True)
        if len(self._skills) >= _SKILLS_KEPT:
            self._skills = set()
        self._skills.add(name)

    def _payment(self, payer: str, run: str | None) -> Payment:
        key = (payer, run)
        found = self._payments.get(key)
        if found is None:
            if len(self._payments) >= 1024:
                self._payments = {}
            found = self._payments[key] = Payment(self, payer, run, None, kept=0)
        return found

    def _scale(self, asset: str | None) -> int:
        code = asset if asset is not None else self.default_asset
        scale = self._scales.get(code)
        if scale is None:
            scale = self._scales[code] = int(self.call("asset.get", asset=code)["scale"])
        return scale

    def _tool_asset(self, tool: str) -> str:
        asset = self._tool_assets.get(tool)
        if asset is None:
            pricing = self.call("tool.inspect", tool=tool)["pricing"]
            if pricing is None:
                # Without a price at this time the library refuses the call, or knows it as a repeat.
                return self.default_asset
            asset = self._tool_assets[tool] = str(pricing["currency"])
        return asset

    def _asset(self, raw: bytes) -> tuple[str, int]:
        code = raw.rstrip(b"\0").decode()
        entry = self._assets[raw] = (code, self._scale(code))
        return entry

    def _numbers(
        self,
        tool: str | None,
        amount: Money | None,
        asset: str | None,
        usage: Usage | None,
        max_cost: Money | None,
        meters: Mapping[str, Quantity | None],
    ) -> tuple[int, int, tuple[int, ...]]:
        units = 0
        if amount is not None:
            # Of a tool, only a dynamic price takes an amount, in the asset of the price.
            units = to_units(
                amount, self._scale(asset if asset is not None or tool is None else self._tool_asset(tool))
            )
        cap = 0
        if max_cost is not None:
            cap = to_units(
                max_cost,
                self._scale(asset if asset is not None or tool is None else self._tool_asset(tool)),
                "max_cost",
            )
        return units, cap, self._counts(tool, asset, usage, meters)

    def _counts(
        self, tool: str | None, asset: str | None, usage: Usage | None, meters: Mapping[str, Quantity | None]
    ) -> tuple[int, ...]:
        if usage is None and not meters:
            return ZERO_USAGE
        # Only a `value` has a scale, so most usages never ask for it.
        return usage_counts(
            usage,
            meters,
            lambda: self._scale(asset if asset is not None or tool is None else self._tool_asset(tool)),
        )

    def _receipt(self, raw: bytearray) -> Receipt:
        return self._receipt_at(raw, frames.RECEIPT)

    def _receipt_at(self, raw: bytes | bytearray, offset: int) -> Receipt:
        _, code, flags, number, hold, units, left, balance, available, when, version, name, short = _unpack_receipt(
            raw, offset
        )
        asset, scale = self._assets.get(name) or self._asset(name)
        return Receipt(code, flags, number, hold, units, left, balance, available, when, version, asset, scale, short)


def describe() -> dict[str, Any]:
    """Describes the library: version, statuses, limits, and each operation with its fields, errors and a doc line.

    Threads: any.
    Errors: InternalError NO_MEMORY; ImportError without a library.
    """
    lib = library()
    text = layout.Text()
    frame = frames.take()
    try:
        code = lib.describe(ctypes.byref(text), frame.error)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)
    return take_json(lib, text)


def _close_quietly(lib: Library, handle: int, clock: Any) -> None:
    # Holds the clock until the library can no longer call it. In the child of a fork the answer is FORKED: rightly so.
    lib.close(handle, None)
