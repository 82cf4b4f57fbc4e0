"""Exceptions: one class a family of statuses, one number a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _statuses as status

__all__ = [
    "FareboxError",
    "HandleError",
    "HoldError",
    "InternalError",
    "KeyConflict",
    "PayerRefused",
    "PaymentRefused",
    "PluginError",
    "RequestError",
    "StateError",
    "StoreError",
    "WebhookError",
    "error_of",
]


class FareboxError(Exception):
    """A call was not carried out; the subclass says what a caller can do about it.

    ``code`` and ``name`` identify the reason and never change meaning; ``message`` is one sentence for a person;
    ``field`` is the path of the input to blame, or ``""``; ``retryable`` says whether the same request may succeed
    later; ``details`` are the facts; ``user_message`` is ``""``, except in a PaymentRefused.

    Threads: immutable once raised; it can be pickled.
    """

    user_message: str = ""

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        field: str = "",
        retryable: bool | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        row = status.STATUSES.get(code)
        self.code: int = code
        self.name: str = row.name if row is not None else "UNKNOWN"
        self.message: str = message or (row.doc if row is not None else "The library gave an unknown status.")
        self.field: str = field
        self.retryable: bool = bool(row is not None and row.retryable) if retryable is None else retryable
        self.details: dict[str, Any] = dict(details) if details is not None else {}
        super().__init__(self.message)

    def __str__(self) -> str:
        place = f" ({self.field})" if self.field else ""
        return f"{self.name}{place}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.message, self.field, self.retryable, self.details)


class RequestError(FareboxError):
    """The request is wrong as it stands: change it."""


class HandleError(FareboxError):
    """The engine is closed, belongs to the parent of a fork, or was called back from its own callback."""


class StateError(FareboxError):
    """The account, asset, tool or transfer named does not exist, or is not in a state that allows this."""


class PaymentRefused(FareboxError):
    """An expected "no": a payer, a wallet, a budget, a limit or a price stood against it, and nothing was moved.

    ``user_message`` is a sentence that a model or an end user may read: which tool, that it was not run or paid for,
    and what to do. It has no amounts, account names or ids. ``str(error)`` is this sentence, because agent frameworks
    give it to the model. ``message`` and ``details`` have the facts for the operator; ``repr`` shows the message, and so
    does a traceback from Python 3.11 on. Where the engine has a ``payment_url``, the sentence has it when credit would
    help, and so have the ``details``.
    """

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        field: str = "",
        retryable: bool | None = None,
        details: Mapping[str, Any] | None = None,
        user_message: str = "",
    ) -> None:
        super().__init__(code, message, field=field, retryable=retryable, details=details)
        self.user_message: str = user_message or status.REFUSALS.get(code) or status.REFUSALS[None]
        self.__notes__ = [super().__str__()]  # what a traceback adds

    def __str__(self) -> str:
        return self.user_message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__str__()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments = super().__reduce__()
        return rebuild, (*arguments, self.user_message)

    @property
    def constraint(self) -> dict[str, Any]:
        """The binding constraint: its kind, limit, what is spent, and what is held and by whom.

        Amounts are decimal strings in the ledger's own words; the dict is empty where the engine gave no facts.
        """
        inner = self.details.get("constraint")
        return dict(inner) if isinstance(inner, dict) else dict(self.details)


class PayerRefused(PaymentRefused, StateError):
    """The payer is unknown, frozen or closed, or may not use the tool: a refusal, and a StateError as well."""


class HoldError(FareboxError):
    """The hold is captured, released or expired, or the capture is more than is left of it."""


class KeyConflict(FareboxError):
    """The idempotency key was used for another request; ``field`` names the first difference."""


class WebhookError(FareboxError):
    """The webhook must not be trusted."""


class StoreError(FareboxError):
    """The store could not do it.

    After STORE_OUTCOME_UNKNOWN and STORE_UNTRUSTED the call may have happened: repeat it with its key, after the latter
    on an engine that is opened anew.
    """


class InternalError(FareboxError):
    """A fault of the library's own, or of the machine."""


class PluginError(FareboxError):
    """A plugin could not be loaded, or its call did not succeed; where a call was made, its payer was charged nothing."""


_FAMILIES: dict[str, type[FareboxError]] = {
    "request": RequestError,
    "handle": HandleError,
    "state": StateError,
    "refused": PaymentRefused,
    "hold": HoldError,
    "conflict": KeyConflict,
    "webhook": WebhookError,
    "store": StoreError,
    "internal": InternalError,
    "plugin": PluginError,
}


def error_of(
    code: int,
    message: str = "",
    *,
    field: str = "",
    retryable: bool | None = None,
    details: Mapping[str, Any] | None = None,
    refusal: bool = False,
    user_message: str = "",
) -> FareboxError:
    """Makes the exception of a status, of the class of its family.

    ``refusal`` is what the library says of it: then the class is PaymentRefused, or PayerRefused where the family is
    another one.

    Errors: a number outside the table gives an InternalError that keeps the number.
    """
    row = status.STATUSES.get(code)
    kind = _FAMILIES.get(row.family, InternalError) if row is not None else InternalError
    if refusal and kind is not PaymentRefused:
        kind = PayerRefused
    return _rebuild(kind, code, message, field, retryable, details, user_message)


def _rebuild(
    kind: type[FareboxError],
    code: int,
    message: str,
    field: str,
    retryable: bool | None,
    details: Mapping[str, Any] | None,
    user_message: str = "",
) -> FareboxError:
    if issubclass(kind, PaymentRefused):
        return kind(code, message, field=field, retryable=retryable, details=details, user_message=user_message)
    return kind(code, message, field=field, retryable=retryable, details=details)
