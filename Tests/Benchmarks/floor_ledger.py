"""The plainest ledger that Python's own sqlite3 makes: the peer of a metered call.

One transaction a charge: insert the transfer with its unique key, take the amount from the payer if the balance covers
it, give it to the payee. WAL, and `synchronous` as asked.

    floor_ledger.py --path FILE [--rounds N] [--synchronous NORMAL] [--exclusive]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time


class Ledger:
    """Accounts with a balance, and transfers with a unique key."""

    def __init__(self, path: str, synchronous: str = "NORMAL", exclusive: bool = False) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        if exclusive:
            self.db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute(f"PRAGMA synchronous={synchronous}")
        self.db.execute("CREATE TABLE account(name TEXT PRIMARY KEY, balance INTEGER NOT NULL)")
        self.db.execute(
            "CREATE TABLE transfer(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, payer TEXT NOT NULL,"
            " payee TEXT NOT NULL, amount INTEGER NOT NULL, at REAL NOT NULL)"
        )

    def deposit(self, name: str, amount: int) -> None:
        self.db.execute(
            "INSERT INTO account VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET balance=balance+excluded.balance",
            (name, amount),
        )

    def charge(self, key: bytes, payer: str, payee: str, amount: int) -> None:
        execute = self.db.execute
        execute("BEGIN IMMEDIATE")
        try:
            execute(
                "INSERT INTO transfer(key, payer, payee, amount, at) VALUES(?, ?, ?, ?, ?)",
                (key, payer, payee, amount, time.time()),
            )
            paid = execute(
                "UPDATE account SET balance=balance-? WHERE name=? AND balance>=?", (amount, payer, amount)
            )
            if paid.rowcount != 1:
                raise ValueError("insufficient funds")
            execute("UPDATE account SET balance=balance+? WHERE name=?", (amount, payee))
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", required=True)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--synchronous", choices=["OFF", "NORMAL", "FULL"], default="NORMAL")
    parser.add_argument("--exclusive", action="store_true")
    arguments = parser.parse_args()

    ledger = Ledger(arguments.path, arguments.synchronous, arguments.exclusive)
    ledger.deposit("user:ana", 10**15)
    ledger.deposit("platform", 0)
    for _ in range(arguments.rounds // 10):
        ledger.charge(os.urandom(16), "user:ana", "platform", 1_000_000)

    taken = []
    now = time.perf_counter_ns
    for _ in range(arguments.rounds):
        start = now()
        ledger.charge(os.urandom(16), "user:ana", "platform", 1_000_000)
        taken.append(now() - start)
    taken.sort()
    print(f"p50_us {taken[len(taken) // 2] / 1000:.4f}")
    print(f"p99_us {taken[len(taken) * 99 // 100] / 1000:.4f}")
    print(f"mean_us {sum(taken) / len(taken) / 1000:.4f}")


if __name__ == "__main__":
    main()
