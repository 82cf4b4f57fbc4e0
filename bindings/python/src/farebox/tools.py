"""Calls of plugins' tools: the library quotes, reserves, runs, and captures or releases."""

from __future__ import annotations

import asyncio
import ctypes
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Final, Union

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._encoding import DURABILITY, given, given_flags, input_json, milliseconds_of, placed, take_bytes
from .context import Scope, current_scope
from .errors import HandleError, RequestError
from .money import Money, to_units
from .values import Receipt, ToolResult

if TYPE_CHECKING:
    from .engine import Farebox

__all__ = ["ToolCall", "ToolInput"]

ToolInput = Union[Mapping[str, Any], str, bytes, None]
"""What a tool is given: a mapping, in which bytes are Base64, or JSON as a str or bytes; None is ``{}``."""

_TOOL_SIZE: Final = layout.TOOL.size
_PATIENCE: Final = 0.02
"""Seconds between two tries to cancel a call that may not have begun yet."""


class ToolCall:
    """A call that is about to be made: what the context says of it was read, so any thread may make it.

    Threads: one makes the call, another may cancel it.
    """

    def __init__(
        self,
        engine: Farebox,
        tool: str,
        input: ToolInput,
        payer: str | None,
        max_cost: Money | None,
        deadline: float | None,
        key: str | None,
        run: str | None,
        call: str | None,
        durability: str | None,
        uncharged: bool,
        flags: int,
    ) -> None:
        scope = current_scope()
        payment = scope.payment if scope is not None else None
        if payment is not None and payment.engine is not engine:
            payment = None  # another ledger's account pays for nothing here
        if run is None and payment is not None:
            run = payment.run
        self._told: Callable[[Receipt], None] | None = None
        self._input = input_json(input)
        if payer is None and not uncharged:
            if payment is None:
                raise RequestError(
                    status.MISSING_FIELD,
                    "Nobody pays for this call: enter `with engine.paying(account):` or give payer=.",
                    field="payer",
                )
            payer, self._told = payment.payer, payment.tell
        self._parent, self._ordinal = "", 0
        if call is None and scope is not None and (scope.call is not None or scope.inside):
            call = scope.call
            if key is None and not uncharged:
                self._parent, self._ordinal = scope.inside, scope.next_ordinal((tool, self._input or ""))
        self.engine = engine
        self.tool = tool
        self.payer = payer
        self.run = run
        self.call = call
        self._key = key
        self._max_cost = (
            0 if max_cost is None else to_units(max_cost, engine._scale(engine._tool_asset(tool)), "max_cost")
        )
        self._flags = given_flags(None, max_cost) | (layout.TOOL_UNCHARGED if uncharged else 0) | flags
        self._deadline = 0 if deadline is None else max(1, milliseconds_of(deadline, "deadline"))
        self._durability = DURABILITY[durability]
        self._uncharged = uncharged

    def make(self) -> ToolResult:
        """Makes the call; the interpreter lock is released while the tool runs.

        Errors: those of ``Farebox.call_tool``.
        """
        engine = self.engine
        library = engine._library
        frame, pointers = placed(
            self.payer, self.tool, self._input, self._key, self.run, self.call, self._parent
        )
        try:
            layout.TOOL.pack_into(
                frame.raw,
                0,
                _TOOL_SIZE,
                self._flags,
                *pointers,
                self._max_cost,
                self._deadline,
                self._durability,
                self._ordinal,
            )
            text = layout.Text()
            code = library.call_tool(engine._handle, frame.args, ctypes.byref(text), frame.receipt, frame.error)
            if code:
                raise frame.failure(code)
            output = take_bytes(library, text)
            return ToolResult(output, None if self._uncharged else engine._receipt(frame.raw))
        finally:
            frames.give(frame)

    def tell(self, result: ToolResult) -> ToolResult:
        """Gives the receipt to the ``on_receipt`` of who pays."""
        if self._told is not None and result.receipt is not None:
            self._told(result.receipt)
        return result

    def cancel(self) -> None:
        """Asks the call to end, if it is under way; any thread may."""
        try:
            name = self.call if self.call is not None else self._key
            self.engine._call("tool.cancel", given(call=name, payer=self.payer, run=self.run))
        except HandleError:
            pass  # the engine is closed, which ends its calls as well

    async def make_elsewhere(self) -> ToolResult:
        """Makes the call on a thread of the event loop's executor; cancelling the task cancels the call.

        The task ends when the call has: a call that was charged before it could be cancelled gives its receipt to
        ``on_receipt``.
        """
        if self.call is None and self._key is None:
            self._key = secrets.token_hex(16)  # what cancel names
        waiting = [True]  # whoever takes this decides: the thread begins, or the task was cancelled before it did

        def make() -> ToolResult | None:
            return self.make() if _taken(waiting) else None

        future = asyncio.get_running_loop().run_in_executor(None, make)
        future.add_done_callback(_retrieve)
        try:
            result = await asyncio.shield(future)
        except asyncio.CancelledError:
            if _taken(waiting):
                future.cancel()
                raise
            while not future.done():
                self.cancel()
                await asyncio.wait([future], timeout=_PATIENCE)
            if not future.cancelled() and future.exception() is None:
                late = future.result()
                if late is not None:
                    self.tell(late)
            raise
        assert result is not None
        return self.tell(result)


def _taken(waiting: list[bool]) -> bool:
    try:
        return waiting.pop()
    except IndexError:
        return False


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
