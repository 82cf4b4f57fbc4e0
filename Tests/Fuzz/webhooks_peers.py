"""Webhook verification against the libraries that it stands in for: stripe and standardwebhooks.

An input is that of the C target `webhooks`. For the same header, body, secret and time the verdict must be the same, the
reason included, but for DIFFERENCES: each has a reason, says which input it is about and which verdicts it allows, and
has an example that must differ, so that a difference which no longer is one does not stay in the list.
"""

from __future__ import annotations

import base64
import binascii
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import standardwebhooks.webhooks
import stripe
from differential import run
from stripe import WebhookSignature

import farebox

NOW = 1_700_000_000


@dataclass(frozen=True)
class Case:
    scheme: str
    secret: str
    id: str
    timestamp: str
    header: str
    tolerance: int
    body: bytes


# ---- The two sides ----


def ours(case: Case) -> str:
    headers = {"Stripe-Signature": case.header}
    if case.scheme == "standard":
        headers = {"webhook-id": case.id, "webhook-timestamp": case.timestamp, "webhook-signature": case.header}
    tolerance = None if case.tolerance < 0 else case.tolerance or 300
    try:
        farebox.verify_webhook(case.body, headers, [case.secret], scheme=case.scheme, tolerance=tolerance, now=NOW)
    except farebox.FareboxError as error:
        return error.name
    return "OK"


class _Clock:
    """The time that both libraries are told."""

    def time(self) -> float:
        return NOW


class _StillDatetime(datetime):
    @classmethod
    def now(cls, tz: timezone | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(NOW, tz=tz)


stripe._webhook.time = _Clock()  # type: ignore[attr-defined]
standardwebhooks.webhooks.datetime = _StillDatetime  # type: ignore[misc]

_STRIPE = (
    ("No Stripe-Signature header", "SIGNATURE_MISSING"),
    ("No webhook secret", "SECRET_INVALID"),
    ("Unable to extract", "SIGNATURE_MALFORMED"),
    ("No signatures found with expected scheme", "SIGNATURE_MISSING"),
    ("No signatures found matching", "SIGNATURE_MISMATCH"),
    ("Timestamp outside", "TIMESTAMP_TOO_OLD"),
)
_STANDARD = (
    ("Missing required headers", "HEADER_MISSING"),
    ("Invalid Signature Headers", "SIGNATURE_MALFORMED"),
    ("Message timestamp too old", "TIMESTAMP_TOO_OLD"),
    ("Message timestamp too new", "TIMESTAMP_TOO_NEW"),
    ("No matching signature", "NO_MATCH"),
)


def theirs(case: Case) -> str:
    try:
        if case.scheme == "stripe":
            tolerance = None if case.tolerance < 0 else case.tolerance or 300
            WebhookSignature.verify_header(case.body, case.header, case.secret, tolerance)
        else:
            headers = {"webhook-id": case.id, "webhook-timestamp": case.timestamp, "webhook-signature": case.header}
            webhook = standardwebhooks.webhooks.Webhook(case.secret)
            webhook.verify(case.body, headers, json_parse=False)
    except (stripe.SignatureVerificationError, standardwebhooks.webhooks.WebhookVerificationError) as error:
        text = str(error)
        for beginning, name in _STRIPE if case.scheme == "stripe" else _STANDARD:
            if text.startswith(beginning):
                return name
        raise
    except standardwebhooks.webhooks.EmptyWebhookSecretError:
        return "SECRET_INVALID"
    except UnicodeDecodeError:
        return "BODY_NOT_TEXT"
    except (binascii.Error, ValueError, TypeError) as error:
        # What its callers do not catch.
        return f"RAISED {type(error).__name__}"
    return "OK"


def is_same(one: str, other: str) -> bool:
    """Whether our verdict is what theirs is called here."""
    if other == "HEADER_MISSING":
        return one in ("SIGNATURE_MISSING", "SIGNATURE_MALFORMED")
    if other == "NO_MATCH":
        return one in ("SIGNATURE_MISMATCH", "SIGNATURE_MISSING", "SIGNATURE_MALFORMED")
    return one == other


def _stripe_times(case: Case) -> list[str]:
    items = [item.split("=", 2) for item in case.header.split(",")]
    return [item[1] for item in items if item[0] == "t" and len(item) > 1][:1]


def completed(case: Case) -> Case:
    """Puts their own signature in the place of {}."""
    if "{}" not in case.header:
        return case
    signature = ""
    try:
        text = case.body.decode("utf-8", "surrogateescape")
        if case.scheme == "stripe":
            times = _stripe_times(replace(case, header=case.header.replace("{}", "")))
            number = int(times[0]) if times else 0
            signature = WebhookSignature._compute_signature(f"{number}.{text}", case.secret)
        else:
            moment = datetime.fromtimestamp(int(float(case.timestamp)), tz=timezone.utc)
            signature = standardwebhooks.webhooks.Webhook(case.secret).sign(case.id, moment, text).split(",")[1]
    except (ValueError, OverflowError, OSError, standardwebhooks.webhooks.EmptyWebhookSecretError):
        pass
    return replace(case, header=case.header.replace("{}", signature))


# ---- Where they differ ----


@dataclass(frozen=True)
class Difference:
    name: str
    reason: str
    applies: Callable[[Case], bool]
    allows: Callable[[str, str], bool]
    example: Case


def _refused(one: str, other: str) -> bool:
    return one not in ("OK", "INTERNAL")


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"id":"evt_1"}'


def _stripe(header: str, body: bytes = BODY, secret: str = "whsec_x", tolerance: int = 0) -> Case:
    return completed(Case("stripe", secret, "", "", header, tolerance, body))


def _standard(
    header: str = "v1,{}", secret: str = SECRET, timestamp: str = str(NOW), body: bytes = BODY, tolerance: int = 0
) -> Case:
    return completed(Case("standard", secret, "msg_1", timestamp, header, tolerance, body))


def _is_plain(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) is not None and -(2**63) <= int(text) < 2**63


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(text: str) -> bytes | None:
    """Base64 as RFC 4648 has it, with its padding."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_strict_secret(secret: str) -> bool:
    text = secret.removeprefix("whsec_")
    if text.startswith(("whpk_", "whsk_")) or not text.isascii():
        return False
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    decoded = _decoded(padded)
    return text in (bare, padded) and decoded is not None and base64.b64encode(decoded).decode() == padded


def _entries(case: Case) -> list[str]:
    return case.header.split(" ")


def _is_readable(entry: str) -> bool:
    version, comma, signature = entry.partition(",")
    if not comma or "," in signature:
        return False
    if version != "v1":
        return True
    decoded = _decoded(signature)
    return decoded is not None and len(decoded) == 32 and base64.b64encode(decoded).decode() == signature


DIFFERENCES = (
    Difference(
        "limits",
        "Every input has a bound, so that no sender decides how long a call takes; nothing real comes near.",
        lambda case: len(case.body) > 4 << 20
        or len(case.header.encode()) > 8192
        or len(case.secret.encode()) > 512
        or len(case.id.encode()) > 255
        or case.header.count("v1") > 16,
        lambda one, other: one == "TOO_LONG",
        _stripe(f"t={NOW}" + ",v1={}" * 17),
    ),
    Difference(
        "body",
        "A body is bytes; both libraries decode it first, and raise where it is not UTF-8.",
        lambda case: not _is_text(case.body),
        lambda one, other: other == "BODY_NOT_TEXT",
        _stripe(f"t={NOW},v1={{}}", body=b"\xff"),
    ),
    Difference(
        "stripe-time",
        "A t is a sign and digits within 64 bits; int() also takes spaces, underscores, other scripts' digits and more.",
        lambda case: case.scheme == "stripe" and any(not _is_plain(text) for text in _stripe_times(case)),
        lambda one, other: one == "SIGNATURE_MALFORMED",
        _stripe(f"t= {NOW},v1={{}}"),
    ),
    Difference(
        "stripe-other-characters",
        "A signature with characters beyond ASCII matches nothing, and the next one is tried; their comparison raises.",
        lambda case: case.scheme == "stripe" and not case.header.isascii(),
        lambda one, other: other == "RAISED TypeError",
        _stripe(f"t={NOW},v1=\u00e9"),
    ),
    Difference(
        "secret-form",
        "A secret is base64 without anything else, and a prefix says what it is; theirs drops what is not base64.",
        lambda case: case.scheme == "standard" and not _is_strict_secret(case.secret),
        lambda one, other: one == "SECRET_INVALID",
        _standard(secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw*"),
    ),
    Difference(
        "public-key",
        "whpk_ is a key of v1a, which their library does not know.",
        lambda case: case.scheme == "standard" and case.secret.startswith("whpk_"),
        lambda one, other: other != "OK",
        replace(
            _standard(
                "v1a,YjAZ3o4c8bXroc/719ldUa0/ibvVZPekyRrU26Sj2Imf/D6eKV5kjcly0KMgAMsi0jdEAy5ANDrklfMIKLNOCw==",
                "whpk_Uk4YwQ3ejLIYaXWMpHOhadOi6SxFtJESWAARFxYBjDM=",
                body=b'{"test": 2432232314}',
            ),
            id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        ),
    ),
    Difference(
        "tolerance",
        "Their tolerance is five minutes and cannot be changed.",
        lambda case: case.scheme == "standard" and case.tolerance not in (0, 300),
        lambda one, other: other.startswith("TIMESTAMP_TOO_") or one.startswith("TIMESTAMP_TOO_"),
        _standard(timestamp=str(NOW - 400), tolerance=500),
    ),
    Difference(
        "timestamp-form",
        "A timestamp is digits, because its text is signed; float() also takes fractions, exponents, signs and spaces.",
        lambda case: case.scheme == "standard" and re.fullmatch(r"0|[1-9][0-9]*", case.timestamp, re.ASCII) is None,
        lambda one, other: one == "SIGNATURE_MALFORMED",
        _standard(timestamp=f"{NOW}.5"),
    ),
    Difference(
        "timestamp-far",
        "A number of seconds beyond the years of their calendar is too new rather than unreadable.",
        lambda case: case.scheme == "standard" and case.timestamp.isdigit() and int(case.timestamp) >= 253402300800,
        lambda one, other: _refused(one, other) and other == "SIGNATURE_MALFORMED",
        _standard(timestamp=str(2**62)),
    ),
    Difference(
        "entries",
        "An entry that cannot be read is passed over, as those of other versions are; theirs raises, or drops what is not "
        "base64 from a signature.",
        lambda case: case.scheme == "standard" and not all(map(_is_readable, _entries(case))),
        lambda one, other: other.startswith("RAISED")
        or (other == "OK" and one in ("SIGNATURE_MISMATCH", "SIGNATURE_MALFORMED", "SIGNATURE_MISSING")),
        _standard(header="nothing v1,{}"),
    ),
)


# ---- Inputs ----


def parsed(data: bytes) -> Case | None:
    lines = data.split(b"\n", 6)
    if len(lines) < 7 or lines[0] not in (b"stripe", b"standard"):
        return None
    try:
        secrets, number, timestamp, header = (line.decode() for line in lines[1:5])
        tolerance = int(re.sub(rb"[^0-9-].*", b"", lines[5]) or b"0")
    except ValueError:
        return None
    secret = secrets.split(" ")[0]
    return completed(Case(lines[0].decode(), secret, number, timestamp, header, max(-1, min(tolerance, 2**40)), lines[6]))


def made(source: random.Random) -> bytes:
    """An input most of which is right."""
    scheme = source.choice(("stripe", "standard"))
    moment = source.choice(("1700000000", "1699999700", "1699999699", "1700000300", "1700000301", "0", "-1", "+1700000000"))
    secret = source.choice((SECRET, SECRET, "whsec_x", "AAAA", "whsec_AAA", "whsec_AAA=", "", " "))
    number, timestamp = source.choice(("msg_1", "a.b", "")), moment
    if scheme == "stripe":
        number = timestamp = ""
        pieces = [f"t={moment}", "v1={}", "v1=00", "v0={}", "t=1", "x", "=", "v1", "v1=={}", "v1={}=x"]
        header = ",".join([pieces[0]] + source.sample(pieces[1:], source.randint(0, 3)) + ["v1={}"])
    else:
        pieces = ["v1,{}", "v1a,{}", "v2,{}", "v1,AAAA", "v1,", "", "v1,{}=", "x"]
        header = " ".join(source.sample(pieces, source.randint(0, 3)) + ["v1,{}"])
    tolerance = source.choice(("0", "300", "-1", "1"))
    body = source.choice((BODY, b"", b"{}", "\u00e9".encode(), source.randbytes(source.randint(0, 20))))
    return "\n".join((scheme, secret, number, timestamp, header, tolerance, "")).encode() + body


WORDS = [
    word.encode()
    for word in (
        *("t=", "v1=", "v0=", "v1,", "v1a,", "{}", ",", " ", "=", "_", "1700000000", "1699999700", "1e9", ".5", "+", "-", "0"),
        *("whsec_", "whpk_", "AAAA", "\u0661", "\n", "=="),
    )
]

_counts: dict[str, int] = {}


def check(data: bytes) -> str | None:
    case = parsed(data)
    if case is None:
        return None
    one, other = ours(case), theirs(case)
    if is_same(one, other):
        _counts[other] = _counts.get(other, 0) + 1
        return None
    for difference in DIFFERENCES:
        if difference.applies(case) and difference.allows(one, other):
            _counts[difference.name] = _counts.get(difference.name, 0) + 1
            return None
    return f"{case}: {one} here, {other} in {'stripe' if case.scheme == 'stripe' else 'standardwebhooks'}"


def report() -> None:
    print("verdicts: " + ", ".join(f"{name} {count}" for name, count in sorted(_counts.items())))


if __name__ == "__main__":
    for difference in DIFFERENCES:
        one, other = ours(difference.example), theirs(difference.example)
        if is_same(one, other) or not (difference.applies(difference.example) and difference.allows(one, other)):
            raise SystemExit(f"{difference.name} is not a difference: {one} here, {other} there")
    run(check, made, WORDS, report)
