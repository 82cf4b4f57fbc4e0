#!/usr/bin/env python3
"""The system's zlib, which knows nothing of Farebox, as tools that are priced by the byte and run in their own process.

    PYTHONPATH=bindings/python/src python3 examples/python/zlib_tools.py

Every receipt is compared with decimals computed here, and every result with Python's own zlib.
"""

from __future__ import annotations

import json
import zlib
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import farebox
from farebox import Farebox, PluginError, Receipt

FOLDER = Path(__file__).resolve().parents[1] / "plugins" / "zlib"
MANIFEST = FOLDER / "org.farebox.example.zlib.farebox.json"
NANO = Decimal("1e-9")  # an atomic unit of USD


def exact_price(tool: str, count: int) -> Decimal:
    """What so many bytes cost, by the manifest and decimals alone."""
    entry = next(entry for entry in json.loads(MANIFEST.read_text())["tools"] if entry["name"] == tool)
    (component,) = entry["pricing"]["components"]
    price = (Decimal(component["rate"]) * count / component["per"]).quantize(NANO, ROUND_HALF_EVEN)
    return min(price, Decimal(entry["pricing"]["max_cost"]))


def show(tool: str, count: int, receipt: Receipt) -> None:
    """Prints a receipt, and compares it with the exact price."""
    exact = exact_price(tool, count)
    print(f"{tool:<15} {count:>7} bytes  #{receipt.id:<3} {receipt.amount:.9f} USD, exactly {exact:.9f}")
    assert receipt.amount == exact, f"the receipt says {receipt.amount}"


def main() -> None:
    """Calls two tools with texts of many sizes, and adds everything up."""
    # No more than this folder, and libraries of the system; without a signature, so in a process of their own.
    farebox.set_plugin_policy(directories=[FOLDER], trust="unsigned", system_libraries=True)
    with Farebox.open("memory:") as engine:
        engine.deposit("user:ana", 1)
        engine.open_account("user:author")  # earns 70 per cent, as the manifest says
        loaded = engine.plugins.load(MANIFEST)
        print(f"{loaded['plugin']} {loaded['version']} is {loaded['state']}, runs in a {loaded['mode']}")

        paid: list[Receipt] = []
        checksum = engine.plugins.tool("zlib.crc32")
        with engine.paying("user:ana", run="run-1", on_receipt=paid.append):
            for repeats in (0, 1, 27, 1000, 9000):
                text = b"The tide comes in, the tide goes out. " * repeats
                assert checksum(crc=0, data=text)["result"] == zlib.crc32(text)
                show("zlib.crc32", len(text), paid[-1])
                squeezed = engine.plugins.tool("zlib.compress")(source=text, level=9)
                assert zlib.decompress(squeezed["dest"]) == text
                show("zlib.compress", len(text), paid[-1])

            # What fails is not charged: these are no bytes that zlib has compressed.
            try:
                engine.call_tool("zlib.uncompress", {"source": b"not compressed"})
            except PluginError as failed:
                print(f"{'zlib.uncompress':<15} {failed}")

        total = sum((receipt.amount for receipt in paid), Decimal(0))
        for account in ("user:ana", "user:author", "platform"):
            print(f"{account:<15} {engine.balance(account).balance:.9f} USD")
        assert engine.balance("user:ana").balance == 1 - total
        assert engine.balance("user:author").balance + engine.balance("platform").balance == total
        print(f"{len(paid)} receipts are exact, {total:.9f} USD in all")


if __name__ == "__main__":
    main()
