#!/usr/bin/env python3
"""A tool that costs two cents, and a user who pays for a call of it.

    PYTHONPATH=bindings/python/src python3 examples/python/five_lines.py

Makes farebox.db in the current folder.
"""

import farebox


@farebox.pricing(cost=0.02)
def search(query: str) -> str:
    return f"results for {query}"


engine = farebox.Farebox.open("farebox.db")
engine.open_account("user:ana")
engine.deposit("user:ana", 10)

with engine.paying("user:ana", run="run-1"):
    search("tides")

print(engine.balance("user:ana").balance)
