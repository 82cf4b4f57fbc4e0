#!/usr/bin/env python3
"""Compares imported rate cards with their sources, over every model of both.

    Tests/RateCards/compare.py LITELLM_PRICES

Tests/RateCards/run prepares what it needs.

genai-prices is the installed package: each model's id and each name that its rules list is priced by the package
itself and by Farebox. litellm is its price list alone: each row is priced by arithmetic over its fields. A price counts
as equal, as skipped by the import and told, as refused because a class of the usage has no rate, or as not found by
either; anything else is a difference, and fails. Amounts are equal within an atomic unit a line.
"""
import datetime
import decimal
import json
import re
import sys
import warnings

import farebox
from genai_prices import calc_price, types
from genai_prices.data import providers
from genai_prices.units import _get_registry

NANO = decimal.Decimal("1e-9")
AT = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.timezone.utc)
USAGES = (
    {"input_tokens": 1_234, "output_tokens": 567},
    {"input_tokens": 7, "output_tokens": 3, "cache_read_tokens": 120_001, "cache_write_tokens": 11},
    {"input_tokens": 200_000, "output_tokens": 9},
    {"input_tokens": 200_001, "output_tokens": 4_321, "reasoning_tokens": 77},
    {"input_tokens": 300_000, "output_tokens": 20, "cache_read_tokens": 50_000},
    {"input_tokens": 10, "output_tokens": 20, "input_audio_tokens": 333, "output_audio_tokens": 41},
)
decimal.getcontext().prec = 60


class Tally:
    def __init__(self, title: str, report: dict) -> None:
        self.title, self.equal, self.skipped, self.unpriced, self.unknown = title, 0, 0, 0, 0
        self.differ: list[str] = []
        self.issues: dict[str, set[str]] = {}
        for issue in report["issues"]:
            self.issues.setdefault(issue["model"], set()).add(issue["what"])

    def add(self, name: str, model: str, usage: dict, ours: object, theirs: object, lines: int) -> None:
        """One price by us, or the error that refused it, and by the source, or None where it has none."""
        if isinstance(ours, decimal.Decimal) and isinstance(theirs, decimal.Decimal):
            if abs(ours - theirs) <= NANO * lines + self.rounding(model, usage):
                self.equal += 1
                return
        elif isinstance(ours, farebox.FareboxError):
            # A class of usage without a rate is refused, never charged at nothing as the sources do.
            if ours.name == "UNPRICEABLE":
                self.unpriced += 1
                return
            if "skipped" in self.issues.get(model, ()):
                self.skipped += 1
                return
            if ours.name in ("RATE_CARD_NOT_FOUND", "RATE_AMBIGUOUS") and theirs is None:
                self.unknown += 1
                return
        self.differ.append(f"{name} {usage}: {str(ours)[:90]} and not {theirs}")

    def rounding(self, model: str, usage: dict) -> decimal.Decimal:
        """What a rate that was rounded at 1e-12, and told so, may make of a usage."""
        return sum(usage.values()) * decimal.Decimal("5e-13") if "changed" in self.issues.get(model, ()) else 0

    def close(self) -> "Tally":
        print(f"{self.title}: {self.equal} equal, {self.skipped} skipped and told, {self.unpriced} refused for a class "
              f"without a rate, {self.unknown} not found by either, {len(self.differ)} differ")
        for line in self.differ[:12]:
            print(" ", line)
        return self


def quote(engine: farebox.Farebox, tool: str, usage: dict) -> object:
    try:
        found = engine.call("price.quote", tool=tool, usage=usage, at=round(AT.timestamp() * 1_000_000))
    except farebox.FareboxError as error:
        return error
    return decimal.Decimal(found["total"])


# genai-prices

def nested(meters: dict, keys: set) -> types.Usage:
    """Our disjoint meters as the package's nested counts; zero for every finer class that the price distinguishes."""
    counts = {key: 0 for key in keys if key != "requests"}
    counts |= {key: count for key, count in meters.items() if key != "reasoning_tokens"}
    if "reasoning_tokens" in meters or "output_reasoning_tokens" in counts:
        counts["output_reasoning_tokens"] = meters.get("reasoning_tokens", 0)
    inputs = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "input_audio_tokens")
    counts["input_tokens"] = sum(meters.get(key, 0) for key in inputs)
    outputs = ("output_tokens", "reasoning_tokens", "output_audio_tokens")
    counts["output_tokens"] = sum(meters.get(key, 0) for key in outputs)
    return types.Usage(**counts)


def units(price: types.ModelPrice) -> set:
    registry = _get_registry()
    return {registry.unit_for_price_key(key).usage_key for key, value in price.__dict__.items() if value is not None}


def listed(rule: object) -> list[str]:
    if isinstance(rule, types.ClauseEquals):
        return [rule.equals]
    return [name for each in rule.or_ for name in listed(each)] if isinstance(rule, types.ClauseOr) else []


def theirs(name: str, provider: str | None, usage: dict, price: types.ModelPrice) -> decimal.Decimal | None:
    try:
        found = calc_price(nested(usage, units(price)), name, provider_id=provider, genai_request_timestamp=AT)
    except LookupError:
        return None
    return found.total_price


def genai(engine: farebox.Farebox) -> list[Tally]:
    report = engine.import_rates("genai-prices")
    by_id, by_name, plain = (Tally(f"genai-prices, {what}", report) for what in (
        "provider/id", "provider/name of a rule", "name without its provider"))
    full_names = {f"{provider.id}/{model.id}" for provider in providers for model in provider.models}
    for provider in providers:
        for model in provider.models:
            full = f"{provider.id}/{model.id}"
            price = model.get_prices(AT)
            for usage in USAGES:
                ours = quote(engine, f"genai-prices/{full}", usage)
                own = price.calc_price(nested(usage, units(price)))["total_price"]
                by_id.add(full, full, usage, ours, own, len(usage))
            usage = USAGES[1]
            for name in dict.fromkeys([model.id, *listed(model.match)]):
                full_name = f"{provider.id}/{name}"
                if full_name != full:
                    expected = theirs(name, provider.id, usage, price)
                    ours = quote(engine, f"genai-prices/{full_name}", usage)
                    by_name.add(full_name, full, usage, ours, expected, len(usage))
                if name in full_names:
                    continue  # the id of a model of another provider, which is found
                expected, found = plainly(name, usage)
                plain.add(name, found or full, usage, quote(engine, f"genai-prices/{name}", usage), expected, len(usage))
    return [by_id.close(), by_name.close(), plain.close()]


def plainly(name: str, usage: dict) -> tuple[decimal.Decimal | None, str | None]:
    """What the package makes of a name alone, or of the provider before its slash; the model that it finds."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot
    first, slash, rest = name.partition("/")
    provider = find_provider_by_id(get_snapshot().providers, first) if slash else None
    try:
        where, model = get_snapshot().find_provider_model(
            rest if provider else name, None, provider.id if provider else None, None)
    except LookupError:
        return None, None
    price = model.get_prices(AT)
    # A fallback provider serves the model at the price of the one whose it is.
    owner = next(each.id for each in get_snapshot().providers if any(model is one for one in each.models))
    return price.calc_price(nested(usage, units(price)))["total_price"], f"{owner}/{model.id}"


# litellm

CLASSES = {
    "input_tokens": ("input_cost_per_token", None),
    "cache_read_tokens": ("cache_read_input_token_cost", "input_tokens"),
    "cache_write_tokens": ("cache_creation_input_token_cost", "input_tokens"),
    "input_audio_tokens": ("input_cost_per_audio_token", "input_tokens"),
    "output_tokens": ("output_cost_per_token", None),
    "reasoning_tokens": ("output_cost_per_reasoning_token", "output_tokens"),
    "output_audio_tokens": ("output_cost_per_audio_token", "output_tokens"),
}


def rate(row: dict, meter: str, total_input: int) -> decimal.Decimal | None:
    key, parent = CLASSES[meter]
    tiers = row.get("tiered_pricing")
    if tiers:
        tier = next((one for one in tiers if one["range"][0] < total_input <= one["range"][1]), tiers[-1])
        if key in tier:
            return decimal.Decimal(tier[key])
        if parent is None:
            return decimal.Decimal(row[key]) if key in row else None
        return rate(row, parent, total_input)
    reached = [
        (int(name.split("_above_")[1].split("k_")[0]) * 1000, value)
        for name, value in row.items() if re.fullmatch(f"{key}_above_[0-9]+k_tokens", name)
    ]
    inclusive = row.get("litellm_provider") == "xai"
    passed = [one for one in reached if total_input > one[0] or inclusive and total_input == one[0]]
    if passed:
        return decimal.Decimal(max(passed)[1])
    if row.get(key) is not None:
        return decimal.Decimal(row[key])
    if meter == "cache_read_tokens" and row.get("litellm_provider") == "fireworks_ai" and "input_cost_per_token" in row:
        return decimal.Decimal(row["input_cost_per_token"]) / 2
    return rate(row, parent, total_input) if parent else None


def litellm(engine: farebox.Farebox, path: str) -> Tally:
    report = engine.import_rates("litellm", path)
    with open(path) as file:
        rows = json.load(file, parse_float=str, parse_int=str)
    tally = Tally("litellm, each row", report)
    for name, row in rows.items():
        row = rows[row["alias_of"]] if "alias_of" in row else row
        tiers = [tier | {"range": [float(end) for end in tier["range"]]}
                 for tier in row.get("tiered_pricing") or [] if "range" in tier]
        row = {key: value for key, value in row.items() if key != "tiered_pricing"}
        if tiers:
            row["tiered_pricing"] = tiers
        for usage in USAGES:
            total_input = sum(usage.get(meter, 0) for meter in list(CLASSES)[:4])
            rates = {meter: rate(row, meter, total_input) for meter in usage}
            total = None
            if all(one is not None for one in rates.values()):
                total = sum(count * rates[meter] for meter, count in usage.items())
                if row.get("input_cost_per_request") is not None:
                    total += decimal.Decimal(row["input_cost_per_request"])
            tally.add(name, name, usage, quote(engine, f"litellm/{name}", usage), total, len(usage) + 1)
    return tally.close()


def main() -> int:
    warnings.simplefilter("ignore")
    with farebox.Farebox.open("memory:") as engine:
        results = [*genai(engine), litellm(engine, sys.argv[1])]
    differ = sum(len(tally.differ) for tally in results)
    print(f"RateCards: {sum(tally.equal for tally in results)} prices equal, {differ} differ")
    return 1 if differ or min(tally.equal for tally in results) < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
