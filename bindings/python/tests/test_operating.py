"""Backup, restore, rebuild and metrics through the JSON door."""

from __future__ import annotations

from pathlib import Path

import pytest

from farebox import Farebox, StoreError
from farebox import _statuses as status


def charges(engine: Farebox, count: int) -> list[int]:
    receipts = engine.charge_many([{"payer": "user:ana", "amount": "0.01", "key": f"k-{n}"} for n in range(count)])
    return [receipt.id for receipt in receipts]


def test_a_backup_is_restored_with_every_receipt(tmp_path: Path) -> None:
    with Farebox.open(tmp_path / "ledger.db") as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 100)
        ids = charges(engine, 300)
        backup = engine.call("ledger.backup", to=f"sqlite:{tmp_path}/backup.db")
        assert backup["verified"] and backup["hash"] == engine.call("ledger.verify")["hash"]
        engine.charge("user:ana", amount=1)
        with pytest.raises(StoreError) as caught:
            engine.call("ledger.backup", to=f"sqlite:{tmp_path}/backup.db")
        assert caught.value.code == status.STORE_EXISTS
    with Farebox.open("memory:") as helper:
        restored = helper.call(
            "ledger.copy", from_=f"sqlite:{tmp_path}/backup.db", to=f"sqlite:{tmp_path}/restored.db"
        )
        assert restored["hash"] == backup["hash"]
        assert helper.call("ledger.rebuild", url=f"sqlite:{tmp_path}/restored.db")["hash"] == backup["hash"]
    with Farebox.open(tmp_path / "restored.db", existing=True) as engine:
        assert engine.balance("user:ana").balance == 97
        assert charges(engine, 300) == ids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", "ledger.db", "restored.db"]


def test_metrics_tell_what_was_done(engine: Farebox) -> None:
    before = engine.call("engine.metrics")
    charges(engine, 10)
    charges(engine, 10)
    after = engine.call("engine.metrics")
    assert after["calls"]["ok"] - before["calls"]["ok"] == 20
    assert after["replays"] - before["replays"] == 10
    assert after["records"] - before["records"] == 10
    assert after["commits"] - before["commits"] == 1
    assert after["commit"]["count"] == after["commits"]
    assert sum(after["turn_work"]["buckets"]) == after["turn_work"]["count"]
