"""Price lists of other projects, from files, values and installed packages."""

from __future__ import annotations

import json
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farebox import Farebox, RequestError, StateError
from farebox import _statuses as status

TABLE = {"gpt-4o": {"input_cost_per_token": 2.5e-06, "litellm_provider": "openai"}}
PROVIDERS = """\
    import datetime
    from decimal import Decimal

    from .types import *

    providers: list[Provider] = [
        Provider(
            id='openai',
            name='OpenAI',
            api_pattern='https://api',
            description=None,
            model_match=ClauseOr(or_=[ClauseStartsWith(starts_with='gpt-'), ClauseRegex(regex='^o[134]')]),
            extractors=[UsageExtractor(root='usage', mappings=[UsageExtractorMapping(path=['a', 'b'], dest='c')])],
            models=[
                ModelInfo(
                    id='gpt-4o',
                    match=ClauseOr(or_=[ClauseEquals(equals='gpt-4o'), ClauseEquals(equals='gpt-4o-2024-08-06')]),
                    prices=[
                        ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('5'))),
                        ConditionalPrice(
                            constraint=StartDateConstraint(start_date=datetime.date(2024, 8, 6)),
                            prices=ModelPrice(
                                input_mtok=TieredPrices(
                                    base=Decimal('2.5'), tiers=[Tier(start=200000, price=Decimal('5.000'))]
                                )
                            ),
                        ),
                    ],
                ),
                ModelInfo(
                    id='night',
                    match=ClauseEquals(equals='gpt-night'),
                    prices=[
                        ConditionalPrice(
                            constraint=TimeOfDateConstraint(
                                start_time=datetime.time(16, 30), end_time=datetime.time(0, 30, tzinfo=datetime.timezone.utc)
                            ),
                            prices=ModelPrice(input_mtok=Decimal('1')),
                        )
                    ],
                ),
            ],
        )
    ]
"""


def total(engine: Farebox, tool: str, tokens: int) -> Decimal:
    return Decimal(engine.call("price.quote", tool=tool, usage={"input_tokens": tokens})["total"])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages that raise when they are imported, with their lists inside."""
    for package, name, text in (
        ("genai_prices", "data.py", textwrap.dedent(PROVIDERS)),
        ("litellm", "model_prices_and_context_window_backup.json", json.dumps(TABLE)),
    ):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('imported')")
        (tmp_path / package / name).write_text(text)
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_list_of_an_installed_package_is_read_without_importing_it(engine: Farebox, installed: Path) -> None:
    report = engine.import_rates("genai-prices")
    assert report["source"].startswith("genai-prices") and report["entries"] == 2
    assert [issue["model"] for issue in report["issues"]] == ["openai/night"]
    assert total(engine, "genai-prices/gpt-4o-2024-08-06", 200_000) == Decimal("0.5")
    assert total(engine, "genai-prices/openai/gpt-4o", 200_001) == Decimal("1.000005")
    assert engine.import_rates("litellm")["source"].startswith("litellm")
    assert total(engine, "litellm/openai/gpt-4o", 1000) == Decimal("0.0025")
    assert "genai_prices" not in sys.modules and "litellm" not in sys.modules


def test_a_list_may_be_a_file_its_text_or_its_value(engine: Farebox, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(TABLE))
    for name, data in (("a", file), ("b", str(file)), ("c", file.read_bytes()), ("d", TABLE)):
        report = engine.import_rates("litellm", data, name=name, source="mine" if name == "d" else None)
        assert report["name"] == name
        assert report["source"] == {"a": "prices.json", "b": "prices.json", "c": "", "d": "mine"}[name]
        assert total(engine, f"{name}/gpt-4o", 1000) == Decimal("0.0025")
    assert engine.import_rates("litellm", {"m": {"input_cost_per_token": 1}}, name="a", dry_run=True)["entries"] == 1
    assert total(engine, "a/gpt-4o", 1000) == Decimal("0.0025")


def test_what_cannot_be_read_is_said(engine: Farebox, installed: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        engine.import_rates("models.dev")
    assert caught.value.field == "format"
    for data in (tmp_path / "none.json", b"{", b"[] , \"name\": 1", object()):
        with pytest.raises(RequestError) as caught:
            engine.import_rates("litellm", data)  # type: ignore[arg-type]
        assert caught.value.field == "data"
    with pytest.raises(RequestError) as caught:
        engine.import_rates("litellm", b'{"m":{"input_cost_per_token":2},"m":{"input_cost_per_token":1}}')
    assert caught.value.code == status.INVALID_JSON
    for text in ("providers = load()", "providers = [Provider('openai')]", "x = 1", "providers = ["):
        (installed / "genai_prices" / "data.py").write_text(text)
        with pytest.raises(RequestError, match="as data"):
            engine.import_rates("genai-prices")
    (installed / "genai_prices" / "data.py").unlink()
    with pytest.raises(RequestError, match="not installed"):
        engine.import_rates("genai-prices")


def test_a_name_that_finds_no_rate_says_which_there_are(engine: Farebox) -> None:
    rows: dict[str, Any] = {
        name: {"input_cost_per_token": 1e-06, "litellm_provider": name.split("/")[0]}
        for name in ("groq/llama-3.3-70b", "novita/llama-3.3-70b", "groq/llama-3.1-8b")
    }
    engine.import_rates("litellm", rows)
    engine.deposit("user:ana", "1")
    for work in (
        lambda tool: engine.charge("user:ana", tool=tool),
        lambda tool: engine.reserve("user:ana", tool=tool),
        lambda tool: engine.call("price.quote", tool=tool),
    ):
        with pytest.raises(StateError) as caught:
            work("litellm/llama-3.3-70b")
        assert caught.value.code == status.RATE_AMBIGUOUS
        assert caught.value.details["candidates"] == ["litellm/groq/llama-3.3-70b", "litellm/novita/llama-3.3-70b"]
        assert "litellm/groq/llama-3.3-70b" in caught.value.message
        with pytest.raises(StateError) as caught:
            work("litellm/groq/llama-3.2")
        assert caught.value.code == status.RATE_CARD_NOT_FOUND
        assert "litellm/groq/llama-3.1-8b" in caught.value.details["candidates"]
