#!/usr/bin/env python3
"""A first program with Farebox: open a ledger, price a tool, hold money, take it, and look at the balance.

PYTHONPATH=bindings/python/src python3 examples/python/walkthrough.py
"""

from __future__ import annotations

from decimal import Decimal

from farebox import Farebox, PaymentRefused


def show(what: str, amount: Decimal) -> None:
    """Prints an amount with all nine digits of an atomic unit."""
    print(f"{what:<24} {amount:.9f} USD")


def main() -> None:
    """Walks through one call of one tool."""
    # "memory:" forgets everything at the end; a path, such as "farebox.db", keeps it in one file.
    with Farebox.open("memory:") as engine:
        # Ana pays ten dollars in. A skill says what its tool costs; 70 per cent of that go to its author.
        engine.deposit("user:ana", 10)
        engine.register_skill(
            {
                "id": "research",
                "version": "1.0.0",
                "owner": "user:author",
                "revenue_share": "0.70",
                "tools": [{"name": "research.search", "pricing": {"cost": "0.02"}}],
            }
        )

        # What would one call cost?
        show("a search costs", engine.price_tool("research.search").total)

        # Before the call: hold the money, so that it cannot be spent twice. The key makes a retry harmless.
        hold = engine.reserve("user:ana", "research.search", key="run-1/call-1")
        show("held before the call", hold.amount)
        show("Ana may still spend", hold.receipt.available)

        # ... here the tool runs. Had it failed, hold.release() would give the money back ...

        # After it: take what was held. The author's and the platform's shares are posted in the same step.
        show("captured after the call", hold.capture().amount)

        for account in ("user:ana", "user:author", "platform"):
            show(account, engine.balance(account).balance)

        # An expected no is an exception of its own, and says what stood in the way.
        try:
            engine.charge("user:ana", amount=1000)
        except PaymentRefused as refused:
            print(f"{'refused':<24} {refused.message}")


if __name__ == "__main__":
    main()
