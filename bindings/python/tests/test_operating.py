"""Backup, restore, rebuild and metrics through the JSON door."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import farebox
from farebox import Farebox, StoreError
from farebox import _statuses as status

SOURCE = Path(farebox.__file__).resolve().parents[1]


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


def test_a_backup_that_is_killed_leaves_no_ledger_under_its_name(tmp_path: Path) -> None:
    source = tmp_path / "ledger.db"
    with Farebox.open(source, durability="normal") as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 1000)
        for first in range(0, 60_000, 10_000):
            engine.charge_many(
                [{"payer": "user:ana", "amount": "0.001", "key": f"k-{first + n}"} for n in range(10_000)]
            )
        proof = engine.call("ledger.verify")["hash"]
    program = (
        "import sys, farebox\n"
        "with farebox.Farebox.open(sys.argv[1]) as engine:\n"
        "    print('ready', flush=True)\n"
        "    engine.call('ledger.backup', to='sqlite:' + sys.argv[2])\n"
    )
    for turn in range(12):
        target = tmp_path / f"backup-{turn}.db"
        with subprocess.Popen(
            [sys.executable, "-c", program, str(source), str(target)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        ) as child:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            # Later with every turn, so that different parts of the backup are met.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(turn * 0.012)
            child.kill()
        if target.exists():
            with Farebox.open(target, existing=True) as copy:
                assert copy.call("ledger.verify")["hash"] == proof
        for left in tmp_path.glob("*.partial"):
            # Either nothing was copied yet, or it is known as unfinished, or it was complete but for its name.
            try:
                with Farebox.open(left, existing=True) as opened:
                    assert opened.call("ledger.verify")["hash"] == proof or opened.call("ledger.info")["records"] < 4
            except StoreError as error:
                assert error.code in (status.STORE_UNFINISHED, status.STORE_NOT_FOUND)
            for file in tmp_path.glob(f"{left.name}*"):
                file.unlink()
    with Farebox.open(source, existing=True) as engine:
        assert engine.call("ledger.verify")["hash"] == proof
