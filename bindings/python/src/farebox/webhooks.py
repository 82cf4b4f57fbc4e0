"""Webhooks: signature and age, over the raw bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol, Union

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._encoding import placed
from ._library import Library, library
from .errors import RequestError, WebhookError

__all__ = ["Headers", "Secrets", "verify_webhook"]

Secrets = Union[str, bytes, Sequence[Union[str, bytes]]]
"""One secret or several, any of which may match; strings as the sender's dashboard shows them."""


class HasItems(Protocol):
    """Anything with pairs of name and value, such as a mapping."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


Headers = Union[HasItems, Iterable[tuple[Any, Any]]]
"""The headers of a request: a mapping, a WSGI environment, or pairs of name and value such as those of ASGI."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
# The header names of each scheme: signature, id and timestamp. Of two sets the first that is whole counts.
_HEADERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "standard": (
        ("webhook-signature", "webhook-id", "webhook-timestamp"),
        ("svix-signature", "svix-id", "svix-timestamp"),
    ),
    "stripe": (("stripe-signature",),),
    "robutler": (("x-robutler-signature",),),
}
_NAMES = {name for sets in _HEADERS.values() for names in sets for name in names}
_SIZE = layout.WEBHOOK.size
_MOST_SECRETS = frames.LINE_CAPACITY  # the engine's own limit is lower


def verify_webhook(
    body: bytes | bytearray | memoryview,
    headers: Headers,
    secrets: Secrets,
    scheme: str | None = None,
    tolerance: int | None = 300,
    now: None | int | float | datetime = None,
) -> None:
    """Verifies the signature and age of a webhook; if it returns, the body may be trusted.

    ``body`` is the raw bytes as received. ``headers`` is a mapping, a WSGI environment or the header pairs of ASGI; names
    match in any case, as str or bytes. ``scheme`` is ``"standard"``, ``"stripe"`` or ``"robutler"``; without it, the
    first of ``webhook-signature`` or ``svix-signature``, ``Stripe-Signature`` and ``X-Robutler-Signature`` that is
    present decides. Name the scheme where an endpoint has one sender. A Robutler signature carries no time: use
    ``Farebox.verify_webhook``, which remembers ids.

    Units: ``tolerance`` in seconds, None to switch the check off; ``now`` a datetime or seconds since 1970.
    Threads: any.
    Errors: WebhookError with the reason; RequestError for arguments of a wrong type or size.
    """
    verify(library(), None, body, headers, secrets, scheme, tolerance, now, None, None)


def verify(
    lib: Library,
    engine: int | None,
    body: bytes | bytearray | memoryview,
    headers: Headers,
    secrets: Secrets,
    scheme: str | None,
    tolerance: int | None,
    now: None | int | float | datetime,
    event_id: str | None,
    sender: str | None,
) -> None:
    """Verifies a webhook, with the replay guard of an engine if there is one.

    Errors: as ``verify_webhook``; with an engine WEBHOOK_REPLAYED, HandleError and StoreError.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise RequestError(status.INVALID_ARGUMENT, "The body is the raw bytes, not decoded text.", field="body")
    if scheme is not None and scheme not in _HEADERS:
        raise RequestError(status.INVALID_ARGUMENT, "The scheme is 'standard', 'stripe' or 'robutler'.", field="scheme")
    found = _found(headers)
    if scheme is None:
        scheme = next((one for one, sets in _HEADERS.items() if any(names[0] in found for names in sets)), "standard")
    sets = _HEADERS[scheme]
    names = next((names for names in sets if found.keys() >= set(names)), None)
    if names is None:
        names = next((names for names in sets if names[0] in found), sets[0])
    signature, number, timestamp = (*(found.get(name) for name in names), event_id, None)[:3]
    keys = _secrets(secrets)
    seconds = -1
    if tolerance is not None:
        seconds = _bounded(tolerance, "tolerance")
        if seconds == 0:
            raise RequestError(
                status.INVALID_ARGUMENT, "A tolerance is at least 1 second, or None for no check.", field="tolerance"
            )
    moment = _moment(now)
    frame, pointers = placed(bytes(body), signature, number, timestamp, sender, *keys)
    try:
        raw = frame.raw
        struct.pack_into(f"<{len(pointers) - 10}Q", raw, frames.LINES, *pointers[10:])
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
            *pointers[8:10],
        )
        code = lib.verify_webhook(engine, frame.args, frame.error)
        if keys:  # no secret stays in a reused buffer
            first, last = pointers[10] - frame.base, pointers[-2] + pointers[-1] - frame.base
            raw[first:last] = bytes(last - first)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)


def _found(headers: Headers) -> dict[str, bytes]:
    """The headers that a scheme knows, by their names in small letters.

    Errors: WebhookError SIGNATURE_MALFORMED for one that is there twice with two values; RequestError.
    """
    found: dict[str, bytes] = {}
    try:
        pairs: Any = headers.items() if hasattr(headers, "items") else headers
        for key, value in pairs:
            name = _name(key)
            if name not in _NAMES or value is None:
                continue
            for one in value if isinstance(value, (list, tuple)) else (value,):
                text = one if isinstance(one, bytes) else frames.text_bytes(one, f"headers.{name}")
                if found.setdefault(name, text) != text:
                    raise WebhookError(
                        status.SIGNATURE_MALFORMED, f"The header {name} is there twice.", field=f"headers.{name}"
                    )
    except (TypeError, ValueError):
        raise RequestError(
            status.INVALID_ARGUMENT, "The headers are a mapping, or pairs of name and value.", field="headers"
        ) from None
    return found


def _name(key: Any) -> str:
    name = (key.decode("latin-1") if isinstance(key, bytes) else str(key)).lower()
    # As a WSGI environment writes it.
    return name[5:].replace("_", "-") if name.startswith("http_") else name


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
