#!/usr/bin/env python3
"""Bills an LLM trace, call by call through the engine, and checks the total against exact decimal arithmetic.

    examples/run --trace FILE.csv [--model NAME | --rates IN/OUT] [--single] [--ledger PATH]

The trace is a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens: one row is one call of a model,
billed at the rates of today.
Each row is charged under its own idempotency key, so that the same trace billed again into the same ledger, or billed
on after a crash, charges nobody twice.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import farebox
from farebox import Farebox

DEFAULT_MODEL = "openai/gpt-4o"
NANO = Decimal("1e-9")  # an atomic unit of USD
MILLION = Decimal(1_000_000)
CREDIT_LINE = 1_000_000_000  # whoever is billed pays later

ExactPrice = Callable[[int, int], Decimal]
"""USD of one call by its input and output tokens, by decimal arithmetic alone."""


class Row(NamedTuple):
    """One call of the trace, with its number in the file."""

    number: int
    input_tokens: int
    output_tokens: int


class Bill(NamedTuple):
    """What billing a trace came to."""

    total: Decimal
    charged: int
    replayed: int
    refused: list[tuple[int, farebox.FareboxError]]
    seconds: float
    charged_now: Decimal

    @property
    def rows(self) -> int:
        """How many rows were billed, now or before."""
        return self.charged + self.replayed


# ---- The trace ----


def read_trace(path: Path) -> Iterator[Row]:
    """Reads the calls of a trace.

    Errors: ValueError that names the line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        names = [name.strip().lower() for name in next(reader, [])]
        try:
            context, generated = names.index("contexttokens"), names.index("generatedtokens")
        except ValueError:
            raise ValueError(f"{path}: the columns are TIMESTAMP, ContextTokens, GeneratedTokens") from None
        for cells in reader:
            if not cells:
                continue
            try:
                row = Row(reader.line_num - 1, int(cells[context]), int(cells[generated]))
            except (ValueError, IndexError):
                raise ValueError(f"{path}:{reader.line_num}: not a row of two token counts") from None
            if row.input_tokens < 0 or row.output_tokens < 0:
                raise ValueError(f"{path}:{reader.line_num}: a token count is below zero")
            yield row


# ---- The rates ----


def plain(value: Any) -> Any:
    """The data of the genai-prices package in the form of its published JSON."""
    from genai_prices import types

    skipped = {"extractors", "description", "price_comments", "pricing_urls"}
    if isinstance(value, types.ModelPrice):
        return {name: plain(each) for name, each in value.__dict__.items() if each is not None}
    if isinstance(value, types.ClauseOr):
        return {"or": plain(value.or_)}
    if isinstance(value, types.ClauseAnd):
        return {"and": plain(value.and_)}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            name: plain(each)
            for name, each in fields.items()
            if each is not None and name not in skipped and not name.startswith("_")
        }
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def price_data(path: Path | None) -> tuple[str, Any, str]:
    """Format, JSON and source of a price list: a file's, or that of the installed genai-prices."""
    if path is not None:
        data = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return ("genai-prices" if isinstance(data, list) else "litellm"), data, path.name
    from importlib.metadata import version

    from genai_prices.data import providers

    return "genai-prices", plain(providers), f"genai-prices {version('genai-prices')}"


def import_rates(engine: Farebox, model: str, path: Path | None) -> str:
    """Imports a price list unless the ledger has it, and returns the tool that is the model's price."""
    form, data, source = price_data(path)
    cards = {card["name"]: card for card in engine.call("rate_card.list")["rate_cards"]}
    if form in cards and cards[form]["source"] == source:
        print(
            f"rates     {cards[form]['entries']:,} models of {source} are on the ledger,"
            f" version {cards[form]['version']}"
        )
    else:
        card = engine.call("rate_card.import", format=form, data=data, source=source)
        kinds: dict[str, int] = {}
        for issue in card["issues"]:
            kinds[issue["what"]] = kinds.get(issue["what"], 0) + 1
        losses = ", ".join(f"{count:,} {what}" for what, count in sorted(kinds.items())) or "nothing lost"
        print(f"rates     {card['entries']:,} models imported from {source}; fields not carried over: {losses}")
        for issue in card["issues"]:
            if issue["model"] in (model, model.split("/", 1)[-1]):
                print(f"          {issue['model']} {issue['field']}: {issue['detail']}")
    return f"{form}/{model}"


def publish_rates(engine: Farebox, rates: str) -> tuple[str, ExactPrice]:
    """Publishes rates given as IN/OUT USD per million tokens; returns the tool and the exact price of a call.

    Errors: ValueError for anything else.
    """
    try:
        rate_in, rate_out = (Decimal(part) for part in rates.split("/"))
    except (ValueError, ArithmeticError):
        raise ValueError("--rates takes IN/OUT, two prices in USD per million tokens, such as 2.50/10") from None
    if not (rate_in.is_finite() and rate_out.is_finite() and rate_in >= 0 and rate_out >= 0):
        raise ValueError("--rates takes two prices of at least 0")
    name = f"{rate_in.normalize():f}-{rate_out.normalize():f}"
    components = [
        {"meter": "input_tokens", "rate": rate_in, "per": 1_000_000},
        {"meter": "output_tokens", "rate": rate_out, "per": 1_000_000},
    ]
    card = {"name": "given", "currency": "USD", "entries": [{"name": name, "price": {"components": components}}]}
    known = {each["name"]: each for each in engine.call("rate_card.list")["rate_cards"]}
    if "given" in known:  # a card is published as a whole: the rates of earlier bills stay on it
        entries = engine.call("rate_card.get", name="given")["card"]["entries"]
        card["entries"] = [each for each in entries if each["name"] != name] + card["entries"]  # type: ignore[operator]
        if any(each["name"] == name for each in entries):
            return f"given/{name}", flat_price(rate_in, rate_out)
    engine.call("rate_card.publish", card=card)
    return f"given/{name}", flat_price(rate_in, rate_out)


def flat_price(rate_in: Decimal, rate_out: Decimal) -> ExactPrice:
    """The exact price of a call at two rates per million tokens."""

    def price(input_tokens: int, output_tokens: int) -> Decimal:
        return rounded(rate_in * input_tokens / MILLION) + rounded(rate_out * output_tokens / MILLION)

    return price


def listed_price(prices: Any, at: datetime.datetime) -> ExactPrice:
    """The exact price of a call by a model's `prices` in the JSON of genai-prices.

    Written apart from the engine's importer, to check it.

    Errors: LookupError for what only the engine reads.
    """
    if isinstance(prices, list):
        today = at.date().isoformat()
        chosen = None
        for each in prices:
            constraint = each.get("constraint") or {}
            if set(constraint) - {"start_date"}:
                raise LookupError("its price depends on the time of day")
            if constraint.get("start_date", "") <= today:
                chosen = each["prices"]  # the list is in order of dates
        prices = chosen
    if not prices or "input_mtok" not in prices:
        raise LookupError("it has no price for tokens")

    def rate(field: str, input_tokens: int) -> Decimal:
        listed = prices.get(field, 0)
        if not isinstance(listed, Mapping):
            return Decimal(str(listed))
        value = listed["base"]
        for tier in sorted(listed["tiers"], key=lambda tier: int(tier["start"])):
            if input_tokens > int(tier["start"]):  # the whole call is priced at the tier that its input reaches
                value = tier["price"]
        return Decimal(str(value))

    def price(input_tokens: int, output_tokens: int) -> Decimal:
        total = rounded(rate("input_mtok", input_tokens) * input_tokens / MILLION)
        total += rounded(rate("output_mtok", input_tokens) * output_tokens / MILLION)
        return total + rounded(rate("requests_kcount", input_tokens) / 1000)

    return price


def stated_price(pricing: Mapping[str, Any]) -> ExactPrice:
    """The exact price of a call by the rates that the ledger states, where no price list of ours gives them.

    Errors: LookupError for what is not a rate, or a cliff of them over the input.
    """
    parts: list[tuple[int, list[tuple[Decimal | None, Decimal]]]] = []
    for component in pricing["components"]:
        meters = component.get("meters") or [component["meter"]]
        if not {"input_tokens", "output_tokens", "requests"} & set(meters):
            continue
        model = component.get("model", "per_unit")
        if model not in ("per_unit", "cliff") or {"input_tokens", "output_tokens"} <= set(meters):
            raise LookupError("its price is not a rate for input and one for output")
        if model == "cliff" and "input_tokens" not in component.get("by", meters):
            raise LookupError("its tiers are not those of the input")
        position = 0 if "input_tokens" in meters else 1 if "output_tokens" in meters else 2
        steps = [
            (Decimal(tier["up_to"]) if "up_to" in tier else None, Decimal(tier["rate"]) / component.get("per", 1))
            for tier in component.get("tiers") or [component]
        ]
        parts.append((position, steps))

    def price(input_tokens: int, output_tokens: int) -> Decimal:
        counts = (input_tokens, output_tokens, 1)
        total = Decimal(0)
        for position, steps in parts:
            rate = next(rate for bound, rate in steps if bound is None or input_tokens <= bound)
            total += rounded(rate * counts[position])
        return total

    return price


def find_model(data: Any, model: str) -> Any:
    """The `prices` of `provider/model` in the JSON of genai-prices.

    Errors: LookupError where there is none of this full name.
    """
    for provider in data:
        for each in provider["models"]:
            if f"{provider['id']}/{each['id']}" == model:
                return each["prices"]
    raise LookupError("only a full name, provider/model, is looked up in the price list")


def rounded(amount: Decimal) -> Decimal:
    """Half to even at an atomic unit, once a line, as the ledger says it does."""
    return amount.quantize(NANO, ROUND_HALF_EVEN)


def exact_total(rows: Iterable[Row], price: ExactPrice) -> Decimal:
    """What a trace costs by decimal arithmetic alone."""
    with localcontext() as context:
        context.prec = 60
        return sum((price(row.input_tokens, row.output_tokens) for row in rows), Decimal(0))


# ---- Billing ----


def bill(
    engine: Farebox, rows: Iterable[Row], tool: str, payer: str, name: str, *, single: bool = False, batch: int = 8192
) -> Bill:
    """Charges each row of a trace once, under the key `name/tool/row`."""
    total = charged_now = Decimal(0)
    charged = replayed = 0
    refused: list[tuple[int, farebox.FareboxError]] = []
    seconds = 0.0
    rows = iter(rows)
    while group := list(itertools.islice(rows, 1 if single else batch)):
        requests: list[dict[str, Any]] = [
            {
                "payer": payer,
                "tool": tool,
                "usage": {"input_tokens": row.input_tokens, "output_tokens": row.output_tokens},
                "key": f"{name}/{tool}/{row.number}",
                "run": name,
            }
            for row in group
        ]
        start = time.perf_counter()
        if single:
            try:
                receipts = [engine.charge(**requests[0])]
            except farebox.PaymentRefused as refusal:
                refused.append((group[0].number, refusal))
                receipts = []
        else:
            receipts = engine.charge_many(requests)
        seconds += time.perf_counter() - start
        for row, receipt in zip(group, receipts):
            error = receipt.error
            if error is not None:
                refused.append((row.number, error))
                continue
            total += receipt.amount
            replayed += receipt.replayed
            if not receipt.replayed:
                charged += 1
                charged_now += receipt.amount
    return Bill(total, charged, replayed, refused, seconds, charged_now)


def described(engine: Farebox, tool: str) -> list[str]:
    """What a model charges for input and output, in words."""
    pricing = engine.call("tool.inspect", tool=tool)["pricing"]
    engine.price_tool(tool, {"input_tokens": 1})  # refuses in words what has no price now
    lines = []
    for component in pricing["components"]:
        meters = component.get("meters") or [component["meter"]]
        for meter in ("input_tokens", "output_tokens"):
            if meter in meters:
                tiers = component.get("tiers") or [component]
                said = []
                for tier in tiers:
                    rate = plain_amount(Decimal(tier["rate"]) * MILLION / component.get("per", 1))
                    bound = f" up to {int(tier['up_to']):,} tokens of input" if "up_to" in tier else ""
                    said.append(f"{rate} USD a million{bound}")
                lines.append(f"{meter.replace('_', ' ')}: {', then '.join(said)}")
    return lines


def plain_amount(amount: Decimal) -> str:
    """All digits that an amount has, at least two after the point, without an exponent."""
    text = f"{amount.normalize():f}"
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.ljust(2, '0')}"


def arguments_of(given: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="examples/run", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--trace", type=Path, required=True, metavar="FILE.csv", help="the trace to bill")
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help=f"by default {DEFAULT_MODEL}")
    rates.add_argument("--rates", metavar="IN/OUT", help="USD per million input and output tokens, such as 2.50/10")
    parser.add_argument(
        "--prices", type=Path, metavar="FILE.json", help="a price list in the JSON of genai-prices or litellm"
    )
    parser.add_argument("--ledger", type=Path, metavar="PATH", help="by default one in a temporary folder")
    parser.add_argument("--payer", default="user:trace", help="the account that is billed")
    parser.add_argument(
        "--bill", metavar="NAME", help="names the bill in its idempotency keys; by default the file's name"
    )
    parser.add_argument("--single", action="store_true", help="one commit a call rather than batches")
    parser.add_argument("--batch", type=int, default=8192, metavar="N", help="calls in one commit, 8,192 by default")
    parser.add_argument("--durability", default="full", choices=["full", "normal"], help="full: fsync before a receipt")
    given = sys.argv[1:] if given is None else given
    parsed = parser.parse_args(["--help"] if {"-h", "--help"} & set(given) else given)
    if not 1 <= parsed.batch <= 65_536:
        parser.error("--batch is from 1 to 65,536")
    return parsed


def run(options: argparse.Namespace, path: Path) -> int:
    """Bills the trace into the ledger at a path; returns the exit status."""
    name = options.bill or options.trace.stem
    failures: list[str] = []
    rows = list(read_trace(options.trace))
    tokens_in, tokens_out = sum(row.input_tokens for row in rows), sum(row.output_tokens for row in rows)
    print(f"trace     {options.trace.name}: {len(rows):,} calls, {tokens_in:,} tokens in, {tokens_out:,} out")
    print(f"ledger    {path}{' (it exists: what it has billed is not charged again)' if path.exists() else ''}")
    with Farebox.open(path, durability=options.durability) as engine:
        price: ExactPrice | None = None
        if options.rates:
            tool, price = publish_rates(engine, options.rates)
        else:
            tool = import_rates(engine, options.model, options.prices)
            form, data, _ = price_data(options.prices)
            try:
                if form != "genai-prices":
                    raise LookupError("only the JSON of genai-prices is read apart from the engine")
                price = listed_price(find_model(data, options.model), datetime.datetime.now(datetime.timezone.utc))
            except LookupError as reason:
                try:
                    price = stated_price(engine.call("tool.inspect", tool=tool)["pricing"])
                    print(f"          the total is checked by the rates below: {reason}")
                except (LookupError, TypeError) as other:
                    print(f"          the total is not checked apart from the engine: {reason}; {other}")
        for line in described(engine, tool):
            print(f"price     {line}")
        engine.open_account(options.payer, credit_line=CREDIT_LINE)
        before = engine.balance(options.payer).balance

        done = bill(engine, rows, tool, options.payer, name, single=options.single, batch=options.batch)
        how = "single calls" if options.single else f"batches of {options.batch:,}"
        print(
            f"billed    {done.charged:,} calls charged, {done.replayed:,} replayed,"
            f" {len(done.refused):,} refused, in {how}"
        )
        if done.seconds and rows:
            rate = len(rows) / done.seconds
            print(f"speed     {rate:,.0f} calls a second ({done.seconds:.3f} s, durability {options.durability})")
        print(f"total     {plain_amount(done.total)} USD")

        paid = before - engine.balance(options.payer).balance
        if paid != done.charged_now:
            failures.append(f"the balance moved by {paid}, the receipts say {done.charged_now}")
        if price is not None and not done.refused:
            expected = exact_total(rows, price)
            if done.total == expected:
                print(f"checked   equals exact decimal arithmetic over all {len(rows):,} calls")
            else:
                failures.append(f"exact decimal arithmetic gives {plain_amount(expected)} USD")
        for number, error in done.refused[:3]:
            failures.append(f"row {number} was refused: {error}")
        verified = engine.call("ledger.verify")
        balanced = engine.call("ledger.reconcile")["balanced"]
        print(
            f"journal   {'verified' if verified['valid'] else 'INVALID'}: {verified['records']:,} records,"
            f" sha256 {verified['hash']}"
        )
        print(f"ledger    {'balanced' if balanced else 'NOT BALANCED'}")
        if not (verified["valid"] and balanced):
            failures.append("the ledger does not verify")
    for failure in failures:
        print(f"WRONG     {failure}", file=sys.stderr)
    return 1 if failures else 0


def main(given: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = arguments_of(given)
    try:
        if options.ledger is not None:
            return run(options, options.ledger)
        with tempfile.TemporaryDirectory(prefix="farebox-trace-") as folder:
            return run(options, Path(folder) / "ledger.db")
    except (OSError, ValueError, farebox.FareboxError) as error:
        print(f"examples/run: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
