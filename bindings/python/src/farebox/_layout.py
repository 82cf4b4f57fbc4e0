"""Layouts of the structs of ``farebox.h``.

The ctypes structures are the single home of names, sizes and offsets; a test compares each with a C program compiled
against the header. Calls do not build them: they pack a reused buffer with the ``struct`` formats below, which a test
compares with the structures in turn.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import c_char, c_double, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Final

METERS: Final[tuple[str, ...]] = (
    "requests",
    "units",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "images",
    "value",
)
"""Meters by number, in the order of ``farebox_usage``."""

VERSION_NUMBER: Final = 100

DURABILITY: Final[dict[str, int]] = {"default": 0, "full": 1, "normal": 2, "relaxed": 3}
OVER_CAPTURE: Final[dict[str, int]] = {"reject": 0, "cap": 1, "overflow": 2}
SCHEMES: Final[dict[str, int]] = {"standard": 0, "stripe": 1, "robutler": 2}

OPEN_EXCLUSIVE: Final = 1
OPEN_EXISTING: Final = 2
AMOUNT_GIVEN: Final = 1
MAX_COST_GIVEN: Final = 2
CAPTURE_PARTIAL: Final = 1
CAPTURE_AMOUNT: Final = 2
CAPTURE_USAGE: Final = 4
TOOL_UNCHARGED: Final = 1
METERED_CHECK_ONLY: Final = 1
RECEIPT_REPLAYED: Final = 1
RECEIPT_UNCOMMITTED: Final = 2
RECEIPT_FINAL: Final = 4
RECEIPT_CAPPED: Final = 8
RECEIPT_UNREPORTED: Final = 16
RECEIPT_RELEASED: Final = 32
RECEIPT_REFUSAL: Final = 256
CALL_AMOUNT_GIVEN: Final = 1
CALL_MAX_COST_GIVEN: Final = 2
CALL_CHARGE_AFTERWARDS: Final = 4
CALL_RELEASE_UNREPORTED: Final = 8
CALL_LINE_AMOUNT: Final = 1
FINISH_DELIVERED: Final = 1
FINISH_AMOUNT: Final = 2
ENDING_RETURNED: Final = 0
ENDING_REPORTED_FAILURE: Final = 1
ENDING_FAILED: Final = 2
ENDING_LEFT: Final = 3


class Str(ctypes.Structure):
    """``farebox_str``: borrowed bytes."""

    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class Text(ctypes.Structure):
    """``farebox_text``: owned UTF-8, released with ``farebox_text_free``."""

    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class Error(ctypes.Structure):
    """``farebox_error``: why a call failed."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("status", c_int32),
        ("retryable", c_uint32),
        ("details_len", c_uint32),
        ("field", c_char * 128),
        ("message", c_char * 512),
        ("details", c_char * 3072),
        ("refusal", c_uint32),
        ("user_message", c_char * 512),
    ]


class Options(ctypes.Structure):
    """``farebox_options``: how an engine is opened."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("durability", c_int32),
        ("hold_durability", c_int32),
        ("key_memory_bytes", c_uint64),
        ("busy_timeout_ms", c_uint32),
        ("relaxed_records", c_uint32),
        ("relaxed_ms", c_uint32),
        ("reserved0", c_uint32),
        ("clock", c_void_p),
        ("clock_context", c_void_p),
        ("payment_url", Str),
        ("reserved", c_uint8 * 48),
    ]


class TickResult(ctypes.Structure):
    """``farebox_tick_result``: what a tick has done."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("expired_holds", c_uint32),
        ("committed", c_uint32),
        ("sealed", c_uint32),
    ]


class Usage(ctypes.Structure):
    """``farebox_usage``: what a call used."""

    _fields_ = [
        *((meter, c_int64) for meter in METERS),
        ("reserved_meters", c_int64 * 4),
        ("units_micro", c_uint32),
        ("reserved", c_uint32),
    ]


class PriceArgs(ctypes.Structure):
    """``farebox_price_args``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("tool", Str),
        ("customer", Str),
        ("usage", Usage),
        ("max_cost", c_int64),
        ("at", c_int64),
        ("reserved", c_uint8 * 32),
    ]


class QuoteLine(ctypes.Structure):
    """``farebox_quote_line``."""

    _fields_ = [
        ("meter", c_int32),
        ("tier", c_int32),
        ("quantity_micro", c_int64),
        ("rate_pico", c_int64),
        ("amount", c_int64),
    ]


class Quote(ctypes.Structure):
    """``farebox_quote``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("line_count", c_uint32),
        ("lines", c_void_p),
        ("line_capacity", c_uint32),
        ("capped", c_uint32),
        ("total", c_int64),
        ("price_version", c_uint64),
        ("asset", c_char * 24),
        ("reserved", c_uint8 * 32),
    ]


class ChargeArgs(ctypes.Structure):
    """``farebox_charge_args``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("payer", Str),
        ("tool", Str),
        ("payee", Str),
        ("asset", Str),
        ("idempotency_key", Str),
        ("run", Str),
        ("call", Str),
        ("description", Str),
        ("metadata", Str),
        ("amount", c_int64),
        ("max_cost", c_int64),
        ("usage", Usage),
        ("durability", c_int32),
        ("reserved", c_uint8 * 28),
    ]


class Receipt(ctypes.Structure):
    """``farebox_receipt``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("status", c_int32),
        ("flags", c_uint32),
        ("reserved0", c_uint32),
        ("id", c_uint64),
        ("hold", c_uint64),
        ("amount", c_int64),
        ("hold_remaining", c_int64),
        ("balance", c_int64),
        ("available", c_int64),
        ("time", c_int64),
        ("price_version", c_uint64),
        ("asset", c_char * 24),
        ("shortfall", c_int64),
        ("reserved", c_uint8 * 24),
    ]


class ReserveArgs(ctypes.Structure):
    """``farebox_reserve_args``: the fields of a charge up to ``usage``, then those of the hold."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("payer", Str),
        ("tool", Str),
        ("payee", Str),
        ("asset", Str),
        ("idempotency_key", Str),
        ("run", Str),
        ("call", Str),
        ("description", Str),
        ("metadata", Str),
        ("amount", c_int64),
        ("max_cost", c_int64),
        ("usage", Usage),
        ("expires_in_ms", c_uint64),
        ("over_capture", c_int32),
        ("durability", c_int32),
        ("reserved", c_uint8 * 16),
    ]


class CaptureArgs(ctypes.Structure):
    """``farebox_capture_args``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("hold", c_uint64),
        ("idempotency_key", Str),
        ("description", Str),
        ("metadata", Str),
        ("amount", c_int64),
        ("usage", Usage),
        ("durability", c_int32),
        ("reserved", c_uint8 * 28),
    ]


class IncreaseArgs(ctypes.Structure):
    """``farebox_increase_args``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("hold", c_uint64),
        ("idempotency_key", Str),
        ("description", Str),
        ("metadata", Str),
        ("amount", c_int64),
        ("durability", c_int32),
        ("reserved", c_uint8 * 28),
    ]


class BeginArgs(ctypes.Structure):
    """``farebox_begin_args``: a metered call that is about to run."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("payer", Str),
        ("tool", Str),
        ("run", Str),
        ("call", Str),
        ("parent", Str),
        ("arguments", Str),
        ("idempotency_key", Str),
        ("expected", Str),
        ("ordinal", c_uint32),
        ("durability", c_int32),
        ("amount", c_int64),
        ("max_cost", c_int64),
        ("expires_in_ms", c_int64),
        ("reserved", c_uint8 * 32),
    ]


class MeteredCall(ctypes.Structure):
    """``farebox_metered_call``: a metered call that has begun."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("hold", c_uint64),
        ("held", c_int64),
        ("maximum", c_int64),
        ("price_version", c_uint64),
        ("amount", c_int64),
        ("expected", Usage),
        ("terms", c_uint32),
        ("scale", c_uint32),
        ("asset", c_char * 24),
        ("key", c_char * 40),
        ("reserved", c_uint8 * 32),
    ]


class Tally(ctypes.Structure):
    """``farebox_tally``: what a call has used so far."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("meters", c_uint32),
        ("micro", c_int64 * 16),
        ("fraction", c_int64 * 16),
    ]


class CallLine(ctypes.Structure):
    """``farebox_call_line``: what a call is charged for beside its own usage."""

    _fields_ = [
        ("tool", Str),
        ("payee", Str),
        ("description", Str),
        ("recorded", c_void_p),
        ("amount", c_int64),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    ]


class FinishArgs(ctypes.Structure):
    """``farebox_finish_args``: how a metered call ended."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("ending", c_int32),
        ("durability", c_int32),
        ("recorded", c_void_p),
        ("lines", c_void_p),
        ("line_count", c_size_t),
        ("description", Str),
        ("metadata", Str),
        ("amount", c_int64),
        ("reserved", c_uint8 * 32),
    ]


class BalanceResult(ctypes.Structure):
    """``farebox_balance_result``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scale", c_uint32),
        ("balance", c_int64),
        ("held", c_int64),
        ("credit_line", c_int64),
        ("available", c_int64),
        ("asset", c_char * 24),
        ("reserved", c_uint8 * 32),
    ]


class WebhookArgs(ctypes.Structure):
    """``farebox_webhook_args``."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scheme", c_int32),
        ("body", Str),
        ("signature", Str),
        ("id", Str),
        ("timestamp", Str),
        ("secrets", c_void_p),
        ("secret_count", c_size_t),
        ("tolerance_s", c_int64),
        ("now", c_int64),
        ("sender", Str),
        ("reserved", c_uint8 * 16),
    ]


class ToolArgs(ctypes.Structure):
    """``farebox_tool_args``: a call of a plugin's tool."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("payer", Str),
        ("tool", Str),
        ("input", Str),
        ("idempotency_key", Str),
        ("run", Str),
        ("call", Str),
        ("parent", Str),
        ("max_cost", c_int64),
        ("deadline_ms", c_uint32),
        ("durability", c_int32),
        ("ordinal", c_uint32),
        ("reserved", c_uint8 * 28),
    ]


class MeterArgs(ctypes.Structure):
    """``farebox_meter_args``: a C function and what its calls cost."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("function", c_void_p),
        ("signature", Str),
        ("tool", Str),
        ("payer", Str),
        ("usage", Str),
        ("failure", Str),
        ("refused_integer", c_int64),
        ("refused_double", c_double),
        ("max_cost", c_int64),
        ("durability", c_int32),
        ("reserved", c_uint8 * 28),
    ]


class Payer(ctypes.Structure):
    """``farebox_payer``: who pays for one call of a metered C function."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("ordinal", c_uint32),
        ("tool", Str),
        ("arguments", Str),
        ("engine", c_void_p),
        ("payer", Str),
        ("run", Str),
        ("call", Str),
        ("parent", Str),
        ("reserved", c_uint8 * 32),
    ]


class Value(ctypes.Structure):
    """``farebox_value``: an argument or result of a C function."""

    _fields_ = [("integer", c_int64), ("number", c_double), ("bytes", Str)]


STRUCTS: Final[dict[str, type[ctypes.Structure]]] = {
    "farebox_str": Str,
    "farebox_text": Text,
    "farebox_error": Error,
    "farebox_options": Options,
    "farebox_tick_result": TickResult,
    "farebox_usage": Usage,
    "farebox_price_args": PriceArgs,
    "farebox_quote_line": QuoteLine,
    "farebox_quote": Quote,
    "farebox_charge_args": ChargeArgs,
    "farebox_receipt": Receipt,
    "farebox_reserve_args": ReserveArgs,
    "farebox_capture_args": CaptureArgs,
    "farebox_increase_args": IncreaseArgs,
    "farebox_begin_args": BeginArgs,
    "farebox_metered_call": MeteredCall,
    "farebox_tally": Tally,
    "farebox_call_line": CallLine,
    "farebox_finish_args": FinishArgs,
    "farebox_balance_result": BalanceResult,
    "farebox_webhook_args": WebhookArgs,
    "farebox_tool_args": ToolArgs,
    "farebox_meter_args": MeterArgs,
    "farebox_payer": Payer,
    "farebox_value": Value,
}
"""Every struct of the header by its C name."""

# Formats use standard sizes without padding ("<"): each struct of the header is naturally aligned, so both agree. "Q"
# is also a pointer or size_t (64-bit machines only), and "x" writes the zero that a reserved byte must be.
_USAGE = "11q 32x I 4x"
_CALL = f"<2I 18Q 2q {_USAGE}"

CHARGE: Final = struct.Struct(f"{_CALL} i 28x")
RESERVE: Final = struct.Struct(f"{_CALL} Q 2i 16x")
CAPTURE: Final = struct.Struct(f"<2I Q 6Q q {_USAGE} i 28x")
PRICE: Final = struct.Struct(f"<2I 4Q {_USAGE} 2q 32x")
USAGE: Final = struct.Struct(f"<{_USAGE}")
TOOL: Final = struct.Struct("<2I 14Q q IiI 28x")
WEBHOOK: Final = struct.Struct("<Ii 8Q 2Q 2q 2Q 16x")
INCREASE: Final = struct.Struct("<2I Q 6Q q i 28x")
BEGIN: Final = struct.Struct("<2I 16Q I i 3q 32x")
METERED_CALL: Final = struct.Struct(f"<2I Q 2q Q q {_USAGE} 2I 24s 40s 32x")
CALL_LINE: Final = struct.Struct("<6Q Q q I 4x")
FINISH: Final = struct.Struct("<2I 2i 3Q 4Q q 32x")
RECEIPT: Final = struct.Struct("<IiI4x 2Q 5q Q 24s q 24x")
QUOTE: Final = struct.Struct("<2I Q 2I q Q 24s 32x")
QUOTE_LINE: Final = struct.Struct("<2i 3q")
BALANCE: Final = struct.Struct("<2I 4q 24s 32x")
STR: Final = struct.Struct("<2Q")

FORMATS: Final[dict[str, struct.Struct]] = {
    "farebox_charge_args": CHARGE,
    "farebox_reserve_args": RESERVE,
    "farebox_capture_args": CAPTURE,
    "farebox_price_args": PRICE,
    "farebox_usage": USAGE,
    "farebox_tool_args": TOOL,
    "farebox_webhook_args": WEBHOOK,
    "farebox_increase_args": INCREASE,
    "farebox_begin_args": BEGIN,
    "farebox_metered_call": METERED_CALL,
    "farebox_call_line": CALL_LINE,
    "farebox_finish_args": FINISH,
    "farebox_receipt": RECEIPT,
    "farebox_balance_result": BALANCE,
    "farebox_quote": QUOTE,
    "farebox_quote_line": QUOTE_LINE,
    "farebox_str": STR,
}
"""The format that packs or unpacks each struct."""


def offset(kind: type[ctypes.Structure], field: str) -> int:
    """Returns the offset of a field in bytes.

    Errors: AttributeError for a field that the struct does not have.
    """
    value = getattr(kind, field).offset
    assert isinstance(value, int)
    return value
