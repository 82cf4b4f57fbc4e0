"""Farebox around a Python function that does nothing: what `@pricing` adds to a call.

Each call is quoted, reserved, run and captured. `--exclusive` is a process that holds the ledger alone and lets its
holds be relaxed; the captures stay `normal`.

    farebox_metered.py --url URL [--rounds N] [--exclusive]
"""

from __future__ import annotations

import argparse
import time

from farebox import Farebox, pricing


@pricing(cost="0.001", currency="USD", description="Does nothing")
def nothing() -> None:
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--exclusive", action="store_true")
    arguments = parser.parse_args()

    options = {"exclusive": True, "hold_durability": "relaxed"} if arguments.exclusive else {}
    with Farebox.open(arguments.url, durability="normal", **options) as farebox:
        farebox.call("account.deposit", account="user:ana", amount="1000000", asset="USD")
        with farebox.paying("user:ana"):
            for _ in range(arguments.rounds // 10):
                nothing()
            before = farebox.balance("user:ana").balance
            taken = []
            now = time.perf_counter_ns
            for _ in range(arguments.rounds):
                start = now()
                nothing()
                taken.append(now() - start)
            paid = before - farebox.balance("user:ana").balance
        if paid * 1000 != arguments.rounds:
            raise SystemExit(f"{arguments.rounds} calls at 0.001 USD took {paid} USD")
    taken.sort()
    print(f"p50_us {taken[len(taken) // 2] / 1000:.4f}")
    print(f"p99_us {taken[len(taken) * 99 // 100] / 1000:.4f}")
    print(f"mean_us {sum(taken) / len(taken) / 1000:.4f}")


if __name__ == "__main__":
    main()
