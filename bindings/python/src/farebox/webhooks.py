"""Webhooks: signature and age, over the raw bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._encoding import placed
from ._library import Library, library
from .errors import RequestError

__all__ = ["Secrets", "verify_webhook"]

Secrets = Union[str, bytes, Sequence[Union[str, bytes]]]
"""One secret or several, any of which may match; strings as the sender's dashboard shows them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_SIGNATURES = (
    ("webhook-signature", "standard"),
    ("stripe-signature", "stripe"),
    ("x-robutler-signature", "robutler"),
)
_SIGNATURE_OF = {scheme: header for header, scheme in _SIGNATURES}
_SIZE = layout.WEBHOOK.size
_MOST_SECRETS = frames.LINE_CAPACITY  # the engine's own limit is lower


def verify_webhook(
    body: bytes | bytearray | memoryview,
    headers: Mapping[str, Any],
    secrets: Secrets,
    scheme: str | None = None,
    tolerance: int | None = 300,
    now: None | int | float | datetime = None,
) -> None:
    """Verifies the signature and age of a webhook; if it returns, the body may be trusted.

    ``body`` is the raw bytes as received, ``headers`` any mapping, whose names match in any case. ``scheme`` is
    ``"standard"``, ``"stripe"`` or ``"robutler"``; without it, the first of ``webhook-signature``, ``Stripe-Signature``
    and ``X-Robutler-Signature`` that is present decides. Name the scheme where an endpoint has one sender. A Robutler
    signature carries no time: use ``Farebox.verify_webhook``, which remembers ids.

    Units: ``tolerance`` in seconds, None to switch the check off; ``now`` a datetime or seconds since 1970.
    Threads: any.
    Errors: WebhookError with the reason; RequestError for arguments of a wrong type or size.
    """
    verify(library(), None, body, headers, secrets, scheme, tolerance, now, None)


def verify(
    lib: Library,
    engine: int | None,
    body: bytes | bytearray | memoryview,
    headers: Mapping[str, Any],
    secrets: Secrets,
    scheme: str | None,
    tolerance: int | None,
    now: None | int | float | datetime,
    event_id: str | None,
) -> None:
    """Verifies a webhook, with the replay guard of an engine if there is one.

    Errors: as ``verify_webhook``; with an engine WEBHOOK_REPLAYED, HandleError and StoreError.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise RequestError(status.INVALID_ARGUMENT, "The body is the raw bytes, not decoded text.", field="body")
    look = _Headers(headers)
    signature: bytes | None = None
    if scheme is None:
        scheme = "standard"
        for header, candidate in _SIGNATURES:
            signature = look(header)
            if signature is not None:
                scheme = candidate
                break
    elif scheme in _SIGNATURE_OF:
        signature = look(_SIGNATURE_OF[scheme])
    else:
        raise RequestError(status.INVALID_ARGUMENT, "The scheme is 'standard', 'stripe' or 'robutler'.", field="scheme")
    number: str | bytes | None = event_id
    timestamp: bytes | None = None
    if scheme == "standard":
        number = look("webhook-id")
        timestamp = look("webhook-timestamp")
    keys = _secrets(secrets)
    seconds = -1
    if tolerance is not None:
        seconds = _bounded(tolerance, "tolerance")
        if seconds == 0:
            raise RequestError(
                status.INVALID_ARGUMENT, "A tolerance is at least 1 second, or None for no check.", field="tolerance"
            )
    moment = _moment(now)
    frame, pointers = placed(bytes(body), signature, number, timestamp, *keys)
    try:
        raw = frame.raw
        struct.pack_into(f"<{len(pointers) - 8}Q", raw, frames.LINES, *pointers[8:])
        layout.WEBHOOK.pack_into(
            raw,
            frames.ARGS,
            _SIZE,
            layout.SCHEMES[scheme],
            *pointers[:8],
            frame.base + frames.LINES,
            len(keys),
            seconds,
            moment,
        )
        code = lib.verify_webhook(engine, frame.args, frame.error)
        if keys:  # no secret stays in a reused buffer
            first, last = pointers[8] - frame.base, pointers[-2] + pointers[-1] - frame.base
            raw[first:last] = bytes(last - first)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)


class _Headers:
    """Finds headers by their names in small letters, in a mapping of any case."""

    __slots__ = ("_given", "_lowered")

    def __init__(self, headers: Mapping[str, Any]) -> None:
        self._given = headers
        self._lowered: dict[str, Any] | None = None

    def __call__(self, name: str) -> bytes | None:
        value: Any = self._given.get(name)
        if value is None:
            lowered = self._lowered
            if lowered is None:
                lowered = self._lowered = {
                    (key.decode("latin-1") if isinstance(key, bytes) else str(key)).lower(): value
                    for key, value in self._given.items()
                }
            value = lowered.get(name)
        if isinstance(value, (list, tuple)) and len(value) == 1:
            (value,) = value
        if value is None or isinstance(value, bytes):
            return value
        return frames.text_bytes(value, f"headers.{name}")


def _secrets(secrets: Secrets) -> tuple[bytes, ...]:
    if isinstance(secrets, (str, bytes)):
        secrets = (secrets,)
    if not isinstance(secrets, Iterable):
        raise RequestError(status.INVALID_ARGUMENT, "A secret is a str or bytes.", field="secrets")
    found = tuple(secret if isinstance(secret, bytes) else frames.text_bytes(secret, "secrets") for secret in secrets)
    if len(found) > _MOST_SECRETS:
        raise RequestError(status.TOO_LONG, f"There are more than {_MOST_SECRETS} secrets.", field="secrets")
    return found


def _bounded(value: int, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise RequestError(status.INVALID_ARGUMENT, "A time span is whole seconds.", field=field)
    return value


def _moment(now: None | int | float | datetime) -> int:
    if now is None:
        return 0
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise RequestError(status.INVALID_ARGUMENT, "A datetime needs a time zone.", field="now")
        return (now - _EPOCH) // _MICROSECOND
    try:
        value = round(now * 1_000_000)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(status.INVALID_ARGUMENT, "now is a datetime or seconds.", field="now") from None
    return _bounded(value, "now")
