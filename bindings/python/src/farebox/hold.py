"""A hold: money set aside for work that is about to run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._waiting import async_form, elsewhere
from .errors import FareboxError
from .money import Money
from .values import Quantity, Receipt, Usage, by_meter

if TYPE_CHECKING:
    from .engine import Farebox

__all__ = ["Hold"]


class Hold:
    """Money held for work that is about to run.

    In ``with``, leaving normally captures the hold unless it was captured in part, in which case the rest is released;
    leaving by an exception releases it.

    Threads: any; the engine decides between two threads that close the same hold.
    """

    __slots__ = ("_engine", "receipt", "id", "asset", "closed", "_partial")

    def __init__(self, engine: Farebox, receipt: Receipt) -> None:
        self._engine = engine
        self.receipt = receipt
        self.id = receipt.hold
        self.asset = receipt.asset
        self.closed = False
        self._partial = False

    @property
    def amount(self) -> Decimal:
        """What was held, in major units of ``asset``."""
        return self.receipt.amount

    @property
    def units(self) -> int:
        """What was held, in atomic units of ``asset``."""
        return self.receipt.units

    def capture(
        self,
        amount: Money | None = None,
        *,
        usage: Usage | None = None,
        final: bool = True,
        key: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        durability: str | None = None,
        **meters: Quantity | None,
    ) -> Receipt:
        """Charges the hold, as ``Farebox.capture``.

        Errors: HoldError, RequestError, PaymentRefused, KeyConflict, StoreError.
        """
        receipt = self._engine.capture(
            self,
            amount,
            usage=usage if not meters else {**by_meter(usage), **meters},
            final=final,
            key=key,
            description=description,
            metadata=metadata,
            durability=durability,
        )
        self.closed = final or receipt.final
        self._partial = True
        return receipt

    def release(self) -> Receipt:
        """Returns what is left to the payer.

        Errors: HoldError, HandleError, StoreError.
        """
        receipt = self._engine.release(self.id)
        self.closed = True
        return receipt

    def increase(self, amount: Money, *, key: str | None = None) -> Receipt:
        """Adds to the hold, as ``Farebox.increase``.

        Errors: HoldError, PaymentRefused, RequestError, KeyConflict, HandleError, StoreError.
        """
        return self._engine.increase(self, amount, key=key)

    def extend(self, seconds: float) -> Receipt:
        """Moves the expiry to ``seconds`` from now.

        Errors: HoldError, RequestError, HandleError, StoreError.
        """
        return self._engine.extend(self.id, seconds)

    async def capture_async(
        self,
        amount: Money | None = None,
        *,
        usage: Usage | None = None,
        final: bool = True,
        key: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        durability: str | None = None,
        **meters: Quantity | None,
    ) -> Receipt:
        """Charges the hold as ``capture``, without blocking the event loop.

        Errors: as ``capture``.
        """
        return await elsewhere(
            lambda: self.capture(
                amount,
                usage=usage,
                final=final,
                key=key,
                description=description,
                metadata=metadata,
                durability=durability,
                **meters,
            )
        )

    release_async = async_form(release)
    increase_async = async_form(increase)
    extend_async = async_form(extend)

    def __copy__(self) -> Hold:
        return self

    def __deepcopy__(self, memo: Any) -> Hold:
        return self

    def __enter__(self) -> Hold:
        return self

    async def __aenter__(self) -> Hold:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.closed:
            await elsewhere(lambda: self.__exit__(kind, error, trace))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.closed:
            return
        if error is not None:
            try:
                self.release()
            except FareboxError:
                pass  # the work's own exception tells more; an open hold expires by itself
        elif self._partial:
            self.release()
        else:
            self.capture()

    def __repr__(self) -> str:
        return f"<Hold {self.id} {self.amount} {self.asset}{' closed' if self.closed else ''}>"
