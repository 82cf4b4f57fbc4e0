"""Webhooks of the three schemes, with the published vectors, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

import farebox
from farebox import Farebox, RequestError, WebhookError
from farebox import _statuses as status

STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRIPE_BODY = b'{"id": "evt_1"}'
STRIPE = {"Stripe-Signature": "t=1700000000,v1=33aa1568c6627d0d2d42556693c208077ca8f8b437ac8d9d6ebb6c2c650033eb"}
ROBUTLER_BODY = b'{"type":"payment.completed"}'
ROBUTLER = {"X-Robutler-Signature": "5a67cd74453c5983ae54a505361225fbcc338ddfb491c124c71dac2c3dd33e23"}


def code_of(body: bytes, headers: Mapping[str, Any], secrets: Any, **options: Any) -> int:
    with pytest.raises(WebhookError) as caught:
        farebox.verify_webhook(body, headers, secrets, **options)
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        assert not secret or str(secret) not in str(caught.value)
    return caught.value.code


def test_the_published_vectors_verify() -> None:
    farebox.verify_webhook(STANDARD_BODY, STANDARD, STANDARD_SECRET, now=1614265330)
    farebox.verify_webhook(STRIPE_BODY, STRIPE, "whsec_test_secret", now=1700000000)
    farebox.verify_webhook(ROBUTLER_BODY, ROBUTLER, "secret")


def test_headers_match_in_any_case_and_type() -> None:
    farebox.verify_webhook(
        bytearray(STANDARD_BODY),
        {name.upper(): value for name, value in STANDARD.items()},
        [STANDARD_SECRET],
        "standard",
        now=datetime(2021, 2, 25, 15, 2, 10, tzinfo=timezone.utc),
    )
    farebox.verify_webhook(
        STANDARD_BODY,
        {name.title().encode(): value.encode() for name, value in STANDARD.items()},
        (b"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", STANDARD_SECRET),
        now=1614265330.5,
    )
    farebox.verify_webhook(ROBUTLER_BODY, {"x-robutler-signature": [ROBUTLER["X-Robutler-Signature"]]}, "secret")


def test_a_changed_byte_a_wrong_secret_and_a_wrong_age_are_told_apart() -> None:
    assert code_of(STRIPE_BODY + b" ", STRIPE, "whsec_test_secret", now=1700000000) == status.SIGNATURE_MISMATCH
    assert code_of(STRIPE_BODY, STRIPE, "whsec_other", now=1700000000) == status.SIGNATURE_MISMATCH
    assert code_of(STRIPE_BODY, STRIPE, "whsec_test_secret", now=1700000301) == status.TIMESTAMP_TOO_OLD
    assert code_of(STANDARD_BODY, STANDARD, STANDARD_SECRET, now=1614265331 + 300) == status.TIMESTAMP_TOO_OLD
    assert code_of(STANDARD_BODY, STANDARD, STANDARD_SECRET, now=1614265329 - 300) == status.TIMESTAMP_TOO_NEW
    assert code_of(ROBUTLER_BODY, ROBUTLER, "Secret") == status.SIGNATURE_MISMATCH


def test_the_tolerance_can_be_chosen_and_switched_off() -> None:
    farebox.verify_webhook(STRIPE_BODY, STRIPE, "whsec_test_secret", tolerance=None)
    farebox.verify_webhook(STRIPE_BODY, STRIPE, "whsec_test_secret", tolerance=1000, now=1700000900)
    assert code_of(STRIPE_BODY, STRIPE, "whsec_test_secret", tolerance=1, now=1700000002) == status.TIMESTAMP_TOO_OLD


def test_what_is_missing_or_malformed_is_named() -> None:
    assert code_of(b"{}", {}, STANDARD_SECRET) == status.SIGNATURE_MISSING
    assert code_of(b"{}", {}, "secret", scheme="robutler") == status.SIGNATURE_MISSING
    assert code_of(STRIPE_BODY, {"Stripe-Signature": "nonsense"}, "whsec_x") == status.SIGNATURE_MALFORMED
    assert code_of(STANDARD_BODY, STANDARD, "", now=1614265330) == status.SECRET_INVALID
    assert code_of(STANDARD_BODY, STANDARD, "whsec_not base64!", now=1614265330) == status.SECRET_INVALID


def test_arguments_of_a_wrong_type_are_the_callers_fault() -> None:
    for arguments in (
        ("text", STRIPE, "whsec_x"),
        (b"{}", STRIPE, 5),
        (b"{}", STRIPE, "whsec_x", "paypal"),
        (b"{}", STRIPE, "whsec_x", "stripe", 0),
        (b"{}", STRIPE, "whsec_x", "stripe", "300"),
        (b"{}", STRIPE, "whsec_x", "stripe", 300, "now"),
        (b"{}", STRIPE, "whsec_x", "stripe", 300, datetime(2024, 1, 1)),
        (b"{}", STRIPE, "whsec_x", "stripe", 300, float("nan")),
    ):
        with pytest.raises(RequestError):
            farebox.verify_webhook(*arguments)


def test_no_secrets_at_all_is_refused() -> None:
    with pytest.raises(farebox.FareboxError):
        farebox.verify_webhook(STRIPE_BODY, STRIPE, [])


def test_a_large_body_needs_no_frame_of_its_own() -> None:
    body = b"x" * 1_000_000
    signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    farebox.verify_webhook(body, {"X-Robutler-Signature": signature}, "secret")


def test_the_engine_refuses_a_webhook_it_has_seen(engine: Farebox) -> None:
    key = base64.b64decode(STANDARD_SECRET[6:])
    moment = 1_800_000_000

    def signed(number: str) -> dict[str, str]:
        digest = hmac.new(key, f"{number}.{moment}.".encode() + STANDARD_BODY, hashlib.sha256).digest()
        return {
            "webhook-id": number,
            "webhook-timestamp": str(moment),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    engine.verify_webhook(STANDARD_BODY, signed("msg_1"), STANDARD_SECRET, now=moment)
    engine.verify_webhook(STANDARD_BODY, signed("msg_2"), STANDARD_SECRET, now=moment)
    with pytest.raises(WebhookError) as caught:
        engine.verify_webhook(STANDARD_BODY, signed("msg_1"), STANDARD_SECRET, now=moment)
    assert caught.value.code == status.WEBHOOK_REPLAYED
    engine.verify_webhook(ROBUTLER_BODY, ROBUTLER, "secret", event_id="evt_1")
    with pytest.raises(WebhookError):
        engine.verify_webhook(ROBUTLER_BODY, ROBUTLER, "secret", event_id="evt_1")


SVIX = {name.replace("webhook", "svix"): value for name, value in STANDARD.items()}
ENVIRON = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in STANDARD.items()}
PAIRS = [(name.encode(), value.encode()) for name, value in STANDARD.items()]


@pytest.mark.parametrize(
    "headers",
    [
        SVIX,
        {name.title(): value for name, value in SVIX.items()},
        {**SVIX, "webhook-signature": "v1,AAAA"},
        {**STANDARD, "svix-signature": "v1,AAAA"},
        {**ENVIRON, "wsgi.input": object(), "CONTENT_LENGTH": "20", "HTTP_HOST": "example.com"},
        {**ENVIRON, "HTTP_SVIX_ID": None},
        PAIRS,
        tuple(PAIRS),
        iter([*PAIRS, (b"x-other", b"\xff"), (b"x-other", b"2")]),
        [(name.decode().upper(), value.decode()) for name, value in PAIRS],
        [*PAIRS, *PAIRS],
        {name: [value, value] for name, value in STANDARD.items()},
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_headers_are_found_as_servers_give_them(headers: Any) -> None:
    farebox.verify_webhook(STANDARD_BODY, headers, STANDARD_SECRET, now=1614265330)


def test_headers_of_an_email_message_are_a_mapping() -> None:
    from email.message import Message

    message = Message()
    for name, value in SVIX.items():
        message[name] = value
    farebox.verify_webhook(STANDARD_BODY, message, STANDARD_SECRET, now=1614265330)


@pytest.mark.parametrize(
    "headers",
    [
        [*PAIRS, (b"webhook-id", b"other")],
        {**STANDARD, "Webhook-Id": "other"},
        {**STANDARD, "webhook-signature": [STANDARD["webhook-signature"], "v1,AAAA"]},
        {**STANDARD, **ENVIRON, "HTTP_WEBHOOK_TIMESTAMP": "1614265331"},
    ],
)
def test_a_header_with_two_values_is_malformed(headers: Any) -> None:
    assert code_of(STANDARD_BODY, headers, STANDARD_SECRET, now=1614265330) == status.SIGNATURE_MALFORMED


@pytest.mark.parametrize("headers", [5, None, "webhook-id", [("webhook-id",)], [5], {"webhook-id": 5}])
def test_headers_of_another_form_are_the_callers_fault(headers: Any) -> None:
    with pytest.raises(RequestError):
        farebox.verify_webhook(STANDARD_BODY, headers, STANDARD_SECRET, now=1614265330)


def test_half_a_set_of_headers_is_not_completed_from_the_other() -> None:
    mixed = {"webhook-signature": STANDARD["webhook-signature"], "svix-id": SVIX["svix-id"]}
    mixed["svix-timestamp"] = SVIX["svix-timestamp"]
    assert code_of(STANDARD_BODY, mixed, STANDARD_SECRET, now=1614265330) == status.SIGNATURE_MALFORMED


def test_two_senders_may_use_one_id(engine: Farebox) -> None:
    def send(secret: str, sender: str | None = None, secrets: Any = None) -> None:
        signature = hmac.new(secret.encode(), ROBUTLER_BODY, hashlib.sha256).hexdigest()
        headers = {"X-Robutler-Signature": signature}
        engine.verify_webhook(ROBUTLER_BODY, headers, secrets or secret, event_id="evt", sender=sender)

    def replayed(*arguments: Any) -> bool:
        try:
            send(*arguments)
        except WebhookError as error:
            assert error.code == status.WEBHOOK_REPLAYED
            return True
        return False

    assert not replayed("one") and not replayed("two") and not replayed("one", "a") and not replayed("one", "b")
    assert replayed("one") and replayed("two") and replayed("one", "a") and replayed("two", "b")
    # The secret is rotated: the old and the new one belong to one sender.
    assert replayed("new", None, ["new", "one"])
    assert not replayed("new") and replayed("one", None, ["one", "new"])
    with pytest.raises(RequestError):
        send("one", "x" * 256)
    with pytest.raises(RequestError):
        send("one", 5)  # type: ignore[arg-type]


def test_no_secret_stays_in_a_reused_buffer() -> None:
    from farebox import _frames as frames

    farebox.verify_webhook(ROBUTLER_BODY, ROBUTLER, ["first-secret-value", "secret"])
    assert not any(b"first-secret-value" in frame.raw for frame in frames.free_list)
