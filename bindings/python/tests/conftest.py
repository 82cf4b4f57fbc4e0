"""Fixtures: a ledger in memory, and a clock that a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farebox import Farebox

ROOT = Path(__file__).resolve().parents[3]


class ManualClock:
    """A clock that stands still until it is moved; microseconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Iterator[Farebox]:
    """A ledger in memory where user:ana has 10 USD, user:bob has 0.05 and dev:eve has nothing."""
    with Farebox.open("memory:", clock=clock) as opened:
        for account in ("user:ana", "user:bob", "dev:eve"):
            opened.open_account(account)
        opened.deposit("user:ana", 10)
        opened.deposit("user:bob", "0.05")
        yield opened


@pytest.fixture
def root() -> Path:
    """The source tree."""
    return ROOT
