"""The examples: the trace biller to the last atomic unit, the walkthrough, and the real run's own arithmetic."""

from __future__ import annotations

import csv
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import farebox
from farebox import Farebox

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
SOURCE = Path(farebox.__file__).resolve().parents[1]
NANO = Decimal("1e-9")

if not EXAMPLES.is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)


def load(name: str) -> ModuleType:
    """Imports an example from its file."""
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


biller = load("bill_trace")
real = load("real_run")


def run(script: Path, *arguments: str, cwd: Path) -> str:
    """Runs an example as a program; its output."""
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- The trace biller ----


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A trace of 3,000 calls, from nothing to a few hundred million tokens."""
    pick = random.Random(20231116)
    path = tmp_path / "trace.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["TIMESTAMP", "ContextTokens", "GeneratedTokens"])
        writer.writerow(["2023-11-16 18:17:03.9799600", 0, 0])
        writer.writerow(["2023-11-16 18:17:03.9799600", 1, 1])
        for number in range(2998):
            high = 10 ** pick.randint(1, 8)
            writer.writerow([f"2023-11-16 18:{number // 60 % 60:02}:{number % 60:02}", pick.randrange(high), number])
    return path


def exactly(trace: Path, rate_in: str, rate_out: str) -> Decimal:
    """What a trace costs, by fractions: each line is rounded half to even at an atomic unit."""
    units = 0
    with trace.open() as file:
        for row in csv.DictReader(file):
            for rate, count in ((rate_in, row["ContextTokens"]), (rate_out, row["GeneratedTokens"])):
                units += round(Fraction(rate) * int(count) / 1_000_000 * 10**9)
    return units * NANO


RATES = [("2.50", "10"), ("0.15", "0.6"), ("0.003625", "0.87"), ("0.000001", "0.000003"), ("0", "75")]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("single", [False, True], ids=["batches", "single"])
def test_a_trace_is_billed_to_the_last_atomic_unit(
    trace: Path, tmp_path: Path, rate_in: str, rate_out: str, single: bool
) -> None:
    rows = list(biller.read_trace(trace))
    with Farebox.open(tmp_path / "ledger.db", durability="normal") as engine:
        tool, price = biller.publish_rates(engine, f"{rate_in}/{rate_out}")
        engine.open_account("user:trace", credit_line=biller.CREDIT_LINE)
        done = biller.bill(engine, rows, tool, "user:trace", "t", single=single, batch=512)
        expected = exactly(trace, rate_in, rate_out)
        assert (done.charged, done.replayed, done.refused) == (3000, 0, [])
        assert done.total == done.charged_now == expected == biller.exact_total(rows, price)
        assert engine.balance("user:trace").balance == -expected
        assert engine.balance("platform").balance == expected
        assert engine.call("ledger.verify")["valid"] is True
        assert engine.call("ledger.reconcile")["balanced"] is True


@pytest.mark.parametrize("first", ["batches", "single"])
def test_a_restart_in_the_middle_charges_nothing_twice(trace: Path, tmp_path: Path, first: str) -> None:
    rows = list(biller.read_trace(trace))
    path = tmp_path / "ledger.db"
    expected = exactly(trace, "2.50", "10")
    with Farebox.open(path) as engine:
        tool, _ = biller.publish_rates(engine, "2.50/10")
        engine.open_account("user:trace", credit_line=biller.CREDIT_LINE)
        before = biller.bill(engine, rows[:1234], tool, "user:trace", "t", single=first == "single", batch=500)
    with Farebox.open(path, existing=True) as engine:
        again, _ = biller.publish_rates(engine, "2.5/10.0")
        assert again == tool
        after = biller.bill(engine, rows, tool, "user:trace", "t", single=first != "single", batch=700)
        assert (after.charged, after.replayed, after.refused) == (3000 - 1234, 1234, [])
        assert after.total == before.total + after.charged_now == expected
        assert engine.balance("user:trace").balance == -expected
    with Farebox.open(path, existing=True) as engine:
        third = biller.bill(engine, rows, tool, "user:trace", "t")
        assert (third.charged, third.replayed, third.total, third.charged_now) == (0, 3000, expected, 0)
        assert engine.balance("user:trace").balance == -expected
        assert engine.call("ledger.verify")["valid"] is True


def test_a_biller_that_was_killed_is_run_again(trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    command = [str(EXAMPLES / "bill_trace.py"), "--trace", str(trace), "--rates", "2.50/10", "--ledger", str(path)]
    killed = subprocess.Popen(
        [sys.executable, *command, "--single"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    log = Path(f"{path}-wal")
    deadline = time.monotonic() + 60
    while killed.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.stat().st_size > 400_000:
            killed.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    killed.wait()
    with Farebox.open(path, existing=True) as engine:
        paid = -engine.balance("user:trace").balance
    assert 0 < paid < exactly(trace, "2.50", "10"), "it was to be killed in the middle"
    output = run(Path(command[0]), *command[1:], cwd=tmp_path)
    with Farebox.open(path, existing=True) as engine:
        assert engine.balance("user:trace").balance == -exactly(trace, "2.50", "10")
    assert f"total     {biller.plain_amount(exactly(trace, '2.50', '10'))} USD" in output
    assert "checked   equals exact decimal arithmetic" in output


def test_another_model_is_another_bill_and_another_trace_a_conflict(trace: Path, tmp_path: Path) -> None:
    rows = list(biller.read_trace(trace))[:100]
    with Farebox.open("memory:") as engine:
        engine.open_account("user:trace", credit_line=biller.CREDIT_LINE)
        totals = []
        for rates in ("2.50/10", "0.15/0.6"):
            tool, price = biller.publish_rates(engine, rates)
            done = biller.bill(engine, rows, tool, "user:trace", "t")
            assert (done.charged, done.total) == (100, biller.exact_total(rows, price))
            totals.append(done.total)
        assert engine.balance("user:trace").balance == -sum(totals)
        changed = [row._replace(output_tokens=row.output_tokens + 1) for row in rows]
        done = biller.bill(engine, changed, "given/2.5-10", "user:trace", "t")
        assert {error.name for _, error in done.refused} == {"KEY_CONFLICT"} and len(done.refused) == 100
        assert engine.balance("user:trace").balance == -sum(totals)


def test_the_check_apart_from_the_engine_reads_tiers_and_dates() -> None:
    import datetime

    tiered = {
        "input_mtok": {"base": "3", "tiers": [{"start": 200_000, "price": "6"}]},
        "output_mtok": {"base": 15, "tiers": [{"start": 200_000, "price": Decimal("22.5")}]},
        "requests_kcount": 12,
    }
    data = [
        {
            "id": "maker",
            "models": [
                {"id": "tiered", "prices": tiered},
                {
                    "id": "dated",
                    "prices": [
                        {"prices": {"input_mtok": 10, "output_mtok": 40}},
                        {"constraint": {"start_date": "2025-06-10"}, "prices": {"input_mtok": 2, "output_mtok": 8}},
                        {"constraint": {"start_date": "2999-01-01"}, "prices": {"input_mtok": 1, "output_mtok": 1}},
                    ],
                },
                {"id": "nightly", "prices": [{"constraint": {"start_time": "00:30"}, "prices": {"input_mtok": 1}}]},
            ],
        }
    ]
    now = datetime.datetime.now(datetime.timezone.utc)
    with Farebox.open("memory:") as engine:
        engine.call("rate_card.import", format="genai-prices", data=data)
        for model in ("maker/tiered", "maker/dated"):
            price = biller.listed_price(biller.find_model(data, model), now)
            for counts in ((0, 0), (1, 1), (200_000, 7), (200_001, 7), (123_456_789, 987_654)):
                quote = engine.price_tool(
                    f"genai-prices/{model}", {"input_tokens": counts[0], "output_tokens": counts[1]}
                )
                assert quote.total == price(*counts), (model, counts)
            stated = biller.stated_price(engine.call("tool.inspect", tool=f"genai-prices/{model}")["pricing"])
            assert stated(200_000, 7) == price(200_000, 7) and stated(200_001, 7) == price(200_001, 7)
        assert "then 6.00 USD a million" in biller.described(engine, "genai-prices/maker/tiered")[0]
    for model in ("maker/nightly", "maker/unknown"):
        with pytest.raises(LookupError):
            biller.listed_price(biller.find_model(data, model), now)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,-2\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,2.5\n",
    ],
)
def test_what_is_no_trace_is_an_error_with_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"trace\.csv"):
        list(biller.read_trace(path))
    assert biller.main(["--trace", str(path), "--rates", "1/1"]) == 2


@pytest.mark.parametrize("rates", ["1", "1/2/3", "a/b", "-1/2", "nan/1", "1/inf"])
def test_what_are_no_rates_is_an_error(rates: str) -> None:
    with Farebox.open("memory:") as engine, pytest.raises(ValueError, match="--rates"):
        biller.publish_rates(engine, rates)


# ---- The real run ----


def quantities(pricing: dict[str, Any]) -> list[dict[str, Decimal | int]]:
    if pricing.get("per") == "unit":
        return [{"units": Decimal(number) / 1000} for number in (0, 1, 999, 33_333, 33_334, 10**7)]
    if real.usage_of(pricing, ""):
        return [{"output_tokens": number} for number in (0, 1, 999, 1000, 1001, 1500, 1501, 3900, 3901, 10**6)]
    return [{}]


def test_the_run_prices_like_the_engine() -> None:
    with Farebox.open("memory:") as engine:
        tools = [{"name": name, "pricing": pricing} for name, pricing in real.PRICES.items()]
        engine.register_skill({"id": "all", "version": "1.0.0", "tools": tools})
        for name, pricing in real.PRICES.items():
            for usage in quantities(pricing):
                assert real.exact_price(pricing, usage) == engine.price_tool(name, usage or None).total, (name, usage)
            assert real.price_words(pricing).count("USD") >= 1


def test_the_run_shares_like_the_engine() -> None:
    with Farebox.open("memory:") as engine:
        engine.open_account("agent:owner")
        for units in (0, 1, 2, 3, 7, 9, 10, 11, 99, 1_234_567_891):
            amount = (units * NANO).quantize(NANO, ROUND_DOWN)
            split = [{"account": "agent:owner", "share": real.SHARE}, {"account": "platform", "share": "remaining"}]
            ours = real.shares(amount)
            assert sum(ours) == amount
            if units:
                theirs = engine.call("split.shares", split=split, amount=f"{amount:f}", asset="USD")["shares"]
                assert [Decimal(each["amount"]) for each in theirs] == list(ours), units


def test_the_run_plans_every_tool_and_some_failures(tmp_path: Path) -> None:
    for payer, count in real.CALLS.items():
        calls = list(real.plan(payer, tmp_path, ["a", "b"]))
        assert {call.tool for call in calls} == set(real.PRICES)
        assert len({call.name for call in calls}) == len(calls) > count
        flat = sum(
            Decimal(real.PRICES[call.tool].get("cost", 0))
            for call in calls
            if real.exact_price(real.PRICES[call.tool], {}) > Decimal("0.005")
        )
        if payer != "user:ana":  # whatever the repository has, this is more than the money or the budget
            limit = real.DEPOSITS["user:ben"] if payer == "user:ben" else Decimal(real.BUDGET["amount"])
            assert flat > limit


def test_the_run_makes_a_repository_where_there_is_none(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    repository = real.make_repository(tmp_path / "repository")
    revisions = real.readable_revisions(repository)
    assert len(revisions) == 8
    assert "tide-8.txt" in real.git(repository, "show", revisions[0])
    assert real.readable_revisions(repository, most=3, size=10_000) == revisions[:3]
    assert real.readable_revisions(repository, size=1, least=2) == revisions[:2]
    assert real.readable_revisions(tmp_path / "nowhere") == []
    shallow = tmp_path / "shallow"
    command = ["git", "clone", "--quiet", "--depth", "2", repository.as_uri(), str(shallow)]
    subprocess.run(command, check=True)
    assert real.readable_revisions(shallow) == revisions[:1]
    assert real.git(repository, "show", "no-such-revision") == ""


# ---- The walkthrough and the five lines ----


def test_the_walkthrough_runs(tmp_path: Path) -> None:
    output = run(EXAMPLES / "python" / "walkthrough.py", cwd=tmp_path)
    assert "a search costs           0.020000000 USD" in output
    assert "user:author              0.014000000 USD" in output
    assert output.rstrip().split("\n")[-1].startswith("refused                  user:ana has 9.98 USD available")


def test_the_five_lines_run_and_are_those_of_the_readme(tmp_path: Path) -> None:
    script = EXAMPLES / "python" / "five_lines.py"
    assert run(script, cwd=tmp_path) == "9.98\n"
    assert (tmp_path / "farebox.db").exists()
    readme = (ROOT / "bindings" / "python" / "README.md").read_text(encoding="utf-8")
    lines = script.read_text(encoding="utf-8").split("\n")
    start = lines.index("@farebox.pricing(cost=0.02)")
    for line in filter(None, lines[start : lines.index('print(engine.balance("user:ana").balance)')]):
        assert line in readme, line


def test_zlib_as_tools_is_charged_exactly(tmp_path: Path) -> None:
    output = run(EXAMPLES / "python" / "zlib_tools.py", cwd=tmp_path)
    assert "zlib.crc32       342000 bytes" in output and "exactly 0.003420000" in output
    assert "zlib.uncompress PLUGIN_FAILED" in output
    assert output.rstrip().endswith("10 receipts are exact, 0.004191704 USD in all")


def test_the_wrapper_is_a_script() -> None:
    script = EXAMPLES / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
