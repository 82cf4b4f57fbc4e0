"""Farebox: the payment engine that lives inside an agent runtime.

    import farebox

    @farebox.pricing(cost=0.02)
    def search(query: str) -> str: ...

    with farebox.Farebox.open("farebox.db") as engine, engine.paying("user:ana", run="run-1"):
        search("tides")

Each call of ``search`` is held, run and charged on a double-entry ledger, or released if it raises.
"""

from __future__ import annotations

from ._library import library_path
from .accounts import escape_account, unescape_account
from .context import Payment, call_id, record_amount, record_usage
from .engine import Farebox, Hold, describe
from .errors import (
    FareboxError,
    HandleError,
    HoldError,
    InternalError,
    KeyConflict,
    PayerRefused,
    PaymentRefused,
    PluginError,
    RequestError,
    StateError,
    StoreError,
    WebhookError,
)
from .functions import MeteredFunction, metered
from .plugins import Plugins, set_plugin_policy
from .pricing import ToolPricing, estimate_tokens, is_failed_result, meter, pricing
from .values import Balance, ChargeRequest, Quote, QuoteLine, Receipt, TickResult, ToolResult
from .webhooks import verify_webhook

__version__ = "0.1.0"

__all__ = [
    "Balance",
    "ChargeRequest",
    "Farebox",
    "FareboxError",
    "HandleError",
    "Hold",
    "HoldError",
    "InternalError",
    "KeyConflict",
    "MeteredFunction",
    "PayerRefused",
    "Payment",
    "PaymentRefused",
    "PluginError",
    "Plugins",
    "Quote",
    "QuoteLine",
    "Receipt",
    "RequestError",
    "StateError",
    "StoreError",
    "TickResult",
    "ToolPricing",
    "ToolResult",
    "WebhookError",
    "call_id",
    "describe",
    "escape_account",
    "estimate_tokens",
    "is_failed_result",
    "library_path",
    "meter",
    "metered",
    "pricing",
    "record_amount",
    "record_usage",
    "set_plugin_policy",
    "unescape_account",
    "verify_webhook",
]
