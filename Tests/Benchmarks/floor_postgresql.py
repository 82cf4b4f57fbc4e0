#!/usr/bin/env python3
"""The peer of charges on PostgreSQL: pgbench, one call of one SQL function a transaction; see floor_postgresql.sql.

    floor_postgresql.py --url URL [--clients N] [--shards N] [--seconds N]

The database at URL must be the run's own; the schema `floor` is made in it. With one client the times of single calls are
taken too. Fails where the balances are not what the transfers add up to.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "PostgreSQL"))

from server import find_programs  # noqa: E402

PAYERS = 10_000
AMOUNT = 1_000_000
SCRIPT = f"""\\set payer random(1, {PAYERS})
\\set shard random(0, :shards - 1)
SELECT * FROM floor.charge(gen_random_uuid(), :payer, {AMOUNT}, :shard);
"""


def run(*words: str, folder: str | None = None) -> str:
    program, *rest = words
    done = subprocess.run([str(find_programs() / program), *rest], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="pgbench, one charge a transaction.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", arguments.url]
    run(*psql, "-v", f"shards={arguments.shards}", "-f", str(HERE / "floor_postgresql.sql"))

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "script").write_text(SCRIPT)
        threads = min(arguments.clients, os.cpu_count() or 1)
        pgbench = ["pgbench", "-n", "-M", "prepared", "-f", "script", "-D", f"shards={arguments.shards}"]
        pgbench += ["-c", str(arguments.clients), "-j", str(threads)]
        run(*pgbench, "-T", "1", arguments.url, folder=folder)
        log = ["--log", "--log-prefix", "times"] if arguments.clients == 1 else []
        printed = run(*pgbench, *log, "-T", str(arguments.seconds), arguments.url, folder=folder)
        rate = re.search(r"^tps = ([0-9.]+) \(without", printed, re.MULTILINE)
        failed = re.search(r"^number of failed transactions: (\d+)", printed, re.MULTILINE)
        if rate is None or failed is None or failed[1] != "0":
            sys.exit(f"pgbench did not do its work:\n{printed[-2000:]}")
        print(f"rate {rate[1]}")
        times = sorted(int(line.split()[2]) for file in Path(folder).glob("times.*") for line in file.read_text().splitlines())
    if times:
        print(f"p50_us {times[len(times) // 2]}\np99_us {times[len(times) * 99 // 100]}")

    sums = f"""SELECT (SELECT sum(balance) FROM floor.platform) = (SELECT sum(amount) FROM floor.transfers)
      AND (SELECT sum(balance) FROM floor.accounts) + (SELECT sum(amount) FROM floor.transfers)
        = {PAYERS}::numeric * 100000000000000"""
    if run(*psql, "-c", sums).strip() != "t":
        sys.exit("the floor's balances are not what its transfers add up to")
    return 0


if __name__ == "__main__":
    sys.exit(main())
