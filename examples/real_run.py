#!/usr/bin/env python3
"""The real run: real MCP servers, priced by a manifest, called by three users at once, and every cent accounted for.

    examples/run

Two servers that nobody here wrote, mcp-server-git and mcp-server-time, run as they come from PyPI. Their tools are
discovered, priced and metered with `farebox.meter`: each call reserves money, runs, and is captured at what it really
used, or released if the tool failed. What the git server showed is then compressed by zlib, a C library that runs as a
plugin in a process of its own, at a price by the byte. At the end the run adds everything up once more with plain
decimals, from what the calls themselves recorded, and exits with an error if the ledger disagrees anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import farebox
from farebox import Farebox, PaymentRefused, Receipt

if TYPE_CHECKING:
    from mcp import ClientSession

# ---- What the tools cost ----

SHARE = "0.70"  # of the skill's owner; the platform has the rest

SKILLS: dict[str, dict[str, Any]] = {
    "time": {
        "module": "mcp_server_time",
        "owner": "agent:clockmaker",
        "prices": {
            "get_current_time": {"cost": "0.02"},
            "convert_time": {"cost": "0.03"},
        },
    },
    "git": {
        "module": "mcp_server_git",
        "owner": "agent:historian",
        "prices": {
            "git_branch": {"cost": "0.01"},
            "git_log": {"cost": "0.00002", "per": "output_token", "max_cost": "0.03"},
            # One unit is a thousand bytes of the answer.
            "git_diff": {"cost": "0.0012", "per": "unit", "max_cost": "0.04"},
            "git_show": {
                "components": [
                    {"meter": "requests", "rate": "0.001"},
                    {
                        "meter": "output_tokens",
                        "model": "graduated",
                        "tiers": [{"up_to": "1000", "rate": "0.00002"}, {"rate": "0.00001"}],
                    },
                ],
                "max_cost": "0.05",
            },
        },
    },
}
# Tools without a price are not offered: those of git that write to the repository among them.
PRICES: dict[str, dict[str, Any]] = {
    name: price for skill in SKILLS.values() for name, price in skill["prices"].items()
}
OWNERS = {tool: skill["owner"] for skill in SKILLS.values() for tool in skill["prices"]}

# ---- Who calls ----

DEPARTMENT = "org:acme/dept:research"
SCOUT = f"{DEPARTMENT}/agent:scout"
DEPOSITS = {"user:ana": Decimal(25), "user:ben": Decimal("0.95"), "org:acme": Decimal(20)}
WALLETS = {"user:ana": "user:ana", "user:ben": "user:ben", SCOUT: "org:acme"}
CALLS = {"user:ana": 192, "user:ben": 120, SCOUT: 120}
BUDGET = {"account": DEPARTMENT, "name": "monthly", "window": "month", "amount": "1.10", "thresholds": [50, 80]}
WORKERS = 6  # calls of one user that are under way at once
PAUSE = 0.05  # seconds that an agent thinks after a refusal
PATIENCE = 900  # seconds after which the run has failed
ZONES = ("Asia/Tokyo", "Europe/Berlin", "America/New_York", "Africa/Nairobi", "Australia/Sydney", "UTC")
NANO = Decimal("1e-9")  # an atomic unit of USD


@dataclass
class Call:
    """One call of a tool, as the caller saw it: the record that the ledger is checked against."""

    payer: str
    name: str
    tool: str
    arguments: dict[str, Any]
    outcome: str = "open"  # then charged, failed or refused
    usage: dict[str, Decimal | int] = field(default_factory=dict)
    receipt: Receipt | None = None
    refusal: PaymentRefused | None = None
    said: str = ""


# ---- Independent arithmetic ----


def exact_price(pricing: Mapping[str, Any], usage: Mapping[str, Decimal | int]) -> Decimal:
    """What a usage costs, by plain decimals and the words of the price alone."""
    per = pricing.get("per", "request")
    components = pricing.get("components") or [{"meter": f"{per}s", "rate": pricing["cost"]}]
    total = Decimal(0)
    for component in components:
        used = Decimal(usage.get(component["meter"], 1 if component["meter"] == "requests" else 0))
        done = Decimal(0)
        for tier in component.get("tiers") or [component]:
            end = min(used, Decimal(tier["up_to"])) if "up_to" in tier else used
            if end > done:
                cost = (end - done) * Decimal(tier["rate"]) / component.get("per", 1)
                total += cost.quantize(NANO, ROUND_HALF_EVEN)
                done = end
    return min(total, Decimal(pricing["max_cost"])) if "max_cost" in pricing else total


def shares(amount: Decimal) -> tuple[Decimal, Decimal]:
    """The owner's and the platform's share: each rounded down, and what is left over goes to the owner."""
    units = int(amount / NANO)
    share = Decimal(SHARE)
    owner, platform = int(units * share), int(units * (1 - share))
    owner += units - owner - platform
    return owner * NANO, platform * NANO


def answer_text(result: Any) -> str:
    """The text of a tool's result."""
    return "".join(block.text for block in result.content if getattr(block, "type", "") == "text")


def usage_of(pricing: Mapping[str, Any], text: str) -> dict[str, Decimal | int]:
    """What an answer counts for: the tokens of its text, or thousands of its bytes; nothing for a flat price."""
    if pricing.get("per") == "unit":
        return {"units": Decimal(len(text.encode())) / 1000}
    if "components" in pricing or pricing.get("per") == "output_token":
        return {"output_tokens": farebox.estimate_tokens(text)}
    return {}


# ---- The servers ----


@asynccontextmanager
async def connected(skill: Mapping[str, Any]) -> AsyncIterator[ClientSession]:
    """Starts a server of its own and connects the official client to it over stdio."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import get_default_environment, stdio_client

    environment = {
        **get_default_environment(),
        "GIT_OPTIONAL_LOCKS": "0",  # reading a repository leaves it alone
        "GIT_CONFIG_COUNT": "1",  # and may read one that another user owns
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    arguments = ["-m", skill["module"]]
    if skill["module"] == "mcp_server_time":
        arguments += ["--local-timezone", "UTC"]
    with open(os.devnull, "w") as silent:  # what a server logs is not the run's
        parameters = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
        async with (
            stdio_client(parameters, errlog=silent) as (reader, writer),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            yield session


def schema_of(tool: Any) -> dict[str, Any]:
    """The schema of a tool's input: `input_schema` since mcp 2, `inputSchema` before."""
    schema: dict[str, Any] = tool.input_schema if hasattr(tool, "input_schema") else tool.inputSchema
    return schema


async def discover(engine: Farebox) -> None:
    """Asks each server for its tools and registers those that have a price, with the server's own schemas."""
    for name, skill in SKILLS.items():
        async with connected(skill) as session:
            listed = {tool.name: tool for tool in (await session.list_tools()).tools}
        missing = sorted(set(skill["prices"]) - set(listed))
        if missing:
            raise SystemExit(f"{skill['module']} has no tool {', '.join(missing)}")
        tools = [
            {
                "name": tool,
                "description": (listed[tool].description or "").strip()[:500],
                "pricing": pricing,
                "input_schema": schema_of(listed[tool]),
            }
            for tool, pricing in skill["prices"].items()
        ]
        manifest = {
            "id": f"mcp:{name}",
            "version": "1.0.0",
            "name": skill["module"].replace("_", "-"),
            "owner": skill["owner"],
            "revenue_share": SHARE,
            "tools": tools,
        }
        engine.register_skill(manifest)
        left = sorted(set(listed) - set(skill["prices"]))
        print(f"  {manifest['name']}: {len(tools)} of {len(listed)} tools priced, owner {skill['owner']}")
        for tool in tools:
            kept = engine.call("tool.inspect", tool=tool["name"])
            assert kept["input_schema"] == tool["input_schema"], f"the schema of {tool['name']} was not kept"
            takes = ", ".join(kept["input_schema"].get("properties", {}))
            print(f"    {tool['name']:<17} {price_words(tool['pricing'])}; takes {takes}")
        if left:
            print(f"    not offered, having no price: {', '.join(left)}")


def price_words(pricing: Mapping[str, Any]) -> str:
    """A price as a person says it."""

    def one(meter: str) -> str:
        return f"{'an' if meter[0] in 'aeio' else 'a'} {meter.replace('_', ' ')}"

    if "cost" in pricing:
        words = f"{pricing['cost']} USD {one(pricing.get('per', 'request'))}"
    else:
        parts = []
        for component in pricing["components"]:
            said = one(component["meter"][:-1])
            for tier in component.get("tiers") or [component]:
                parts.append(f"{tier['rate']} USD {said}{' up to ' + tier['up_to'] if 'up_to' in tier else ''}")
                said = "beyond"
        words = " + ".join(parts)
    return f"{words}, at most {pricing['max_cost']} USD" if "max_cost" in pricing else words


# ---- The calls ----


def plan(payer: str, repository: Path, revisions: list[str]) -> Iterator[Call]:
    """What one user calls: every tool in turn, and now and then something that fails."""
    place = {"repo_path": str(repository)}
    for index in range(CALLS[payer]):
        zone, revision = ZONES[index // 6 % len(ZONES)], revisions[index // 6 % len(revisions)]
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("get_current_time", {"timezone": zone}),
            ("git_log", {**place, "max_count": 1 + index % 9}),
            ("convert_time", {"source_timezone": "UTC", "time": f"{index % 24:02}:30", "target_timezone": zone}),
            ("git_show", {**place, "revision": revision}),
            ("git_branch", {**place, "branch_type": "local"}),
            ("git_diff", {**place, "target": revision}),
        ]
        yield Call(payer, f"call-{index}", *kinds[index % len(kinds)])
        if index % 16 == 7:
            yield Call(payer, f"call-{index}-bad", "git_show", {**place, "revision": f"no-such-revision-{index}"})
        if index % 48 == 31:
            yield Call(payer, f"call-{index}-bad", "get_current_time", {"timezone": "Mars/Olympus_Mons"})


async def agent(engine: Farebox, payer: str, calls: list[Call]) -> None:
    """Makes one user's calls, several at once, with servers of its own."""
    async with AsyncExitStack() as stack:
        metered: dict[str, Any] = {}
        for skill in SKILLS.values():
            session = await stack.enter_async_context(connected(skill))
            for tool, pricing in skill["prices"].items():
                metered[tool] = farebox.meter(
                    functools.partial(session.call_tool, tool),
                    name=tool,  # its price is what the manifest registered under this name
                    per="unit"
                    if pricing.get("per") == "unit"
                    else "output_token"
                    if usage_of(pricing, "")
                    else "request",
                    max_cost=pricing.get("max_cost"),  # held until the answer says what was used
                    measure=functools.partial(measured, pricing),
                )
        waiting = iter(calls)

        async def worker() -> None:
            for call in waiting:
                await make(engine, call, metered[call.tool])

        await asyncio.gather(*(worker() for _ in range(WORKERS)))


def measured(pricing: Mapping[str, Any], result: Any) -> dict[str, Decimal | int] | None:
    """The usage that a result shows, or None where the price is flat."""
    return usage_of(pricing, answer_text(result)) or None


async def make(engine: Farebox, call: Call, tool: Any) -> None:
    """Makes one call and notes what came of it."""
    receipts: list[Receipt] = []
    try:
        # Run and call id are the idempotency key: the same call made again is not charged again.
        with engine.paying(call.payer, run=f"run:{call.payer}", on_receipt=receipts.append), farebox.call_id(call.name):
            result = await tool(call.arguments)
    except PaymentRefused as refusal:
        call.outcome, call.refusal = "refused", refusal
        await asyncio.sleep(PAUSE)
        return
    text = answer_text(result)
    call.said = text.strip().split("\n")[0]
    call.usage = usage_of(PRICES[call.tool], text)
    if farebox.is_failed_result(result):
        call.outcome = "failed"
    else:
        call.outcome = "charged"
        call.receipt = receipts[0] if receipts else None


# ---- The repository ----


def git(folder: Path, *arguments: str) -> str:
    """Runs git in a folder, reading only what is there; the output, or "" where git fails."""
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"})
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def readable_revisions(repository: Path, most: int = 8, size: int = 200_000, least: int = 3) -> list[str]:
    """Recent revisions whose changes, and the changes since, are of a size that an agent might read.

    Where fewer than `least` are, the smallest there are. A shallow clone's last revision has no parent to compare with.
    """
    sizes: dict[str, int] = {}
    ends = repository / git(repository, "rev-parse", "--git-path", "shallow").strip()
    cut = set(ends.read_text().split()) if ends.is_file() else set()
    for revision in git(repository, "rev-list", "--max-count=24", "HEAD").split():
        if revision in cut:
            continue
        sizes[revision] = max(len(git(repository, "show", revision)), len(git(repository, "diff", revision)))
    readable = [revision for revision in sizes if sizes[revision] <= size]
    if len(readable) < least:
        smallest = sorted(sizes, key=lambda revision: sizes[revision])[:least]
        readable = [revision for revision in sizes if revision in smallest]
    return readable[:most]


def make_repository(folder: Path) -> Path:
    """Makes a small repository with some history."""
    folder.mkdir(parents=True)
    identity = ["-c", "user.name=Farebox", "-c", "user.email=farebox@example.com", "-c", "commit.gpgsign=false"]
    git(folder, "init", "--quiet")
    for number in range(1, 9):
        (folder / f"tide-{number}.txt").write_text(
            "".join(f"{hour:02}:00 {hour * number}\n" for hour in range(24 * number))
        )
        (folder / "tides.txt").write_text(f"{number} tables\n")
        git(folder, "add", "--all")
        git(folder, *identity, "commit", "--quiet", "--message", f"Add the {number}. table of tides")
    return folder


def choose_repository(temporary: Path) -> tuple[Path, list[str]]:
    """The checkout that this file is in, or a small repository where it has no history."""
    root = Path(__file__).resolve().parents[1]
    if (root / ".git").exists():
        revisions = readable_revisions(root)
        if revisions:
            return root, revisions
    repository = make_repository(temporary / "repository")
    return repository, readable_revisions(repository)


# ---- The report ----


class Checks:
    """Comparisons of the ledger with the run's own arithmetic."""

    def __init__(self) -> None:
        self.wrong = 0

    def equal(self, what: str, ledger: Any, ours: Any) -> None:
        """Prints a comparison, and counts it if it fails."""
        if ledger == ours:
            shown = money(ours) if isinstance(ours, Decimal) else ours
            print(f"  ok     {what}: {shown}")
        else:
            self.wrong += 1
            print(f"  WRONG  {what}: the ledger says {ledger}, the calls say {ours}")


def money(amount: Decimal | str) -> str:
    """An amount with every digit it has, and at least two after the point."""
    text = f"{Decimal(amount).normalize():f}"
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.ljust(2, '0')}"


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def report_receipts(engine: Farebox, calls: list[Call]) -> None:
    """One receipt of each tool, with how its amount came about."""
    title("Receipts (one of each tool)")
    for tool in PRICES:
        call = next((each for each in calls if each.tool == tool and each.receipt), None)
        if call is None or call.receipt is None:
            continue
        entry = engine.call("transfer.get", id=call.receipt.id)
        print(
            f"  #{entry['id']} {tool} for {call.payer}: {money(entry['amount'])} USD,"
            f" hold #{entry['reference']} captured"
        )
        # What is captured in full has its lines on the hold.
        lines = entry.get("lines") or engine.call("transfer.get", id=entry["reference"]).get("lines", [])
        for line in lines:
            tier = f" (tier {line['tier'] + 1})" if line["tier"] >= 0 else ""
            meter = line["meter"].replace("_", " ")
            print(f"      {line['quantity']} {meter}{tier} x {line['rate']} = {money(line['amount'])}")
        summed = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
        if summed != Decimal(entry["amount"]):
            print(f"      {money(summed)} in all, bounded by max_cost to {money(entry['amount'])}")
        print(
            f"      {', '.join(posting['account'] + ' ' + money(posting['amount']) for posting in entry['postings'])}"
        )


def report_refusals(calls: list[Call]) -> None:
    """Who was refused and why."""
    title("Refusals")
    groups: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.refusal is not None:
            groups[call.payer, call.refusal.name].append(call)
    for (payer, name), refused in groups.items():
        print(f"  {payer}: {len(refused)} calls, {name}")
        for word, call in (("first", refused[0]), ("last", refused[-1])):
            assert call.refusal is not None
            facts = call.refusal.constraint
            print(f"    {word:<5} {call.tool}: {call.refusal.message}")
            if facts.get("constraint") == "budget":
                print(
                    f"          the {facts['window']}'s budget of {facts['account']}: limit {money(facts['limit'])},"
                    f" spent {money(facts['spent'])}, held {money(facts['held'])},"
                    f" asked for {money(facts['requested'])}"
                )
            else:
                print(
                    f"          the {facts['constraint']} of {facts['account']}: available {money(facts['limit'])},"
                    f" held {money(facts['held'])}, asked for {money(facts['requested'])}"
                )
            for holder in facts.get("held_by", [])[:2]:
                print(f"          held by {holder['account']}, hold #{holder['hold']}: {money(holder['amount'])}")


def report_failures(engine: Farebox, calls: list[Call]) -> None:
    """Calls that the tool failed, which cost nothing."""
    title("Failed calls (their holds were released: they cost nothing)")
    failed = [call for call in calls if call.outcome == "failed"]
    for tool in PRICES:
        some = [call for call in failed if call.tool == tool]
        if some:
            print(f"  {tool}: {len(some)}, such as: {some[0].said[:100]}")
    released = engine.call("transfer.list", kind="release", limit=4)["transfers"]
    for entry in released:
        print(
            f"  #{entry['id']} returned {money(entry['amount'])} USD of hold #{entry['reference']}"
            f" to {entry['account']}"
        )


def check(engine: Farebox, calls: list[Call], checks: Checks) -> None:
    """Adds everything up from the calls' own records, and compares."""
    title("Checked against plain decimals, from what the calls recorded")
    charged = [call for call in calls if call.outcome == "charged"]
    without = [call for call in charged if call.receipt is None]
    prices_wrong = [
        call
        for call in charged
        if call.receipt is not None and call.receipt.amount != exact_price(PRICES[call.tool], call.usage)
    ]
    checks.equal("calls without a receipt", len(without), 0)
    checks.equal("receipts whose amount is not the exact price of the usage", len(prices_wrong), 0)

    paid: dict[str, Decimal] = defaultdict(Decimal)
    earned: dict[str, Decimal] = defaultdict(Decimal)
    for call in charged:
        amount = exact_price(PRICES[call.tool], call.usage)
        owner, platform = shares(amount)
        paid[WALLETS[call.payer]] += amount
        earned[OWNERS[call.tool]] += owner
        earned["platform"] += platform
    for account, deposit in DEPOSITS.items():
        now = engine.balance(account)
        checks.equal(f"{account} paid", deposit - now.balance, paid[account])
        checks.equal(f"{account} has money held", now.held, Decimal(0))
    for account in (*dict.fromkeys(OWNERS.values()), "platform"):
        checks.equal(f"{account} earned", engine.balance(account).balance, earned[account])
    checks.equal("owners and platform earned what was paid", sum(earned.values()), sum(paid.values()))

    outcomes = Counter(call.outcome for call in calls)
    counted = Counter(entry["kind"] for entry in journal(engine))
    checks.equal("captures in the journal", counted["capture"], outcomes["charged"])
    checks.equal("releases in the journal", counted["release"], outcomes["failed"])
    checks.equal("holds in the journal", counted["reserve"], outcomes["charged"] + outcomes["failed"])
    research = [call for call in calls if call.payer == SCOUT and call.outcome == "charged"]
    budget = engine.call("budget.list", account=SCOUT)["budgets"][0]
    spent = sum((exact_price(PRICES[call.tool], call.usage) for call in research), Decimal(0))
    checks.equal("the department's budget has spent", Decimal(budget["spent"]), spent)
    checks.equal("and stayed within its limit", Decimal(budget["spent"]) <= Decimal(budget["limit"]), True)
    names = {(call.payer, call.refusal.name) for call in calls if call.refusal is not None}
    checks.equal(
        "ben ran out of money, the department met its budget, nobody else was refused",
        sorted(names),
        [(SCOUT, "OVER_BUDGET"), ("user:ben", "INSUFFICIENT_FUNDS")],
    )
    checks.equal("each of them had paid for calls before", all(paid[wallet] > 0 for wallet in WALLETS.values()), True)
    meant = sum(call.name.endswith("-bad") and call.outcome != "refused" for call in calls)
    checks.equal("calls that were made to fail, and failed", outcomes["failed"], meant)
    checks.equal("some calls failed", meant > 0, True)


def journal(engine: Farebox) -> Iterator[dict[str, Any]]:
    """Every entry of the journal, newest first."""
    before: dict[str, int] = {}
    while True:
        page = engine.call("transfer.list", limit=1000, **before)
        yield from page["transfers"]
        if page["next"] is None:
            return
        before = {"before": page["next"]}


async def try_again(engine: Farebox, calls: list[Call], checks: Checks) -> None:
    """Makes some paid calls again under their old ids, as a framework that lost the answer does."""
    title("Tried again under the same call ids (nothing is charged twice)")
    again = [call for call in calls if call.payer == "user:ana" and call.outcome == "charged"][:12]
    before = engine.balance("user:ana").balance
    copies = [Call(call.payer, call.name, call.tool, call.arguments) for call in again]
    await agent(engine, "user:ana", copies)
    checks.equal("calls made again", sum(call.outcome == "charged" for call in copies), len(again))
    checks.equal("charged for them", before - engine.balance("user:ana").balance, Decimal(0))


# ---- A plugin ----


def load_zlib(engine: Farebox, temporary: Path) -> dict[str, dict[str, Any]]:
    """Loads the plugin from a folder that nobody else may write, and from nowhere else; the prices of its tools."""
    name = "org.farebox.example.zlib.farebox.json"
    manifest = temporary / "plugins" / name
    manifest.parent.mkdir(mode=0o755)
    manifest.write_bytes((Path(__file__).resolve().parent / "plugins" / "zlib" / name).read_bytes())
    manifest.chmod(0o644)
    farebox.set_plugin_policy(directories=[manifest.parent], trust="unsigned", system_libraries=True)
    content = json.loads(manifest.read_text())
    engine.open_account(content["owner"])
    loaded = engine.plugins.load(manifest)
    print(f"  {loaded['plugin']} {loaded['version']}: {loaded['state']} in a {loaded['mode']}, owner {content['owner']}")
    return {tool["name"]: tool["pricing"] for tool in content["tools"]}


async def compress(engine: Farebox, texts: list[bytes], temporary: Path, checks: Checks) -> None:
    """Calls two functions of zlib for each text, checks what they gave, and what each of them cost."""
    title("What was read, compressed by a C library (a plugin, priced by the byte)")
    prices = load_zlib(engine, temporary)
    before = {account: engine.balance(account).balance for account in ("user:ana", "user:author", "platform")}
    paid = earned = kept = Decimal(0)
    wrong = broken = 0
    for number, text in enumerate(texts):
        results = []
        for tool, given in (
            ("zlib.crc32", {"crc": 0, "data": text}),
            ("zlib.compress", {"source": text, "level": 9}),
        ):
            with engine.paying("user:ana", run="run:zlib"), farebox.call_id(f"text-{number}-{tool}"):
                result = await engine.call_tool_async(tool, given)
            assert result.receipt is not None
            price = exact_price(prices[tool], {"units": len(text)})
            wrong += result.receipt.amount != price
            owner, platform = shares(price)
            paid, earned, kept = paid + price, earned + owner, kept + platform
            results.append(result.json())
        packed = base64.b64decode(results[1]["dest"]["base64"])
        broken += results[0]["result"] != zlib.crc32(text) or zlib.decompress(packed) != text
        if number == 0:
            print(f"  {len(text):,} bytes became {len(packed):,}, crc32 {results[0]['result']:08x}")
    checks.equal("results that Python's own zlib does not confirm", broken, 0)
    checks.equal("receipts whose amount is not the exact price of the bytes", wrong, 0)
    now = {account: engine.balance(account).balance for account in before}
    checks.equal("user:ana paid for them", before["user:ana"] - now["user:ana"], paid)
    checks.equal("user:author earned", now["user:author"] - before["user:author"], earned)
    checks.equal("platform earned", now["platform"] - before["platform"], kept)


# ---- The run ----


async def real_run(ledger: Path, temporary: Path) -> int:
    """The whole run; returns the exit status."""
    from importlib.metadata import version

    checks = Checks()
    repository, revisions = choose_repository(temporary)
    if not revisions:
        raise SystemExit("git is needed to read a repository: apt-get install git")
    own = "this checkout" if repository == Path(__file__).resolve().parents[1] else "a repository made for the run"
    servers = ", ".join(f"{name} {version(name)}" for name in ("mcp-server-git", "mcp-server-time", "mcp"))
    print(f"{servers}; the git server reads {own}, {len(revisions)} revisions")
    with Farebox.open(ledger) as engine:
        title("Tools discovered and priced")
        await discover(engine)

        for account, amount in DEPOSITS.items():
            engine.deposit(account, amount)
        engine.open_account(DEPARTMENT)
        engine.open_account(SCOUT)
        engine.call("budget.set", **BUDGET)
        title("Who calls")
        for payer, count in CALLS.items():
            wallet = WALLETS[payer]
            whose = "" if wallet == payer else f" of {wallet}, within {BUDGET['amount']} a month for {DEPARTMENT}"
            print(f"  {payer}: {count} calls and some that fail, {money(DEPOSITS[wallet])} USD{whose}")

        plans = {payer: list(plan(payer, repository, revisions)) for payer in CALLS}
        start = time.perf_counter()
        await asyncio.gather(*(agent(engine, payer, each) for payer, each in plans.items()))
        seconds = time.perf_counter() - start
        calls = [call for each in plans.values() for call in each]

        title(f"{len(calls)} calls in {seconds:.1f} s, {WORKERS} at once for each of {len(plans)} users")
        print(f"  {'':<36}{'charged':>9}{'failed':>9}{'refused':>9}{'paid, USD':>16}")
        for payer, each in plans.items():
            outcomes = Counter(call.outcome for call in each)
            total = sum((call.receipt.amount for call in each if call.receipt is not None), Decimal(0))
            print(
                f"  {payer:<36}{outcomes['charged']:>9}{outcomes['failed']:>9}{outcomes['refused']:>9}"
                f"{money(total):>16}"
            )

        report_receipts(engine, calls)
        report_refusals(calls)
        report_failures(engine, calls)

        title("Budget")
        budget = engine.call("budget.list", account=SCOUT)["budgets"][0]
        print(
            f"  '{budget['name']}' of {budget['account']}: {money(budget['spent'])} of {money(budget['limit'])} USD"
            f" spent, {money(budget['held'])} held"
        )
        events = engine.call("event.list")["events"]
        for event in reversed(events):
            print(
                f"  event #{event['id']} {event['type']}: {event['threshold']} % of {money(event['limit'])} USD,"
                f" with {money(event['spent'])} spent and {money(event['held'])} held"
            )

        title("Balances, and who earned what")
        for account in (*DEPOSITS, *dict.fromkeys(OWNERS.values()), "platform"):
            now = engine.balance(account)
            put_in = f"{money(DEPOSITS[account])} deposited" if account in DEPOSITS else "earned"
            print(f"  {account:<36}{money(now.balance):>16} USD   {put_in}")

        check(engine, calls, checks)
        checks.equal(
            "events of thresholds reached", sorted(event["threshold"] for event in events), sorted(BUDGET["thresholds"])
        )
        await try_again(engine, calls, checks)
        texts = [git(repository, "show", revision).encode()[:500_000] for revision in revisions]
        await compress(engine, texts, temporary, checks)

        title("Journal")
        verified = engine.call("ledger.verify")
        reconciled = engine.call("ledger.reconcile")
        print(
            f"  verified: {verified['records']:,} records in {verified['segments']:,} segments,"
            f" sha256 {verified['hash']}"
        )
        print(
            f"  reconciled: every account's postings add up to its balance, {reconciled['open_holds']} holds are open"
        )
        checks.equal("the journal is valid", verified["valid"], True)
        checks.equal("the ledger is balanced", (reconciled["balanced"], reconciled["problems"]), (True, []))
        checks.equal("holds left open", reconciled["open_holds"], 0)
    with Farebox.open(ledger, existing=True) as engine:
        checks.equal(
            "the journal's hash after opening it again", engine.call("ledger.verify")["hash"], verified["hash"]
        )
    title("Everything agrees." if not checks.wrong else f"{checks.wrong} comparisons failed.")
    return 1 if checks.wrong else 0


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="examples/run", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--ledger", type=Path, metavar="PATH", help="keep the ledger here, in a new file")
    options = parser.parse_args()
    if options.ledger is not None and options.ledger.exists():
        parser.error(f"{options.ledger} exists: the run needs a new ledger")
    with tempfile.TemporaryDirectory(prefix="farebox-run-", ignore_cleanup_errors=True) as folder:
        temporary = Path(folder)
        run = real_run(options.ledger or temporary / "ledger.db", temporary)
        return asyncio.run(asyncio.wait_for(run, PATIENCE))


if __name__ == "__main__":
    sys.exit(main())
