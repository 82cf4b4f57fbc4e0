"""Amounts against Python's decimal: what is read, what is refused and why, and how it is written.

An input is that of the C target `amounts`: the code of an asset, a space and decimal text.
"""

from __future__ import annotations

import decimal
import random
import re

from differential import run

import farebox

decimal.getcontext().prec = 25_000
decimal.getcontext().Emax = decimal.MAX_EMAX
decimal.getcontext().Emin = decimal.MIN_EMIN

GRAMMAR = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?", re.ASCII)
LONGEST = 128

engine = farebox.Farebox.open("memory:")
engine.call("asset.open", asset="FINE", scale=18)
ASSETS = {row["asset"]: row for row in engine.call("asset.list", all=True)["assets"]}


def ours(asset: str, text: str) -> tuple[str, int, str]:
    try:
        found = engine.call("amount.parse", asset=asset, amount=text)
    except farebox.FareboxError as error:
        return error.name, 0, ""
    return "OK", int(found["units"]), str(found["amount"])


def written(units: int, scale: int, places: int) -> str:
    """All significant digits, and at least the asset's minor digits."""
    whole, rest = divmod(abs(units), 10**scale)
    digits = f"{rest:0{scale}d}".rstrip("0") if scale else ""
    digits += "0" * (places - len(digits))
    return ("-" if units < 0 else "") + str(whole) + ("." + digits if digits else "")


def theirs(asset: str, text: str) -> tuple[set[str], int, str]:
    """The statuses that are right, and the units and text where that is OK."""
    if asset not in ASSETS:
        return {"ASSET_NOT_FOUND"}, 0, ""
    if GRAMMAR.fullmatch(text) is None or len(text) > LONGEST:
        return {"INVALID_AMOUNT"}, 0, ""
    scale, places = ASSETS[asset]["scale"], ASSETS[asset]["minor_digits"]
    units = decimal.Decimal(text).scaleb(scale)
    is_whole = units == units.to_integral_value()
    is_small = -(2**63) <= units < 2**63
    if is_whole and is_small:
        return {"OK"}, int(units), written(int(units), scale, min(places, scale))
    if _digits(text) > 38:
        # More than the reader holds: it says which side of the point was too long.
        return {"TOO_PRECISE", "OVERFLOW"}, 0, ""
    if is_small:
        return {"TOO_PRECISE"}, 0, ""
    # Where both are wrong, either may be said.
    return ({"OVERFLOW"} if is_whole else {"TOO_PRECISE", "OVERFLOW"}), 0, ""


def _digits(text: str) -> int:
    """Significant digits."""
    mantissa = re.split("[eE]", text)[0].replace(".", "").lstrip("-").lstrip("0")
    return len(mantissa.rstrip("0"))


def check(data: bytes) -> str | None:
    asset, space, text = data.partition(b" ")
    try:
        code, amount = asset.decode(), text.decode()
    except UnicodeDecodeError:
        return None
    if not space or not code:
        return None
    status, units, shown = ours(code, amount)
    statuses, right, rightly = theirs(code, amount)
    if status not in statuses:
        return f"{amount!r} of {code} is {status}, not {' or '.join(sorted(statuses))}"
    if status == "OK" and (units, shown) != (right, rightly):
        return f"{amount!r} of {code} is {units} and written {shown}, not {right} and {rightly}"
    return None


def made(source: random.Random) -> bytes:
    asset = source.choice(("USD", "EUR", "JPY", "BHD", "CREDITS", "FINE"))
    digits = "".join(source.choice("0000123456789") for _ in range(source.choice((1, 2, 5, 10, 19, 20, 38, 40))))
    fraction = "".join(source.choice("0000123456789") for _ in range(source.choice((0, 0, 1, 2, 9, 10, 18, 19, 39))))
    exponent = source.choice(("", "", "", f"e{source.randint(-40, 40)}", f"E+{source.randint(0, 12)}", "e-9999"))
    if source.random() < 0.2:
        digits, fraction = str(2**63 - 1 + source.randint(-2, 2)), ""
        exponent = f"e-{ASSETS[asset]['scale']}"
    return f"{asset} {source.choice(('', '', '-'))}{digits}{'.' if fraction else ''}{fraction}{exponent}".encode()


WORDS = [word.encode() for word in ("0", "9", ".", "-", "+", "e", "E", "e-9", "00000", "_", " ", "\u0661", "inf", "nan", "1e400")]

if __name__ == "__main__":
    run(check, made, WORDS)
